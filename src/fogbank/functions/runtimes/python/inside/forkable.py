"""May an initialised process be forked, so that its forks live as if each had been initialised by itself?

Reasons are for people, and for the function's log. Nobody but the initialisation has done anything yet.
"""

import os
import random
import sys


def open_files():
    names = os.listdir("/proc/self/fd")
    return {name for name in names if os.path.lexists("/proc/self/fd/" + name)}  # The listing's own is closed by now.


def why_not(known):
    """What of this process would not survive a fork; nothing if all does."""
    if len(os.listdir("/proc/self/task")) > 1:
        return "its initialisation left a thread running"
    for name in open_files() - known:
        try:
            target = os.readlink("/proc/self/fd/" + name)
            flags = int(open("/proc/self/fdinfo/" + name).read().split("flags:")[1].split()[0], 8)
        except (OSError, IndexError, ValueError):
            continue
        if target.startswith("socket:"):
            return "its initialisation left a connection open"
        if target.startswith(("pipe:", "anon_inode:")) or flags & (os.O_WRONLY | os.O_RDWR):
            return "its initialisation left %s open for writing" % target
    return ""


def why_not_elsewhere():
    """What of this process would not be there in the cell of its fork; nothing if all is."""
    if os.listdir("/tmp"):
        return "its initialisation left files in /tmp"
    try:
        children = open("/proc/self/task/%d/children" % os.getpid()).read()
    except OSError:
        return ""
    return "its initialisation left a process running" if children.strip() else ""


class Draws:
    """Has initialisation drawn randomness that two instances of the same snapshot would then share?"""

    def __init__(self):
        self._count, self._draw = 0, os.urandom
        self._state = random.getstate()
        os.urandom = self._counting
        random._urandom = self._counting

    def _counting(self, size):
        self._count += 1
        return self._draw(size)

    def reason(self):
        os.urandom = random._urandom = self._draw
        numpy = sys.modules.get("numpy")
        drawn = self._count or random.getstate() != self._state
        drawn = drawn or (numpy is not None and numpy.random.get_state()[2] != 624)  # 624: seeded, nothing taken yet.
        return "its initialisation drew random numbers" if drawn else ""
