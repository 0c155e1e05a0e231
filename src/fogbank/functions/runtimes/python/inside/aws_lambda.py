"""One Lambda function, from its initialisation to its last event, as AWS's own runtime runs it.

Lambda Developer Guide, "Building Lambda functions with Python". Frames both ways: four bytes of length, then the body.
To here: six fields (the event's facts), then the event. From here: one letter (I: initialised, R: reply, X: error),
four bytes (peak memory in KB), then the reply, the error document, or for I a document that may say how many milliseconds
the initialisation took.
"""

import fcntl
import gc
import importlib
import importlib.util
import json
import logging
import os
import random
import resource
import socket
import struct
import sys
import termios
import time
import traceback
import types

import forkable
import snapshot_restore_py  # AWS's runtime brings it, so it is there without being bundled.

# What a zygote has loaded. A process that a wrapper script starts has neither, and is in its cell already.
_lock, _zygote, _web = (sys.modules.get(name) for name in ("lock", "zygote", "web"))

REPLY_BYTES_MAX = 6 * 1024 * 1024 + 100  # Lambda quotas: invocation payload, synchronous; what the service allows over.
_RESTORE_FAILED = 65
_LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">Ic?I")
# What AWS's runtime has loaded itself before it looks for the handler: a file of such a name is not seen there either.
_NEVER_REPLACED = set(sys.builtin_module_names) | {
    "__main__",
    "abc",
    "codecs",
    "collections",
    "encodings",
    "functools",
    "importlib",
    "io",
    "json",
    "logging",
    "os",
    "re",
    "site",
    "string",
    "traceback",
    "types",
    "typing",
    "warnings",
    "weakref",
}


def live(order, ends, held):
    """The whole life of the process that a zygote has just forked for a new version (`order` says which)."""
    os.setsid()
    events, log = _Events(ends["come"], ends["go"]), ends["log"]
    template = socket.socket(fileno=ends["template"]) if "template" in ends else None
    _lock.close_all_but(ends.values())
    _become(order, log, ends.get("errors", log))
    held.close(order.get("paths"))
    if order.get("debugger"):
        wait_for_debugger(order["debugger"], lambda address: _say(events, b"D", address))
    known, draws = forkable.open_files(), forkable.Draws()
    began = time.monotonic()
    try:
        handler = _web.load(order) if order["web"] else find_handler(order["handler"])
        if order["snap_start"]:
            before_snapshot()
    except BaseException as error:
        _say(events, b"X", _plain_error(error) if order["web"] else _init_error(error))
        os._exit(1)
    init_ms = (time.monotonic() - began) * 1000
    if template is not None:
        drawn = draws.reason()
        reason = forkable.why_not(known) or ("" if order["snap_start"] else drawn)
        if not reason and order["in_cell"]:
            reason = forkable.why_not_elsewhere()
        if reason:
            print("fogbank: no snapshot of this function is kept: %s" % reason)
            template.close()
        else:
            _stay_behind_as_template(order, handler, events, template, init_ms, held, ends.get("listen"))
    held.stay()
    if order["snap_start"]:
        after_restore()
    _say_ready(events, init_ms)
    _serve(handler, events, order, ends.get("listen"))


def _serve(handler, events, order, listening):
    if order["web"]:
        _web.serve(handler, events, listening)
    serve(handler, events)


def _plain_error(error):
    """Of a web application, whose own words are in its log."""
    return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}).encode()


def wait_for_debugger(debugger, tell):
    """The function itself finds nothing of the debugger: it is imported, and its folder forgotten. `tell` is told where
    it waits."""
    sys.path.insert(0, debugger["folder"])
    try:
        import debugpy

        debugpy.configure(python=sys.executable)
        _wait_for_port(debugger["port"])
        host, port = debugpy.listen(("127.0.0.1", debugger["port"]))
        tell(("tcp://%s:%d" % (host, port)).encode())
        debugpy.wait_for_client()
    finally:
        sys.path.remove(debugger["folder"])


