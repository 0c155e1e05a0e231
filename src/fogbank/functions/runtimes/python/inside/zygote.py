"""Runs in the interpreter that runs people's functions (Python 3.9 or newer), and imports nothing of fogbank.

A zygote has loaded what most functions load, and forks an instance on each order. The first instance of a version
initialises the function and then, if its state survives a fork, stays behind as a *template*: a zygote of that one
version, whose forks are initialised at birth.

An order is one message on the control socket: JSON, and the file descriptors [pipe of events, pipe of replies, log pipe]
or, to found a template too, the control socket of that behind them. Answers are JSON lines: {"born": …} with the
order's number and the process id, {"ended": pid, "status": wait status}.
"""

import array
import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys

_MESSAGE_BYTES_MAX = 262144
PR_SET_PDEATHSIG = 1


class Zygote:
    def __init__(self, control, give_birth):
        self.control = control
        self.give_birth = give_birth
        self.children = set()
        self.alarm_read, self.alarm_write = os.pipe()
        os.set_blocking(self.alarm_write, False)
        os.set_blocking(self.alarm_read, False)

    def serve(self):
        """Fork on order until the control socket closes; then this process, and with it its children, ends."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.alarm_write, warn_on_full_buffer=False)
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        poller.register(self.alarm_read, select.POLLIN)
        while True:
            for fd, _ in poller.poll():
                if fd == self.alarm_read:
                    self._drain_alarm()
                    self._report_ended()
                elif not self._obey():
                    self._end_children()
                    os._exit(0)

    def _obey(self):
        """False when the other side has gone. In a new child this never returns."""
        fds = array.array("i")
        try:
            room = socket.CMSG_SPACE(4 * fds.itemsize)  # None of them is for what a function starts.
            message, ancillary, _, _ = self.control.recvmsg(_MESSAGE_BYTES_MAX, room, socket.MSG_CMSG_CLOEXEC)
        except InterruptedError:
            return True
        except ConnectionError:
            return False
        if not message:
            return False
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        order = json.loads(message)
        pid = os.fork()
        if pid == 0:
            self._leave()
            self.give_birth(order, list(fds))
            os._exit(0)
        self.children.add(pid)
        for fd in fds:
            os.close(fd)
        self._tell({"born": order["number"], "pid": pid})
        return True

    def _leave(self):
        """In the child: nothing of the parent's stays open, and it dies with its parent."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.control.close()
        os.close(self.alarm_read)
        os.close(self.alarm_write)
        die_with_parent()

    def _end_children(self):
        """And all that they have started: each leads a session of its own."""
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):  # It leads none yet, and dies with this process.
                os.killpg(pid, signal.SIGKILL)

    def _tell(self, fact):
        self.control.send(json.dumps(fact).encode())

    def _drain_alarm(self):
        try:
            while os.read(self.alarm_read, 512):
                pass
        except BlockingIOError:
            pass

    def _report_ended(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.children.discard(pid)
            self._tell({"ended": pid, "status": status})


def die_with_parent():
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # It died before we asked.
        os._exit(0)


def preload(layer):
    """What most functions import. A failure costs speed only: the function will say what it misses itself."""
    import base64, calendar, collections, concurrent.futures, contextlib, copy, csv, ctypes, dataclasses
    import datetime, decimal, email.message, enum, functools, hashlib, hmac, html, http.client, http.cookies
    import importlib, inspect, io, ipaddress, itertools, logging, logging.config, math, operator, pathlib
    import pickle, platform, queue, random, re, secrets, shutil, ssl, string, struct, subprocess, tempfile
    import textwrap, threading, time, traceback, types, typing, unicodedata, urllib.parse, urllib.request
    import uuid, xml.etree.ElementTree, zipfile, zlib

    import site  # Not run: its folders are not the function's. But people call exit().

    site.setquit()
    site.setcopyright()
    site.sethelper()
    if layer:
        sys.path.append(layer)
        try:
            import boto3
            import botocore.auth, botocore.client, botocore.endpoint, botocore.session, botocore.signers
            import botocore.httpsession, botocore.parsers, botocore.paginate, botocore.retries.adaptive
            import boto3.dynamodb.conditions, boto3.dynamodb.types, boto3.resources.factory, s3transfer

            read_models_ahead()
        except ImportError:
            pass


def read_models_ahead():
    """Every session's loader reads and parses the same large files: let each of boto3's begin with what one has read.
    One that is told to look elsewhere too begins with nothing."""
    import boto3.session

    loader = boto3.session.Session()._session.get_component("data_loader")
    known, paths = getattr(loader, "_cache", None), list(loader.search_paths)
    set_up = getattr(boto3.session.Session, "_setup_loader", None)
    if not isinstance(known, dict) or set_up is None:
        return
    loader.load_data_with_path("endpoints")
    for part in ("partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(part)
    for service in ("dynamodb", "sqs", "s3"):
        for kind in ("service-2", "endpoint-rule-set-1", "resources-1"):
            loader.load_service_model(service, kind)

    def set_up_knowing(self):
        set_up(self)
        if self._loader.search_paths == paths:
            self._loader._cache.update(known)

    boto3.session.Session._setup_loader = set_up_knowing


def main():
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import aws_lambda

    del sys.path[0]
    control = socket.socket(fileno=int(sys.argv[1]))
    preload(sys.argv[2])
    gc.collect()
    gc.freeze()
    try:
        control.send(b'{"ready": true}')
    except OSError:  # The server has ended meanwhile.
        return
    Zygote(control, aws_lambda.live).serve()


if __name__ == "__main__":
    main()
