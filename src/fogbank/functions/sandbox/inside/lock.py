"""What a process gives up, for good, before it runs the first line of people's code."""

import os
import resource
import signal

import filters
import kernel
import landlock

UID, GID = 993, 990  # Lambda's own: sbx_user1051.
DESCRIPTORS_MAX = 1024  # Lambda quotas: "File descriptors".
_PROCESSES_MAX = 1024  # Lambda quotas: "Execution processes/threads".
_KILLED_FIRST = 500


class Lock:
    """Made once, where nobody else's code has run; `close` is for each process anew."""

    def __init__(self, protections):
        """`protections`: the names of those that this machine gives."""
        self.seccomp = "seccomp" in protections
        self.landlock = "landlock" in protections
        self.namespaces = "namespaces" in protections
        self.no_new_privileges = "no_new_privs" in protections
        self._filters = (kernel.Filter(filters.base()), kernel.Filter(filters.last())) if self.seccomp else ()

    def close(self, paths=None):
        """Of a process that will run the function's initialisation. `paths`: what it may read and what it may write,
        where it has no root of its own."""
        self._limit()
        self._become_nobody()
        if self.no_new_privileges:
            kernel.no_new_privileges()
        if self.landlock and self.namespaces:
            landlock.keep_inside()
        elif self.landlock and paths:
            landlock.allow_files(*paths)
        if self.seccomp:
            self._filters[0].install()

    def close_again(self):
        """Of a fork of such a process: it has joined a cell of its own, and by that has rights in it once more."""
        if self.namespaces:
            self._become_nobody()

    def stay(self):
        """From here on it joins no other cell."""
        if self.seccomp:
            self._filters[1].install()

    def _limit(self):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS_MAX, DESCRIPTORS_MAX))
        if self.namespaces:  # Else it would count all that the user runs on this machine.
            resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES_MAX, _PROCESSES_MAX))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        try:
            fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)  # Before whoever looks after it.
        except OSError:
            return
        with open(fd, "w") as file:
            file.write(str(_KILLED_FIRST))

    def _become_nobody(self):
        if self.namespaces and os.geteuid() != UID:
            os.setresgid(GID, GID, GID)
            os.setresuid(UID, UID, UID)
        if self.no_new_privileges:
            kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # Else its own /proc/self would be root's.


def close_all_but(kept):
    """Files that somebody else has opened are not for the function."""
    low = 3
    for fd in sorted(set(kept)):
        if fd >= low:
            os.closerange(low, fd)
            low = fd + 1
    os.closerange(low, max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], DESCRIPTORS_MAX))