def _wait_for_port(port):
    """An instance before this one may still be at its last event there."""
    while port:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
                trial.listen()
                return
            except OSError:
                time.sleep(0.05)


def _stay_behind_as_template(order, handler, events, template, init_ms, held, listening):
    """All instances are forks of this process, the first one too: it gets its pipes from here. Never returns."""
    gc.collect()
    gc.freeze()
    kept = {**events.ends(), "log": os.dup(1)}
    if order["web"]:
        kept.update(errors=os.dup(2), listen=listening)
    sys.stdout.flush()
    sys.stderr.flush()
    _redirect(os.open(os.devnull, os.O_WRONLY))
    folder = os.getcwd()

    # What `_wake` does cannot fail, but for the function's own hooks.
    greeting = b"" if order["snap_start"] else _frame(b"I", b"{}", wrote=False, peak_kb=0)

    def give_birth(newer, ends):
        os.setsid()
        if order["in_cell"]:
            held.close_again()
            _return_to(folder, order)  # The namespace of a cell has another root.
        held.stay()
        _redirect(ends["log"], ends.get("errors"))
        first = "first" in newer
        began = time.monotonic()
        _wake(order, newer)
        events = _Events(ends["come"], ends["go"])
        if first or not greeting:
            took_ms = (time.monotonic() - began) * 1000 + (init_ms if first else 0)
            _say_ready(events, took_ms, restored=not first)
        if newer.get("spare") and not order["web"]:
            _rehearse()
        _serve(handler, events, order, ends.get("listen"))

    template.send(json.dumps({"initialised": init_ms}).encode())
    if order["snapshot"]:
        _read_frame(events)  # No event comes this way: it closes once whoever waits for the snapshot knows of it.
        for fd in kept.values():
            os.close(fd)
        kept = {}
    _zygote.Zygote(template, give_birth, kept, in_cells=order["in_cell"], greeting=greeting).serve()


def _return_to(folder, order):
    try:
        os.chdir(folder)
    except OSError:
        os.chdir(order["code"])


def _wake(order, newer):
    """What must differ between two instances that were one process a moment ago. The module random sees to itself."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
    for name, value in newer.get("own_environment", {}).items():
        os.environ[name] = value
    if order["snap_start"]:
        after_restore()


def _rehearse():
    """An event, without the function: a process has to copy what it writes to first after its fork, and one that waits has
    the time for it."""
    answer(lambda event, context: event, b"{}", ["", "", "0", "", "", ""])
    sys.stdout.flush()
    sys.stderr.flush()
    _frame(b"R", b"", _lines_wait(), _peak_kb())


def before_snapshot():
    """ "Implement code before or after Lambda function snapshots": in reverse order of registration."""
    for function, arguments, options in reversed(_hooks("get_before_snapshot")):
        function(*arguments, **options)


def after_restore():
    """In order of registration. One that fails ends the process, with the status that AWS's runtime ends with."""
    try:
        for function, arguments, options in _hooks("get_after_restore"):
            function(*arguments, **options)
    except BaseException as error:
        _log_error(error_document(error, ""))
        sys.stdout.flush()
        os._exit(_RESTORE_FAILED)


def _hooks(which):
    """As they were registered with AWS's module, or with the one of that name that the function brings."""
    module = sys.modules.get("snapshot_restore_py")
    return getattr(module, which)() if module is not None else ()


def _become(order, log, errors):
    """From a zygote's fork to a function's process: output, environment, folder, path."""
    _point_output_at(log, errors)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.environ.update(order.get("own_environment", {}))
    time.tzset()
    os.chdir(order["code"])
    random.seed()
    if order["web"]:
        _make_way([order["code"]])
        _web.set_up(order)
        importlib.invalidate_caches()
        return
    sys.argv[:] = ["/var/runtime/bootstrap.py"]
    own = _folders(order)
    sys.path[:0] = own
    os.environ["PYTHONPATH"] = os.pathsep.join([*own, order["sdk"]] if order["sdk"] else own)
    _make_way(own)
    importlib.invalidate_caches()
    _set_up_logging()


