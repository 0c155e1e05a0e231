"""Landlock: rules that a process lays on itself and its children, without being root and without namespaces."""

import os
import struct

import kernel

_VERSION = 1  # The flag that asks for it.
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15  # truncate, ioctl of devices
# What each version of the interface has added: refer, truncate, ioctl.
_HANDLED = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_SCOPES_SINCE = 6
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2


def version():
    """0 where the kernel has none."""
    try:
        return kernel.call("landlock_create_ruleset", None, 0, _VERSION)
    except kernel.KernelError:
        return 0


def keep_inside():
    """No signal, and no connection to a socket in the abstract namespace, leaves for a process that is not below this
    one. Without the version that can say so, nothing happens."""
    if version() >= _SCOPES_SINCE:
        _enforce(_ruleset(0, _ABSTRACT_SOCKETS | _SIGNALS))


def allow_files(readable, writable):
    """Of all files only those below these paths; for where an instance has no root of its own."""
    found = version()
    if not found:
        return
    handled = _HANDLED[min(found, 5)]
    rules = _ruleset(handled, _ABSTRACT_SOCKETS | _SIGNALS if found >= _SCOPES_SINCE else 0)
    for paths, rights in ((readable, _READ), (writable, handled)):
        for path in paths:
            _allow(rules, path, rights & handled)
    _enforce(rules)


def _ruleset(handled, scopes):
    block = struct.pack("=QQQ", handled, 0, scopes)
    size = len(block) if scopes else 8  # Kernels that know less want less.
    return kernel.call("landlock_create_ruleset", block[:size], size, 0)


def _allow(rules, path, rights):
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # Nothing is there.
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        block = struct.pack("=Qi", rights, fd)
        kernel.call("landlock_add_rule", rules, _RULE_PATH_BENEATH, block, 0)
    finally:
        os.close(fd)


def _enforce(rules):
    try:
        kernel.call("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)
