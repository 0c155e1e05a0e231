"""Cells: namespaces that hold one instance each, kept by a process that is the first in them.

A *keeper* is process 1 of its cell: it ends with all that is in the cell when its control socket closes. It starts
programs there, or another process joins, by the four namespaces that the keeper hands out. The keeper of a cell in which a
template lives makes further cells inside: only there may that template's forks, which have no rights anywhere else, go.
They are then its children, and it tells how they ended (pid_namespaces(7): an orphan goes to process 1 of its parent's).

Orders are one message each on a SEQPACKET socket, JSON with file descriptors; so are answers. A message about a process
carries it, so that the kernel makes of its id the one that the server knows it by.
"""

import array
import json
import os
import select
import signal
import socket
import struct

import kernel
import lock
import root

ENDS = ("user", "mnt", "ipc", "pid")
_KINDS = (kernel.NEWUSER, kernel.NEWNS, kernel.NEWIPC, kernel.NEWPID)
_MESSAGE_BYTES_MAX = 262144
_FDS_MAX = 16
CREDENTIALS = struct.Struct("3i")
_COULD_NOT = 127


class Cell:
    """What an order asks for, {"uid", "tmp_mb", "trees": {place inside: folder}}, and the keeper's control socket."""

    def __init__(self, order, control):
        self.uid, self.tmp_mb, self.trees = order.get("uid"), order["tmp_mb"], order.get("trees", {})
        self.control = control


def make(cell, base=None):
    """Start the keeper of a new cell; returns in the process that was there before, at once. `base`: the mount namespace
    that the cell's begins as, else that of the caller."""
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    try:
        trees = [(kernel.tree(path), at) for at, path in cell.trees.items()]
        if base is not None:
            kernel.setns(base, kernel.NEWNS)
        uid, gid = _step_down(cell.uid)
        kernel.unshare(kernel.NEWUSER | kernel.NEWNS | kernel.NEWIPC | kernel.NEWPID)
        kernel.map_ids(uid, gid, lock.UID, lock.GID)
        if os.fork():
            os._exit(0)
        signal.set_wakeup_fd(-1)
        lock.close_all_but([cell.control.fileno(), *(fd for fd, _ in trees)])
        _furnish(cell, trees)
    except BaseException as error:
        say(cell.control, {"failed": "%s: %s" % (type(error).__name__, error)})
        os._exit(1)
    try:
        Keeper(cell.control).serve()
    finally:
        os._exit(0)


def _step_down(uid):
    """To the user that owns the cell: a template, which is nobody else, may then join those inside its own."""
    if uid is not None and os.geteuid() == 0:
        os.setgroups([])
        kernel.prctl(kernel.PR_SET_SECUREBITS, kernel.NO_SETUID_FIXUP)
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # Else /proc/self is root's, and with it the map of ids.
    return os.geteuid(), os.getegid()


def _furnish(cell, trees):
    kernel.make_private()
    attach(trees)
    mount_tmp(cell.tmp_mb)
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    os.umask(0o022)
    os.chdir("/")


def attach(trees):
    for fd, at in trees:
        kernel.attach(fd, at)
        os.close(fd)


def mount_tmp(size_mb, flags=0):
    options = "size=%dm,mode=1777,nr_inodes=%d" % (size_mb, size_mb * 256)
    kernel.mount("tmp", root.TEMPORARY, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | flags, options)


def settle(ends):
    """Of a process that was just forked: go where it is to live, its control groups and its cell, and take those
    descriptors out of `ends`. Returns in another process if there is a cell: an id in it comes by a fork only."""
    enter_groups(ends)
    if ENDS[0] not in ends:
        return
    for name, kind in zip(ENDS, _KINDS):
        fd = ends.pop(name)
        kernel.setns(fd, kind)
        os.close(fd)
    if os.fork():
        os._exit(0)


def enter_groups(ends):
    """Each descriptor is the open list of the processes of one."""
    for name in [name for name in ends if name.startswith("group")]:
        fd = ends.pop(name)
        os.write(fd, b"0")
        os.close(fd)


