"""The first process of an interpreter: it runs none of people's code, prepares what all cells begin from, and makes them
on order. Where the machine gives no namespaces it starts programs itself, or is the zygote."""

import contextlib
import gc
import json
import os
import signal
import socket
import sys

_FOLDERS = [os.path.dirname(os.path.abspath(__file__)), *sys.argv[2:]]
sys.path[:0] = _FOLDERS
import forks  # Before what it goes before.
import cells
import kernel
import landlock
import lock
import root

del sys.path[: len(_FOLDERS)]

_PROTECTIONS = ("no_new_privs", "seccomp", "landlock", "namespaces")


def main():
    settings = json.loads(sys.argv[1])
    cells.enter_groups({"group%d" % fd: fd for fd in settings.get("groups", ())})
    if "probe" in settings:
        print(json.dumps(probe(settings)))
    elif "namespaces" in settings["protections"]:
        gc.freeze()
        keep(settings, socket.socket(fileno=settings["control"]))
    elif "zygote" in settings:
        _raise_zygote(settings, settings["runtime"], *_load_zygote())
    else:
        gc.freeze()
        control = socket.socket(fileno=settings["control"])
        cells.say(control, {"ready": True})
        Warden(control).run()


def keep(settings, control):
    try:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)  # Who has joined a cell has lost the parent it had.
        base = _set_up(settings)
    except BaseException as error:
        cells.say(control, {"failed": "%s: %s" % (type(error).__name__, error)})
        return
    cells.say(control, {"ready": True})
    Warden(control, base).run()
    os._exit(0)


class Warden(cells.Loop):
    def __init__(self, control, base=None):
        super().__init__(control)
        self._base = base
        self._programs = set()  # That it has started itself: each leads a session of its own.

    def run(self):
        super().run()
        for pid in self._programs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def obey(self, order, fds):
        if "cell" in order:
            keeper = socket.socket(fileno=fds[0])
            cells.make(cells.Cell(order["cell"], keeper), self._base)
            keeper.close()
        elif "trees" in order:
            self._hand_trees(order["trees"])
        else:
            super().obey(order, fds)

    def _hand_trees(self, paths):
        try:
            fds = [kernel.tree(path) for path in paths]
        except kernel.KernelError as error:
            cells.say(self.control, {"failed": str(error)})
            return
        cells.say(self.control, {"trees": True}, fds)
        for fd in fds:
            os.close(fd)

    def tell(self, fact, pid):
        """Process ids are here what they are to the server, and may not be said by the kernel: this one is in nobody's
        cell."""
        if "ended" in fact:
            self._programs.discard(pid)
        else:
            self._programs.add(pid)
        cells.say(self.control, {**fact, "pid": pid})


def _set_up(settings):
    """The namespaces that all cells begin from, and in them the zygote if there is to be one."""
    uid, gid = os.geteuid(), os.getegid()
    if uid:
        kernel.unshare(kernel.NEWUSER | kernel.NEWNS)
        kernel.map_ids(uid, gid, lock.UID, lock.GID)
    else:
        kernel.unshare(kernel.NEWNS)
    kernel.make_private()
    told, tell = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        told.close()
        _found(settings, tell)
    tell.close()
    answer, _ = cells.receive(told)
    if answer is None or "failed" in answer:
        raise RuntimeError(answer["failed"] if answer else "the process that prepares the root has died")
    base = os.open("/proc/%d/ns/mnt" % child, os.O_RDONLY | os.O_CLOEXEC)
    told.close()  # Now the child may go on, or end.
    return base


def _found(settings, tell):
    """The process whose mount namespace is the base of all: it goes on as the zygote, or ends."""
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        modules = _load_zygote() if "zygote" in settings else ()  # As long as their files can be seen.
        kernel.unshare(kernel.NEWNS)
        more = root.OF_WEB if settings.get("web") else ()
        root.build(settings["at"], settings["prefixes"], settings["binds"], more)
        kernel.pivot(settings["at"])
        cells.say(tell, {"built": True})
        tell.recv(1)  # Until the warden has it.
        if "zygote" in settings:
            os.close(settings["control"])
            tell.close()
            _raise_zygote(settings, root.RUNTIME if root.RUNTIME in settings["binds"] else "", *modules)
    except BaseException as error:
        cells.say(tell, {"failed": "%s: %s" % (type(error).__name__, error)})
    os._exit(0)