def _folders(order):
    """Where the function's modules lie: its code, its own PYTHONPATH, its layers; a later layer covers an earlier."""
    asked = [path for path in order["environment"].get("PYTHONPATH", "").split(os.pathsep) if path]
    layers = [os.path.join(layer, "python") for layer in reversed(order["layers"])]
    version = "python%d.%d" % sys.version_info[:2]
    packages = [os.path.join(layer, "lib", version, "site-packages") for layer in layers]
    return [order["code"], *asked, *layers, *(path for path in packages if os.path.isdir(path))]


def _make_way(folders):
    """A module that the zygote has loaded, and the function has one of the same name, is the function's."""
    names = {
        "aws_lambda", "cells", "filters", "forkable", "forks", "hosts", "kernel", "landlock", "lock", "root", "web",
        "zygote",
    }  # fmt: skip
    for folder in folders:
        try:
            names.update(name.partition(".")[0] for name in os.listdir(folder))
        except OSError:
            continue
    names -= _NEVER_REPLACED
    for loaded in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[loaded]


def _point_output_at(log, errors):
    sys.stdout.flush()
    sys.stderr.flush()
    _redirect(log, errors)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _redirect(fd, errors=None):
    os.dup2(fd, 1)
    os.dup2(fd if errors is None else errors, 2)
    for end in {fd, fd if errors is None else errors}:
        if end > 2:
            os.close(end)


# -- the handler --


def find_handler(name):
    module_name, dot, function = name.rpartition(".")
    if not dot:
        raise HandlerError(
            "Runtime.MalformedHandlerName", "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % name
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise HandlerError(
            "Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error)
        ) from error
    except SyntaxError as error:
        text = "Syntax error in module '%s': %s" % (module_name, error)
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, (error.text or "").strip())]
        raise HandlerError("Runtime.UserCodeSyntaxError", text, trace) from error
    try:
        return getattr(module, function)
    except AttributeError:
        text = "Handler '%s' missing on module '%s'" % (function, module_name)
        raise HandlerError("Runtime.HandlerNotFound", text) from None


class HandlerError(Exception):
    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind, self.trace = kind, list(trace)


def _init_error(error):
    if isinstance(error, HandlerError):
        document = {"errorMessage": str(error), "errorType": error.kind, "requestId": "", "stackTrace": error.trace}
    elif isinstance(error, SystemExit):
        document = {
            "errorMessage": "RequestId: {} Error: Runtime exited with error: exit status %s" % _status(error),
            "errorType": "Runtime.ExitError",
        }
        return json.dumps(document).encode()
    else:
        document = error_document(error, "", own_frames=False)
    _log_error(document)
    return json.dumps(document).encode()


def _status(error):
    return error.code if isinstance(error.code, int) else 0 if error.code is None else 1


# -- events --


class Context:
    """Lambda Developer Guide, "Using the Lambda context object to retrieve Python function information"."""

    tenant_id = None

    def __init__(self, facts):
        self.aws_request_id, self.invoked_function_arn, deadline_ms, _, client, identity = facts
        client = json.loads(client) if client else None
        identity = json.loads(identity) if identity else {}
        self.client_context = _client_context(client)
        self.identity = types.SimpleNamespace(
            cognito_identity_id=identity.get("cognitoIdentityId"),
            cognito_identity_pool_id=identity.get("cognitoIdentityPoolId"),
        )
        self._deadline_ms = int(deadline_ms)
        self.__dict__.update(_instance_facts)

    def get_remaining_time_in_millis(self):
        return max(self._deadline_ms - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))


def _client_context(given):
    if given is None:
        return None
    client = given.get("client") or {}
    names = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")
    return types.SimpleNamespace(
        client=types.SimpleNamespace(**{name: client.get(name) for name in names}),
        custom=given.get("custom"),
        env=given.get("env"),
    )