class Loop:
    """Orders on a control socket, programs that are started, and children that end."""

    def __init__(self, control):
        self.control = control
        self._alarm, alarm = os.pipe()
        for fd in (self._alarm, alarm):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def run(self):
        """Until the control socket closes."""
        poller = select.poll()
        for waited in (self.control, self._alarm):
            poller.register(waited, select.POLLIN)
        while True:
            for fd, _ in poller.poll():
                if fd == self._alarm:
                    self._reap()
                    continue
                order, fds = receive(self.control)
                if order is None:
                    return
                self.obey(order, fds)

    def _reap(self):
        try:
            while os.read(self._alarm, 512):
                pass
        except BlockingIOError:
            pass
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            killed = found.si_code != os.CLD_EXITED
            self.tell({"ended": found.si_status if killed else found.si_status << 8}, found.si_pid)
            os.waitpid(found.si_pid, 0)  # Not before: as long as it waits its id is its own.

    def obey(self, order, fds):
        if "run" in order:
            self._start(order, fds)

    def _start(self, order, fds):
        pid = os.fork()
        if pid == 0:
            _become(order, dict(zip(order["fds"], fds)))
        self.tell({"started": order["number"]}, pid)
        for fd in fds:
            os.close(fd)

    def tell(self, fact, pid):
        raise NotImplementedError


class Keeper(Loop):
    """Process 1 of a cell."""

    def __init__(self, control):
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # Nobody in the cell looks into it.
        super().__init__(control)

    def serve(self):
        fds = [os.open("/proc/self/ns/" + name, os.O_RDONLY | os.O_CLOEXEC) for name in ENDS]
        say(self.control, {"made": True}, fds)
        for fd in fds:
            os.close(fd)
        self.run()

    def obey(self, order, fds):
        if "cell" in order:
            control = socket.socket(fileno=fds[0])
            make(Cell(order["cell"], control))
            control.close()
        elif "attach" in order:
            self._furnish_later(order, fds)
        else:
            super().obey(order, fds)

    def _furnish_later(self, order, fds):
        try:
            attach(list(zip(fds, order["attach"])))
            mount_tmp(order["tmp_mb"], kernel.MS_REMOUNT)
        except kernel.KernelError as error:
            say(self.control, {"failed": str(error)})
            return
        say(self.control, {"attached": True})

    def tell(self, fact, pid):
        whose = CREDENTIALS.pack(pid, os.getuid(), os.getgid())
        try:
            self.control.sendmsg([json.dumps(fact).encode()], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, whose)])
        except OSError:
            pass  # The server has gone.


def _become(order, ends):
    """In a new process: a program. `ends`: its output; perhaps the socket of its events, a pipe for the errno of its
    start, and its control groups."""
    report = ends.get("report")
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        enter_groups(ends)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(ends["output"], 1)
        os.dup2(ends["output"], 2)
        lock.close_all_but([ends[name] for name in ("events", "report") if name in ends])
        if "events" in ends:
            os.set_inheritable(ends["events"], True)
        os.chdir(order["folder"])
        held = lock.Lock(order["protections"])
        held.close(order.get("paths"))
        held.stay()
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # A change of its user would have taken it back.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them.
            signal.signal(number, signal.SIG_DFL)
        command = [str(ends["events"]) if word == "{events}" else word for word in order["run"]]
        os.execve(command[0], command, order["environment"])
    except BaseException as error:
        number = error.errno if isinstance(error, OSError) else 0
        if report is not None and number:
            os.write(report, b"%d" % number)
        else:
            os.write(2, ("fogbank: %s: %s\n" % (type(error).__name__, error)).encode())
    finally:
        os._exit(_COULD_NOT)


def receive(control):
    """One message and its descriptors; None when the other side has gone."""
    fds = array.array("i")
    try:
        room = socket.CMSG_SPACE(_FDS_MAX * fds.itemsize)
        message, ancillary, _, _ = control.recvmsg(_MESSAGE_BYTES_MAX, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        return None, []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return (json.loads(message) if message else None), list(fds)


def say(control, fact, fds=()):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        control.sendmsg([json.dumps(fact).encode()], ancillary)
    except OSError:
        pass  # The server has gone.
