"""Starts programs on order, and lets none outlive the server: they die with this process, and it with its control socket.

An order is one message on the control socket: JSON (the command, its folder and its environment) and the descriptors of
a pipe for its output and of one that tells how its start went: an errno in digits, or nothing where it runs.
"""

import gc
import os
import resource
import signal
import socket
import sys

_COULD_NOT = 127


def main():
    sys.path.insert(0, sys.argv[2])
    import zygote

    control = socket.socket(fileno=int(sys.argv[1]))
    gc.freeze()
    try:
        control.send(b'{"ready": true}')
    except OSError:  # The server has ended meanwhile.
        return
    zygote.Zygote(control, become).serve()


def become(order, fds):
    """In the new process: never returns. What a sandbox will add to the birth of a program belongs here."""
    output, report = fds
    os.set_inheritable(report, False)
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    limit()
    try:
        os.chdir(order["folder"])
        os.execve(order["command"], [order["command"]], order["environment"])
    except OSError as error:
        os.write(report, b"%d" % error.errno)
        os._exit(_COULD_NOT)


def limit():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))  # Lambda quotas: file descriptors.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores the last two.
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    main()
