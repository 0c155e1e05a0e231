"""Births by fork: what the child does before all else, and what it leaves out.

Modules ask Python for something to be done after each fork. At a birth most of that is for nothing and takes a third of
it: `threading` forgets threads and, like `logging`, makes locks anew, where there was one thread and no lock was held. A
fork that people's code makes does all of it, in the same order.
"""

import contextlib
import os

_first = None


def fork(first):
    """As `os.fork`, by a process with one thread that holds no lock of those modules. The child calls `first` at once:
    before `random` draws a new seed, say, and before all that the function itself has asked for."""
    global _first
    _first = first
    try:
        return os.fork()
    finally:
        _first = None


def _begin():
    if _first is not None:
        _first()


@contextlib.contextmanager
def left_out():
    """What is imported here does nothing at a birth."""
    register = os.register_at_fork
    os.register_at_fork = lambda **asked: register(**{when: _unless_birth(hook) for when, hook in asked.items()})
    try:
        yield
    finally:
        os.register_at_fork = register


def _unless_birth(hook):
    return lambda: None if _first is not None else hook()


# Python asks in the order in which it was asked: so this comes before all that the other modules here import.
os.register_at_fork(after_in_child=_begin)
with left_out():
    import threading
