"""The system calls that an instance may not make, as a program for seccomp.

A list of what is forbidden, not of what is allowed: people's packages use what they find. What stands here lets a process
change its surroundings, look into others, or reach parts of the kernel that no function on Lambda can reach.
"""

import platform
import struct

import kernel

_EPERM, _ENOSYS = 1, 38
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_X32 = 0x40000000  # Calls of the x32 ABI: the same kernel through another door.

_NAMESPACES = (
    kernel.NEWNS | kernel.NEWCGROUP | kernel.NEWUTS | kernel.NEWIPC | kernel.NEWUSER | kernel.NEWPID | kernel.NEWNET
)

# name: (x86_64, aarch64); None where an architecture has not got it.
_FORBIDDEN = {
    # Its view of files.
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "fanotify_init": (300, 262),
    # Other processes.
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    # The machine.
    "reboot": (169, 142), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162), "syslog": (103, 116), "iopl": (172, None), "ioperm": (173, None),
    "vhangup": (153, 58), "modify_ldt": (154, None), "lookup_dcookie": (212, 18), "nfsservctl": (180, 42),
    # Keys, and parts of the kernel with a history.
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "userfaultfd": (323, 282),
    "perf_event_open": (298, 241), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
_COLUMN = {"x86_64": 0, "aarch64": 1}
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE, _CLONE3, _UNSHARE, _SETNS = (56, 220), (435, 435), (272, 97), (308, 268)


def known():
    """Whether the numbers of this machine's architecture are known."""
    return platform.machine() in _COLUMN


def base():
    """For all user code, from before its first line. Joining a namespace stays: a snapshot's fork joins its own cell."""
    column = _COLUMN[platform.machine()]
    lines = _preamble()
    for numbers in _FORBIDDEN.values():
        if numbers[column] is not None:
            lines += [_step(_EQUAL, numbers[column], 0, 1), _refuse(_EPERM)]
    # The C library takes clone where clone3 is unknown; the flags of clone3 lie in memory, where no filter can look.
    lines += [_step(_EQUAL, _CLONE3[column], 0, 1), _refuse(_ENOSYS)]
    lines += _refuse_flags(_CLONE[column], _NAMESPACES) + _refuse_flags(_UNSHARE[column], _NAMESPACES | kernel.NEWTIME)
    return b"".join([*lines, _step(_RETURN, _ALLOW)])


def last():
    """On top, once a process is where it stays."""
    refused = [_step(_EQUAL, _SETNS[_COLUMN[platform.machine()]], 0, 1), _refuse(_EPERM)]
    return b"".join([*_preamble(), *refused, _step(_RETURN, _ALLOW)])


def _preamble():
    """Calls of another architecture are refused; the number of this one's is loaded."""
    machine = platform.machine()
    lines = [_step(_LOAD, _ARCHITECTURE_AT), _step(_EQUAL, _AUDIT[machine], 1, 0), _refuse(_ENOSYS)]
    lines.append(_step(_LOAD, _NUMBER_AT))
    if machine == "x86_64":
        lines += [_step(_AT_LEAST, _X32, 0, 1), _refuse(_ENOSYS)]
    return lines


def _refuse_flags(number, flags):
    return [
        _step(_EQUAL, number, 0, 4),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        _step(_ANY_BIT, flags, 0, 1),
        _refuse(_EPERM),
        _step(_LOAD, _NUMBER_AT),
    ]


def _refuse(errno):
    return _step(_RETURN, _ERRNO | errno)


def _step(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)