def _load_zygote():
    """Not by the warden: each keeper is a fork of it, and as small as it is."""
    sys.path[:0] = _FOLDERS
    import zygote
    import web
    import aws_lambda

    del sys.path[: len(_FOLDERS)]
    return zygote, aws_lambda, web


def _raise_zygote(settings, layer, zygote, aws_lambda, web):
    load_web = web.preload if settings["web"] and layer else None
    held = lock.Lock(settings["protections"])
    zygote.main(settings["zygote"], layer, settings["loads"], held, aws_lambda.live, load_web)


# -- what this machine gives --


def probe(settings):
    """By name, why it is not given; nothing where it is. Each is tried in a process of its own."""
    found = {
        "no_new_privs": _try(kernel.no_new_privileges),
        "seccomp": _try(lambda: (kernel.no_new_privileges(), lock.Lock(["seccomp"]).stay())),
        "landlock": "" if landlock.version() else "the kernel has none, or it is not among those started (lsm=)",
    }
    given = [name for name in _PROTECTIONS if not found.get(name, "")]
    found["namespaces"], found["ports"] = _rehearse_watched(settings, given)
    return {"missing": found, "landlock_version": landlock.version()}


def _try(what):
    return _reason(_begin(what))


def _begin(what):
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            what()
        except BaseException as error:
            os.write(write, ("%s" % error or type(error).__name__).encode()[:1000])
        os._exit(0)
    os.close(write)
    return read


def _reason(read):
    """Why it failed; empty where it did not."""
    with os.fdopen(read, "rb") as file:
        reason = file.read().decode(errors="replace")
    os.wait()
    return reason


def _rehearse_watched(settings, protections):
    """Why there can be no cells, and why this process, with the server's own rights, could not tell what files are open in
    one; that matters where all cells are of one user."""
    watcher, watched = _pair()
    watcher.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def rehearse():
        watcher.close()
        _rehearse(settings, protections, watched)

    began = _begin(rehearse)
    watched.close()
    unseen = _look_into_sender(watcher)
    watcher.close()  # Now whoever was looked at may end.
    return _reason(began), unseen if os.geteuid() else ""


def _look_into_sender(watcher):
    _, ancillary, _, _ = watcher.recvmsg(1, socket.CMSG_SPACE(cells.CREDENTIALS.size))
    for _, kind, data in ancillary:
        if kind == socket.SCM_CREDENTIALS:
            files = "/proc/%d/fd/" % cells.CREDENTIALS.unpack(data)[0]
            try:
                for name in os.listdir(files):
                    os.readlink(files + name)
            except OSError as error:
                return "the files that are open in a cell cannot be seen from outside: %s" % error
    return ""  # Or there is none: why, is told elsewhere.


def _rehearse(settings, protections, watched):
    """The life of a function once, without a function: its first cell, and then one inside for the fork of a template.
    `watched`: a socket that tells who lives in that, and closes once that has been seen."""
    base = _set_up(settings)
    control, theirs = _pair()
    cells.make(cells.Cell({"uid": settings.get("uid"), "tmp_mb": 1}, theirs), base)
    theirs.close()
    ends = _made(control)
    inner, theirs = _pair()
    cells.say(control, {"cell": {"tmp_mb": 1}}, [theirs.fileno()])
    theirs.close()
    inner_ends = _made(inner)
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            _live_once(lock.Lock(protections), ends, inner_ends)
            watched.send(b"+")
            watched.recv(1)
            os.write(write, b"+")
        except BaseException as error:
            os.write(write, ("%s: %s" % (type(error).__name__, error)).encode())
        os._exit(0)
    for fd in (write, *ends.values(), *inner_ends.values()):
        os.close(fd)
    with os.fdopen(read, "rb") as file:
        said = file.read().decode(errors="replace")
    if said != "+":
        raise RuntimeError(said or "a process that has joined a cell inside another died")


def _live_once(held, ends, inner_ends):
    cells.settle(ends)
    held.close()
    cells.settle(inner_ends)
    held.close_again()
    held.stay()
    if os.getuid() != lock.UID or os.listdir(root.TEMPORARY):
        raise RuntimeError("a cell is not what it should be")


def _pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _made(control):
    fact, fds = cells.receive(control)
    if fact is None or "made" not in fact:
        raise RuntimeError(fact["failed"] if fact else "the keeper of a cell died")
    return dict(zip(cells.ENDS, fds))


if __name__ == "__main__":
    main()