_instance_facts = {}  # What every context of this instance says.
_INSTANCE_FACTS = {
    "log_group_name": "AWS_LAMBDA_LOG_GROUP_NAME",
    "log_stream_name": "AWS_LAMBDA_LOG_STREAM_NAME",
    "function_name": "AWS_LAMBDA_FUNCTION_NAME",
    "function_version": "AWS_LAMBDA_FUNCTION_VERSION",
    "memory_limit_in_mb": "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
}


def _say_ready(events, init_ms, restored=False):
    _say(events, b"I", b'{"init_ms": %f, "restored": %s}' % (init_ms, b"true" if restored else b"false"))


def serve(handler, events):
    """Answer events until the other side closes the pipe."""
    _instance_facts.update((name, os.environ.get(variable)) for name, variable in _INSTANCE_FACTS.items())
    while True:
        frame = _read_frame(events)
        if frame is None:
            os._exit(0)
        *facts, payload = frame.split(b"\0", _FACTS)
        facts = [fact.decode("utf-8", "surrogateescape") for fact in facts]
        _log_filter.request_id = facts[0]
        os.environ["_X_AMZN_TRACE_ID"] = facts[3]
        kind, reply = answer(handler, payload, facts)
        sys.stdout.flush()
        sys.stderr.flush()
        _say(events, kind, reply)


def answer(handler, payload, facts):
    try:
        event = _decode(payload.decode())
    except ValueError as error:
        return b"X", _told(
            error_document(error, facts[0], kind="Runtime.UnmarshalError", text="Unable to unmarshal input: %s" % error)
        )
    try:
        result = handler(event, Context(facts))
    except SystemExit as error:
        sys.stdout.flush()
        os._exit(_status(error))
    except BaseException as error:
        return b"X", _told(error_document(error, facts[0]))
    try:
        reply = _encode(result).encode("utf-8", "surrogatepass")
    except Exception as error:
        document = error_document(
            error, facts[0], kind="Runtime.MarshalError", text="Unable to marshal response: %s" % error
        )
        return b"X", _told({**document, "stackTrace": []})
    if len(reply) > REPLY_BYTES_MAX:
        text = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
        return b"X", json.dumps({"errorMessage": text, "errorType": "Function.ResponseSizeTooLarge"}).encode()
    return b"R", reply


def _decimal(value):
    """As the runtime's encoder does: a Decimal becomes a number, all else is refused by name."""
    if type(value).__name__ == "Decimal":
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


_FACTS = 6  # Before an event, each with a NUL: request id, ARN, deadline in ms, trace, client context, identity.
_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(ensure_ascii=False, default=_decimal).encode


def error_document(error, request_id, *, kind="", text="", own_frames=True):
    frames = [
        (frame.filename, frame.lineno, frame.name, frame.line) for frame in traceback.extract_tb(error.__traceback__)
    ]
    frames = [frame for frame in frames if frame[0] != __file__]
    if not own_frames:
        frames = [frame for frame in frames if "importlib" not in frame[0]]
    return {
        "errorMessage": text or str(error),
        "errorType": kind or type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_list(frames),
    }


def _told(document):
    _log_error(document)
    return json.dumps(document).encode()


def _log_error(document):
    """One log event: \\r stands for a line's end inside it."""
    if _logs_are_json():
        said = {"timestamp": time.strftime(_JSON_TIME, time.gmtime()), "level": "ERROR", **document}
        print(json.dumps(said, ensure_ascii=False))
        return
    told = ["[ERROR] %s: %s" % (document["errorType"], document["errorMessage"])]
    if document.get("stackTrace") is not None:
        told.append("Traceback (most recent call last):")
        for line in "".join(document["stackTrace"]).splitlines():
            text = line.lstrip(" ")  # Its indentation of spaces that no viewer of logs drops.
            told.append("\u00a0" * (len(line) - len(text)) + text)
    print("\r".join(told))


# -- logging, in Lambda's form --


