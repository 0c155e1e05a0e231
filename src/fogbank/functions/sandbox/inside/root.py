"""The root folder that instances see: the system's programs and libraries, an interpreter, and Lambda's own folders."""

import os
import sys

import kernel

TASK, LAYERS, RUNTIME, DEBUGGER, TEMPORARY = "/var/task", "/opt", "/var/runtime", "/var/debugger", "/tmp"
BOOTSTRAP = "/var/lang/bootstrap"
# What a web application sees as well: its code, and below the others files that are mounted.
OF_WEB = ("/workspace", "/secrets", "/etc/secrets", "/var/secrets", "/run/secrets", "/mnt")
SDKS = ("/var/lang/sdk-v2/node_modules", "/var/lang/sdk-v3/node_modules")  # What Node functions are lent.
HOMEBREW = "/home/linuxbrew/.linuxbrew"  # Its programs use libraries all over it.

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/gnu", "/nix")
_OF_ETC = ("alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts", "gai.conf", "host.conf",
           "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "networks", "nsswitch.conf",
           "pki", "protocols", "resolv.conf", "services", "ssl", "timezone")  # fmt: skip
_PEOPLE = {
    "passwd": "root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    "group": "root:x:0:\nsbx_user1051:x:990:\nnogroup:x:65534:\n",
}
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
)
_ROOT_OPTIONS = "size=4m,mode=755"


def build(at, prefixes, binds, more=()):
    """At this folder, in the mount namespace of the caller. `prefixes`: folders that the interpreter needs beside the
    system's, seen where they are; `binds`: folders by where they are to be seen; `more`: further places."""
    kernel.mount("fogbank", at, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _ROOT_OPTIONS)
    for path in _SYSTEM:
        _copy_place(at, path)
    _fill_etc(at)
    _fill_dev(at)
    own = (TASK, LAYERS, TEMPORARY, RUNTIME, DEBUGGER, BOOTSTRAP, *SDKS, "/home/sbx_user1051", "/run")
    for path in (*own, *more):
        os.makedirs(at + path, exist_ok=True)
    for place, path in binds.items():
        kernel.bind(path, at + place)
    for prefix in sorted({*prefixes, *_own_prefixes()}):
        if not _is_there(prefix):
            _refuse_home(prefix)
            os.makedirs(at + prefix, exist_ok=True)
            kernel.bind(prefix, at + prefix)
    # A new /proc may be mounted in a cell only where a whole one is seen already; each cell covers this one.
    os.makedirs(at + "/proc")
    kernel.bind_all("/proc", at + "/proc")
    kernel.mount(
        None, at, None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
    )


def _own_prefixes():
    """Where this interpreter has its files."""
    program = os.path.realpath(sys.executable)
    found = {os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix), sys.base_prefix}
    found.add(os.path.dirname(os.path.dirname(program)))
    return {HOMEBREW if path.startswith(HOMEBREW + "/") else path for path in found}


def _refuse_home(prefix):
    """An interpreter that lies right in a folder of people's would show that whole."""
    home = os.path.expanduser("~")
    if prefix == "/" or home == prefix or home.startswith(prefix.rstrip("/") + "/"):
        raise RuntimeError("the interpreter lies in %s itself: with it, all that is there would be seen" % prefix)


def _copy_place(at, path):
    if os.path.islink(path):
        os.symlink(os.readlink(path), at + path)
    elif os.path.isdir(path):
        os.mkdir(at + path)
        kernel.bind(path, at + path)


def _fill_etc(at):
    os.mkdir(at + "/etc")
    for name in _OF_ETC:
        source, target = os.path.join("/etc", name), os.path.join(at, "etc", name)
        if os.path.isdir(source):
            os.mkdir(target)
            kernel.bind(source, target)
        elif os.path.isfile(source):  # Of what a link leads to, too: as it is now.
            with open(source, "rb") as read, open(target, "wb") as written:
                written.write(read.read())
    for name, text in _PEOPLE.items():
        with open(os.path.join(at, "etc", name), "w") as file:
            file.write(text)


def _fill_dev(at):
    """As on Lambda: no terminal, and no /dev/shm."""
    os.mkdir(at + "/dev")
    for name in _DEVICES:
        target = os.path.join(at, "dev", name)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o666))
        kernel.mount("/dev/" + name, target, None, kernel.MS_BIND)
    for points_at, name in _LINKS:
        os.symlink(points_at, os.path.join(at, "dev", name))


def _is_there(path):
    """Whether the system's folders have it."""
    return any(path == place or path.startswith(place + "/") for place in _SYSTEM)
