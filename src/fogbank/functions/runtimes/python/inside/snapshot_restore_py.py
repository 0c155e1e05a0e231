"""What a function that is restored from a snapshot has to do before it is taken, and after: with AWS's names.

Lambda Developer Guide, "Implement code before or after Lambda function snapshots": the managed runtimes bring it.
"""

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Works as a decorator, too."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Works as a decorator, too."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore
