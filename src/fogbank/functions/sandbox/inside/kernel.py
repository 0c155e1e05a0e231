"""The kernel's own calls for taking rights away, by number where the C library has no name for them.

Everything below `inside/` runs in the interpreter that runs people's functions (Python 3.9 or newer, x86_64 and aarch64),
and imports nothing of fogbank.
"""

import _signal
import ctypes
import itertools
import os
import platform
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_number_call = ctypes.PyDLL(None, use_errno=True).syscall  # It keeps the interpreter's lock: a child has it, too.
_number_call.argtypes = [ctypes.c_long] * 6

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 0x1, 0x2, 0x4, 0x8, 0x20
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
_MADV_COLLAPSE, _HUGE_BYTES = 25, 2 * 1024 * 1024

NEWTIME, NEWNS, NEWCGROUP, NEWUTS = 0x80, 0x20000, 0x2000000, 0x4000000
NEWIPC, NEWUSER, NEWPID, NEWNET = 0x8000000, 0x10000000, 0x20000000, 0x40000000

_AT_EMPTY_PATH, _AT_RECURSIVE, _OPEN_TREE_CLONE = 0x1000, 0x8000, 1
_AT_FDCWD = -100
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV = 1, 2, 4

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_SECCOMP = 1, 4, 23, 24, 22
PR_SET_SECUREBITS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 28, 36, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
NO_SETUID_FIXUP = 4  # Of the secure bits: a change of the user id leaves the capabilities as they are.
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES_MAX = 64
_NO_CAPABILITIES = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24)

# From the kernel's tables; calls added since 5.1 have one number everywhere.
_NUMBERS = {
    "x86_64": {"clone": 56, "pivot_root": 155, "setns": 308, "capset": 126},
    "aarch64": {"clone": 220, "pivot_root": 41, "setns": 268, "capset": 91},
}
NUMBERS = {
    **_NUMBERS.get(platform.machine(), {}),
    "open_tree": 428, "move_mount": 429, "mount_setattr": 442,
    "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446,
}  # fmt: skip


class KernelError(OSError):
    """A call that was refused; says which."""


def _check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise KernelError(number, "%s: %s" % (what, os.strerror(number)))
    return result


def call(name, *arguments):
    return _check(_libc.syscall(ctypes.c_long(_number(name)), *[_word(one) for one in arguments]), name)


def _number(name):
    if name not in NUMBERS:
        raise KernelError(38, "%s: its number is not known on %s" % (name, platform.machine()))
    return NUMBERS[name]


def _word(value):
    """A variadic call takes whole registers: an int of Python's would come as half of one."""
    return ctypes.c_long(value) if isinstance(value, int) else value


def prctl(option, first=0, second=0):
    return _check(_libc.prctl(option, first, second, 0, 0), "prctl(%d)" % option)


def clone(namespaces=0):
    """A child, perhaps in new namespaces; 0 in it, as from a fork. Nobody who asked to hear of forks is told, neither
    Python nor the C library: so the child touches few pages that it shares, and costs little. It is for one that only
    waits, or forks in earnest and ends; and for a process without threads."""
    return _check(_number_call(_number("clone"), namespaces | _signal.SIGCHLD, 0, 0, 0, 0), "clone")


def take_huge_pages():
    """Put what this process holds into pages of 2 MB as far as it fills them: a fork copies their table, a five-hundredth
    of it. A fork that writes into one has the small page that it wrote, and shares the others as before. Linux 6.1 and
    newer; elsewhere nothing happens."""
    for line in open("/proc/self/maps").read().splitlines():
        ends, rights, _, _, _, *name = line.split(None, 5)
        if rights.startswith("rw-p") and name in ([], ["[heap]"]):
            first, last = (int(end, 16) for end in ends.split("-"))
            first, last = -(-first // _HUGE_BYTES) * _HUGE_BYTES, last // _HUGE_BYTES * _HUGE_BYTES
            if first < last:  # Refused, or no room: the pages stay as they are.
                _libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), ctypes.c_int(_MADV_COLLAPSE))


def unshare(flags):
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare(%#x)" % flags)


def setns(fd, kind):
    _check(_number_call(_number("setns"), fd, kind, 0, 0, 0), "setns")


# -- mounts --


def mount(source, target, kind, flags=0, options=""):
    words = [os.fsencode(word) if word else None for word in (source, target, kind)]
    result = _libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(options) if options else None)
    _check(result, "mount %s on %s" % (source or kind, target))


def bind(source, target, *, writable=False):
    """One folder or file as another; of what is mounted below it nothing comes along."""
    mount(source, target, None, MS_BIND)
    if not writable:
        _set_attributes(_AT_FDCWD, os.fsencode(target), 0, _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV)


def bind_all(source, target):
    """A tree with all that is mounted below it, as it is."""
    mount(source, target, None, MS_BIND | MS_REC)


def make_private():
    """What is mounted here from now on is seen nowhere else, and the other way round."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)


def pivot(new_root):
    """The folder becomes the root; what was there before is gone from here."""
    os.chdir(new_root)
    call("pivot_root", b".", b".")
    _check(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


def tree(path):
    """A read-only mount of this folder, attached nowhere yet; it goes where `attach` puts it, in whichever namespace."""
    fd = call("open_tree", _AT_FDCWD, os.fsencode(path), _OPEN_TREE_CLONE | os.O_CLOEXEC)
    _set_attributes(fd, b"", _AT_EMPTY_PATH, _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV)
    return fd


def attach(fd, target):
    call("move_mount", fd, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)


def _set_attributes(fd, path, flags, attributes):
    block = struct.pack("=QQQQ", attributes, 0, 0, 0)
    call("mount_setattr", fd, path, flags, block, len(block))


# -- rights --


def map_ids(uid, gid, inside_uid, inside_gid):
    """In a user namespace that was just made: the one user and the one group that exist in it."""
    for name, text in (("uid_map", "%d %d 1" % (inside_uid, uid)), ("setgroups", "deny"),
                       ("gid_map", "%d %d 1" % (inside_gid, gid))):  # fmt: skip
        fd = os.open("/proc/self/" + name, os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _known_capabilities():
    """The numbers of those that this kernel has."""
    known = (_libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0 for number in range(_CAPABILITIES_MAX))
    return range(sum(itertools.takewhile(bool, known)))


_CAPABILITIES = _known_capabilities()


def drop_capabilities():
    """All of them, and with them the way back."""
    for number in _CAPABILITIES:
        if _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0:
            break  # It has no right to any.
    try:
        prctl(PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    except KernelError:
        pass  # Older than ambient capabilities.
    call("capset", *_NO_CAPABILITIES)


def no_new_privileges():
    """A program with the set-user-id bit, or with capabilities of its own, gives none of them from here on."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


class Filter:
    """A seccomp filter, laid out once for the forks of this process: instructions as the kernel's `struct sock_filter`."""

    def __init__(self, program):
        self._code = ctypes.create_string_buffer(program, len(program))
        block = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(self._code))
        self._block = ctypes.create_string_buffer(block, len(block))
        self._at = ctypes.addressof(self._block)

    def install(self):
        """For ever."""
        prctl(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._at)
