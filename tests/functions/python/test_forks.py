"""What has to be done after a fork is done: of it a birth leaves out only what is for nothing there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.workshop import Workshop

# In a child of the handler's own: what it says of itself.
CHILD = """
import os
def in_child(tell):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, str(tell()).encode())
        os._exit(0)
    os.close(write)
    said = open(read).read()
    os.waitpid(pid, 0)
    return said
"""
RANDOM = "import random; random.random()\n"  # Such a function's instances are no forks of a template.


@pytest.mark.parametrize("init", ["", RANDOM], ids=["template", "zygote"])
def test_a_fork_of_the_functions_own_forgets_its_threads(workshop: Workshop, init: str) -> None:
    version = workshop.function(
        init + CHILD + "import threading\n"
        "def handler(e, c):\n"
        "    stay = threading.Event()\n"
        "    thread = threading.Thread(target=stay.wait)\n"
        "    thread.start()\n"
        "    try: return threading.active_count(), in_child(threading.active_count)\n"
        "    finally: stay.set(); thread.join()"
    )
    assert [workshop.answer(version) for _ in range(2)] == [[2, "1"]] * 2


@pytest.mark.parametrize("init", ["", RANDOM], ids=["template", "zygote"])
def test_a_fork_of_the_functions_own_can_log_though_a_thread_of_its_parent_held_that_lock(
    workshop: Workshop, init: str
) -> None:
    version = workshop.function(
        init + CHILD + "import logging, threading\n"
        "def handler(e, c):\n"
        "    held, stay = threading.Event(), threading.Event()\n"
        "    lock = logging.getLogger().handlers[0].lock\n"
        "    def hold():\n"
        "        with lock: held.set(); stay.wait()\n"
        "    thread = threading.Thread(target=hold)\n"
        "    thread.start(); held.wait()\n"
        "    try: return in_child(lambda: logging.getLogger().handlers[0].lock.acquire(timeout=5))\n"
        "    finally: stay.set(); thread.join()"
    )
    assert workshop.answer(version) == "True"


def test_what_the_function_has_asked_for_is_done_in_each_of_its_instances(workshop: Workshop) -> None:
    version = workshop.function(
        "import os\n"
        "done = []\n"
        "os.register_at_fork(after_in_child=lambda: done.append(os.getpid()))\n"
        "def handler(e, c): return done == [os.getpid()]"
    )

    async def ask_and_end() -> None:
        outcome = await workshop.ask(version)
        assert outcome.cold and outcome.payload == b"true"
        workshop.engine._pools[version.id].idle.pop().kill()

    for _ in range(2):
        workshop.run(ask_and_end())


def test_threads_and_locks_of_an_instance_work_as_in_any_process(workshop: Workshop) -> None:
    version = workshop.function(
        "import concurrent.futures, threading\n"
        "def handler(e, c):\n"
        "    with concurrent.futures.ThreadPoolExecutor(2) as pool:\n"
        "        squares = list(pool.map(lambda n: n * n, range(3)))\n"
        "    return [squares, threading.main_thread() is threading.current_thread(), threading.active_count(),\n"
        "            threading.get_ident() == threading.main_thread().ident]"
    )
    assert workshop.answer(version) == [[0, 1, 4], True, 1, True]
