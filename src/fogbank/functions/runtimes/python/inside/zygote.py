"""Runs in the interpreter that runs people's functions (Python 3.9 or newer), and imports nothing of fogbank.

A zygote has loaded what most functions load, and forks an instance on each order. The first process of a version
initialises the function and then, if its state survives a fork, stays behind as a *template*: a zygote of that one
version, whose forks are initialised at birth.

An order is one message on the control socket: JSON, and the descriptors that its "fds" names: pipes of events and replies,
the log's pipe; to found a template the control socket of that; and what the instance is to be put into, the namespaces of
a cell and control groups. Answers are JSON: {"born": …} with the order's number, sent by the newborn itself, since the
kernel tells the server who it is that sends; {"ended": wait status, "pid": …} of a child; from a template
{"initialised": true}, before all else.
"""

import _signal
import contextlib
import functools
import gc
import json
import os
import select
import signal
import socket
import sys

import cells
import forks
import kernel

with forks.left_out():
    import concurrent.futures.thread
    import logging


class Zygote:
    def __init__(self, control, give_birth, kept=(), *, in_cells, greeting=b""):
        """`kept`: descriptors by name, of the first instance, which was promised them before this was a template.
        `in_cells`: each child goes into a cell, whose keeper tells of its end. `greeting`: what each child says by its
        pipe of replies as soon as it is there, so that its first event is on its way while it makes itself ready."""
        self.control = control
        self.give_birth = give_birth
        self.greeting = greeting
        self.in_cells = in_cells
        self.kept = dict(kept)
        self.children = set()
        self.alarm_read, self.alarm_write = os.pipe()
        os.set_blocking(self.alarm_write, False)
        os.set_blocking(self.alarm_read, False)

    def serve(self):
        """Fork on order until the control socket closes; then this process, and with it its children, ends."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN if self.in_cells else lambda *_: None)
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
        try:
            order, fds = cells.receive(self.control)
        except InterruptedError:
            return True
        if order is None:
            return False
        ends = dict(zip(order.get("fds", ()), fds))
        if "first" in order:  # Others may have come before it.
            ends, self.kept = {**self.kept, **ends}, {}
        begin = functools.partial(self._say_born, order, ends)
        # Into a cell it forks once more (`cells.settle`): what has to be done after a fork is done then.
        pid = kernel.clone() if self.in_cells else forks.fork(begin)
        if pid == 0:
            if self.in_cells:
                cells.settle(ends, begin)
            self._be_alone()
            self.give_birth(order, ends)
            os._exit(0)
        if not self.in_cells:
            self.children.add(pid)
        for fd in ends.values():
            os.close(fd)
        return True

    def _say_born(self, order, ends):
        """In the child, where it is to live. What is touched from here on each instance has for itself: so no more of
        Python runs than must."""
        if not self.in_cells:
            cells.enter_groups(ends)
        try:
            self.control.send(b'{"born": %d}' % order["number"])
            if self.greeting and "first" not in order:
                os.write(ends["go"], self.greeting)
        except OSError:  # The server has ended, or wants this one no more.
            os._exit(0)

    def _be_alone(self):
        """In the child: nothing of the parent's stays open, and it does not outlive it."""
        signal.set_wakeup_fd(-1)
        if not self.in_cells:  # Else that is so already.
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        for fd in (self.alarm_read, self.alarm_write, self.control.detach(), *self.kept.values()):
            os.close(fd)
        if not self.in_cells:  # Else its keeper sees to that.
            die_with_parent()

    def _end_children(self):
        """And all that they have started: each leads a session of its own."""
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):  # It leads none yet, and dies with this process.
                os.killpg(pid, signal.SIGKILL)

    def _drain_alarm(self):
        try:
            while os.read(self.alarm_read, 512):
                pass
        except BlockingIOError:
            pass

    def _report_ended(self):
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            with contextlib.suppress(OSError):  # What it has started. Until it is buried its id is its own.
                os.killpg(found.si_pid, signal.SIGKILL)
            pid, status = os.waitpid(found.si_pid, 0)
            self.children.discard(pid)
            with contextlib.suppress(OSError):  # The server has gone.
                self.control.send(json.dumps({"ended": status, "pid": pid}).encode())


def die_with_parent():
    parent = os.getppid()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # It died before we asked.
        os._exit(0)


def preload(layer, loads_sdk):
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
    if loads_sdk:
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


def main(control, layer, loads_sdk, held, live, load_web):
    """`layer`: where the SDK lies, if it is lent; `held`: what each instance gives up before it runs people's code;
    `live`: its life from then on; `load_web`: loads what web applications need instead, which then is what `layer` has."""
    control = socket.socket(fileno=control)
    preload("" if load_web else layer, loads_sdk)
    if load_web:
        load_web(layer)
    gc.collect()
    gc.freeze()
    kernel.take_huge_pages()
    try:
        control.send(b'{"ready": true}')
    except OSError:  # The server has ended meanwhile.
        return
    Zygote(control, lambda order, ends: live(order, ends, held), in_cells=held.namespaces).serve()