class _RequestId(logging.Filter):
    request_id = ""

    def filter(self, record):
        record.aws_request_id = self.request_id
        return True


class _Handler(logging.Handler):
    def emit(self, record):
        sys.stdout.write(self.format(record).replace("\n", "\r") + "\n")


_JSON_TIME = "%Y-%m-%dT%H:%M:%SZ"
# Of a record, what is not said as it stands: all else (an `extra`) is said by its own name.
_NOT_SAID = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) - {"taskName"} | {"aws_request_id"}


class _JsonFormatter(logging.Formatter):
    """ "Using structured JSON logs with Python" (Lambda Developer Guide), as AWS's runtime words it."""

    def format(self, record):
        kind, error, trace = record.exc_info or (None, None, None)
        said = {
            "timestamp": self.formatTime(record, _JSON_TIME),
            "level": logging.getLevelName(min(50, max(0, record.levelno)) // 10 * 10),
            "message": record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(trace) if kind else None,
            "errorType": kind.__name__ if kind else None,
            "errorMessage": str(error) if kind else None,
            "requestId": record.aws_request_id,
            "location": "%s:%s:%d" % (record.pathname, record.funcName, record.lineno) if kind else None,
        }
        more = {name: value for name, value in vars(record).items() if name not in _NOT_SAID and name not in said}
        whole = {name: value for name, value in {**said, **more}.items() if value is not None}
        return json.dumps(whole, ensure_ascii=False, default=str)


_log_filter = _RequestId()


def _logs_are_json():
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def _set_up_logging():
    logging.Formatter.converter = time.gmtime
    handler = _Handler()
    if _logs_are_json():
        handler.setFormatter(_JsonFormatter())
        level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
        if level:
            logging.getLogger().setLevel({"TRACE": "DEBUG"}.get(level, level))
    else:
        form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        handler.setFormatter(logging.Formatter(form, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(_log_filter)
    logging.getLogger().handlers[:] = [handler]


# -- frames --


class _Events:
    """The pipe that events come by, and the one that replies go by: a socket pair costs half as much again."""

    def __init__(self, come, go):
        self._come, self._go = come, go

    def read(self, size):
        return os.read(self._come, size)

    def write(self, data):
        sent = os.write(self._go, data)
        while sent < len(data):
            sent += os.write(self._go, memoryview(data)[sent:])

    def ends(self):
        return {"come": self._come, "go": self._go}


def _say(events, kind, body):
    """A frame: its kind, whether lines wait in the log's pipe, the peak of memory in KB, and the body."""
    events.write(_frame(kind, body, _lines_wait(), _peak_kb()))


def _frame(kind, body, wrote, peak_kb):
    return _HEAD.pack(_HEAD.size - _LENGTH.size + len(body), kind, wrote, peak_kb) + body


def _peak_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _lines_wait():
    try:
        return fcntl.ioctl(1, termios.FIONREAD, b"\0\0\0\0") != b"\0\0\0\0"
    except OSError:  # Not the pipe any more: somebody has made something else of it.
        return True


def _read_frame(events):
    """The next frame, in one read where it is small: no other follows before this one is answered."""
    data = events.read(65536)
    if 0 < len(data) < _LENGTH.size:
        data += _read_exactly(events, _LENGTH.size - len(data)) or b""
    if len(data) < _LENGTH.size:
        return None
    missing = _LENGTH.size + _LENGTH.unpack_from(data)[0] - len(data)
    if missing <= 0:
        return data[_LENGTH.size :]
    rest = _read_exactly(events, missing)
    return None if rest is None else data[_LENGTH.size :] + rest


def _read_exactly(events, size):
    first = events.read(size)
    if len(first) == size:
        return first
    pieces, have = [first], len(first)
    while have < size:
        piece = events.read(min(size - have, 1048576)) if pieces[-1] else b""
        if not piece:
            return None
        pieces.append(piece)
        have += len(piece)
    return b"".join(pieces)
