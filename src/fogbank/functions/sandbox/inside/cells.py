"""Cells: namespaces that hold one instance each, kept by a process that is the first in them.

A *keeper* is process 1 of its cell: it ends with all that is in the cell when its control socket closes. It starts
programs there, or another process joins, by the four namespaces that are handed out. The keeper of a cell in which a
template lives makes further cells inside: only there may that template's forks, which have no rights anywhere else, go.
They are then its children, and it tells how they ended (pid_namespaces(7): an orphan goes to process 1 of its parent's).
The keeper of a cell inside only waits: there are as many of them as instances, and what one touches is held as often.

Orders are one message each on a SEQPACKET socket, JSON with file descriptors; so are answers. A message about a process
carries it, so that the kernel makes of its id the one that the server knows it by.
"""

import _signal
import array
import json
import os
import select
import signal
import socket
import struct
import time

import forks
import kernel
import lock
import root

ENDS = ("user", "mnt", "ipc", "pid")
_KINDS = (kernel.NEWUSER, kernel.NEWNS, kernel.NEWIPC, kernel.NEWPID)
_MESSAGE_BYTES_MAX = 262144
_FDS_MAX = 16
CREDENTIALS = struct.Struct("3i")
# Plain numbers, and the parser without what leads to it: each order is read before a fork, and what is touched for it
# is held once more by every child.
_ROOM = socket.CMSG_SPACE(_FDS_MAX * 4)
_SOL_SOCKET, _SCM_RIGHTS, _CLOSE_ON_EXEC = map(int, (socket.SOL_SOCKET, socket.SCM_RIGHTS, socket.MSG_CMSG_CLOEXEC))
_scan = json.JSONDecoder().scan_once
_COULD_NOT = 127
_LEAVE_S = 0.02  # To end takes a processor for as long as a third of a birth: that has them for itself.


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


def make_inside(order, control):
    """Start the keeper of a cell inside this one; returns in the process that was there before, at once. `control`: the
    descriptor of its socket. It is left as it is born: a child of it, gone when the cell is made, does the work."""
    try:
        keeper = kernel.clone(kernel.NEWUSER | kernel.NEWNS | kernel.NEWIPC | kernel.NEWPID)
    except kernel.KernelError as error:
        with socket.socket(fileno=os.dup(control)) as end:
            say(end, {"failed": str(error)})
        return
    if keeper:
        return
    try:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        worker = kernel.clone()
        if worker == 0:
            _make_ready(order, socket.socket(fileno=control))
        if os.waitpid(worker, 0)[1] == 0:
            _wait_for_end(control)
    finally:
        os._exit(0)


def _make_ready(order, control):
    """Of the first process beside its keeper. Never returns."""
    try:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # Else /proc/self is root's, and with it the map of ids.
        kernel.map_ids(lock.UID, lock.GID, lock.UID, lock.GID)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        _furnish(Cell(order, control), ())
        _hand_out(control, keeper=1)
        os._exit(0)
    except BaseException as error:
        say(control, {"failed": "%s: %s" % (type(error).__name__, error)})
    finally:
        os._exit(1)


def _wait_for_end(control):
    """Nobody in the cell looks into this process: it is not dumpable, as its parent is not. What ends there without a
    parent of its own, the kernel buries (wait(2): SIGCHLD is ignored)."""
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    os.closerange(3, control)
    os.closerange(control + 1, lock.DESCRIPTORS_MAX)
    os.read(control, 1)


def _hand_out(control, keeper):
    """The namespaces of this process, in the name of their first."""
    fds = [os.open("/proc/self/ns/" + name, os.O_RDONLY | os.O_CLOEXEC) for name in ENDS]
    say(control, {"made": True}, fds, keeper)
    for fd in fds:
        os.close(fd)


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


def settle(ends, first=None):
    """Of a process that was just forked: go where it is to live, its control groups and its cell, and take those
    descriptors out of `ends`. With a cell it returns in another process, as an id in it comes by a fork only, which has
    called `first` before all else."""
    enter_groups(ends)
    if ENDS[0] not in ends:
        return
    for name, kind in zip(ENDS, _KINDS):
        fd = ends.pop(name)
        kernel.setns(fd, kind)
        os.close(fd)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # Whoever this process leaves its child to hears how that ended.
    if forks.fork(first):
        for fd in ends.values():  # Else whoever is at their other ends hears of the child's end this much later.
            os.close(fd)
        time.sleep(_LEAVE_S)
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
        _hand_out(self.control, os.getpid())
        self.run()

    def obey(self, order, fds):
        if "cell" in order:
            make_inside(order["cell"], fds[0])
            os.close(fds[0])
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
        say(self.control, fact, whose=pid)


def _become(order, ends):
    """In a new process: a program. `ends`: its output, perhaps another for errors; perhaps the socket of its events, one
    to listen on, a pipe for the errno of its start, and its control groups."""
    report = ends.get("report")
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        enter_groups(ends)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(ends["output"], 1)
        os.dup2(ends.get("errors", ends["output"]), 2)
        lock.close_all_but([ends[name] for name in ("events", "listen", "report") if name in ends])
        for name in ("events", "listen"):
            if name in ends:
                os.set_inheritable(ends[name], True)
        os.chdir(order["folder"])
        held = lock.Lock(order["protections"])
        held.close(order.get("paths"))
        held.stay()
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # A change of its user would have taken it back.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them.
            signal.signal(number, signal.SIG_DFL)
        command = [str(ends[word[1:-1]]) if word in ("{events}", "{listen}") else word for word in order["run"]]
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
    fds = ()
    try:
        message, ancillary, _, _ = control.recvmsg(_MESSAGE_BYTES_MAX, _ROOM, _CLOSE_ON_EXEC)
    except ConnectionError:
        return None, fds
    for level, kind, data in ancillary:
        if level == _SOL_SOCKET and kind == _SCM_RIGHTS:
            fds = memoryview(data[: len(data) - len(data) % 4]).cast("i").tolist()
    return (_scan(message.decode(), 0)[0] if message else None), fds


def say(control, fact, fds=(), whose=0):
    """`whose`: the process that it is said of, where the kernel lets this one speak for it: in a cell of its own."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    if whose:
        credentials = CREDENTIALS.pack(whose, os.getuid(), os.getgid())
        ancillary.append((socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials))
    try:
        control.sendmsg([json.dumps(fact).encode()], ancillary)
    except OSError:
        pass  # The server has gone.
