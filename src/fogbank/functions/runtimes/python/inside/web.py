"""One function as Google runs it: an application of its own functions-framework, answered at the socket it was born with.

WSGI as gunicorn's threads run it (PEP 3333): a thread for each connection, as many of those as the server opens. Who asks
is always fogbank, so a request's form is known: a head, and a body of the length that it tells.
"""

import errno
import gc
import io
import os
import select
import socket
import sys
import threading
import time
import traceback
from urllib.parse import unquote_to_bytes

import hosts

_HEAD_LINES_MAX = 1000
_PEER = ("169.254.169.126", "0")  # Of a request on Cloud Run: the sandbox's own end.
_SERVER = ("0.0.0.0", "8080")
_WITHOUT_BODY = ("1", "204", "304")
_GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)  # What is said of a connection whose other end has gone.


def preload(layer):
    """What the function's own packages are too, of the same versions: whoever sends an order has seen to that."""
    sys.path.append(layer)
    try:
        import flask, functions_framework, cloudevents.http, functions_framework.background_event
        import werkzeug.serving, jinja2, requests, concurrent.futures.thread

        try:
            import google.cloud.firestore
        except ImportError:
            pass
    except ImportError:
        pass
    sys.path.remove(layer)
    gc.collect()


def set_up(order):
    """Once its environment and folder are there."""
    sys.argv[:] = ["functions-framework"]
    folders = [os.path.join(layer, "python") for layer in order["layers"]]
    sys.path[:] = [order["code"], *(path for path in sys.path if path != order["code"]), *folders]
    hosts.redirect(os.environ.get("GCE_METADATA_HOST", "").partition("/")[0])


def load(_):
    """The application. Its errors are on the second output, as where they end the container."""
    try:
        import functions_framework

        # It knows main.py by the folder that it was loaded in itself, and that was another.
        app = functions_framework.create_app(source=os.environ.get("FUNCTION_SOURCE") or os.path.realpath("main.py"))
    except SystemExit:
        raise
    except BaseException as error:
        error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, error.__traceback__)
        sys.stderr.flush()
        raise
    return app if hasattr(app, "wsgi_app") else _Asgi(app)


class _Asgi:
    """What `functions_framework.aio` makes: run as Google does, by the uvicorn that the framework brings."""

    def __init__(self, app):
        self.app = app
        import uvicorn, uvicorn.protocols.http.h11_impl, uvicorn.lifespan.on, asyncio

    def serve(self, listening):
        import uvicorn

        config = uvicorn.Config(
            self.app, log_level="error", access_log=False, server_header=False, date_header=False, ws="none",
            timeout_keep_alive=86400, http="h11", loop="asyncio",
        )  # fmt: skip
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None
        server.run(sockets=[listening])


def serve(app, events, listening):
    """Until the other side closes the pipe of events; nothing comes by that."""
    listening = socket.socket(fileno=listening)
    if isinstance(app, _Asgi):
        threading.Thread(target=_end_with, args=(events,), daemon=True).start()
        app.serve(listening)
        os._exit(0)
    listening.setblocking(True)
    poller = select.poll()
    poller.register(listening, select.POLLIN)
    poller.register(events.ends()["come"], select.POLLIN)
    while True:
        for fd, _ in poller.poll():
            if fd != listening.fileno():
                if not events.read(1):
                    os._exit(0)
            else:
                connection, _ = listening.accept()
                threading.Thread(target=_answer_all, args=(app, connection), daemon=True).start()


def _end_with(events):
    while events.read(1):
        pass
    os._exit(0)


# -- one connection --


def _answer_all(app, connection):
    with connection, connection.makefile("rb", 65536) as stream:
        try:
            while _answer(app, connection, stream):
                pass
        except OSError:  # Whoever asked has gone.
            pass


def _answer(app, connection, stream):
    """False where no other request may follow."""
    environ = _read(stream)
    if environ is None:
        return False
    response = _Response(connection, environ["REQUEST_METHOD"] == "HEAD")
    try:
        pieces = app(environ, response.start)
        try:
            whole = len(pieces) == 1 if hasattr(pieces, "__len__") else False
            for piece in pieces:
                if piece:
                    response.write(piece, is_all=whole)
            response.finish()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
    except OSError as error:
        if error.errno not in _GONE:  # It is the function's own.
            traceback.print_exc()
        raise
    except Exception:
        traceback.print_exc()
        if response.begun:
            return False
        response.fail()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return True


def _read(stream):
    line = stream.readline(1 << 20)
    if not line:
        return None
    method, target, _ = line.decode("latin-1").rstrip("\r\n").split(" ", 2)
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": _SERVER[0],
        "SERVER_PORT": os.environ.get("PORT", _SERVER[1]),
        "SERVER_SOFTWARE": "gunicorn",
        "REMOTE_ADDR": _PEER[0],
        "REMOTE_PORT": _PEER[1],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    length = 0
    for _ in range(_HEAD_LINES_MAX):
        line = stream.readline(1 << 20)
        if line in (b"\r\n", b""):
            break
        name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
        value, key = value.strip(" \t"), name.upper().replace("-", "_")
        if "_" in name:  # As gunicorn does: it could pass for another header.
            continue
        if key == "CONTENT_LENGTH":
            length = int(value)
        if key not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            key = "HTTP_" + key
            if key in environ:
                value = environ[key] + "," + value
        environ[key] = value
    body = stream.read(length) if length else b""
    if len(body) < length:
        return None
    environ["wsgi.input"] = io.BytesIO(body)
    return environ


class _Response:
    def __init__(self, connection, is_head):
        self._connection, self._is_head = connection, is_head
        self._status, self._headers = "", []
        self.begun = self._chunked = False

    def start(self, status, headers, exc_info=None):
        if exc_info:
            try:
                if self.begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        self._status, self._headers = status, headers
        return self.write

    def write(self, piece, is_all=False):
        head = b"" if self.begun else self._head(len(piece) if is_all else None)
        if self._is_head or self._has_no_body():
            self._connection.sendall(head)
        elif self._chunked:
            self._connection.sendall(b"%b%x\r\n%b\r\n" % (head, len(piece), piece))
        else:
            self._connection.sendall(head + piece)

    def finish(self):
        if not self.begun:
            self._connection.sendall(self._head(0))
        elif self._chunked:
            self._connection.sendall(b"0\r\n\r\n")

    def fail(self):
        """As gunicorn answers for an application that raises."""
        page = "<html>\n  <head>\n    <title>Internal Server Error</title>\n  </head>\n  <body>\n"
        page += "    <h1><p>Internal Server Error</p></h1>\n    \n  </body>\n</html>\n"
        self._status, self._headers = "500 Internal Server Error", [("Content-Type", "text/html")]
        self.write(page.encode(), is_all=True)

    def _has_no_body(self):
        return self._status.startswith(_WITHOUT_BODY)

    def _head(self, length):
        """`length`: of the body, where it is known; in chunks it goes where nobody has told it."""
        self.begun = True
        headers = [(name, value) for name, value in self._headers if name.lower() not in ("connection", "date")]
        told = any(name.lower() == "content-length" for name, _ in headers)
        if not told and not self._has_no_body():
            if length is not None:
                headers.append(("Content-Length", str(length)))
            elif not self._is_head:
                self._chunked = True
                headers.append(("Transfer-Encoding", "chunked"))
        lines = ["HTTP/1.1 " + self._status, *("%s: %s" % header for header in headers)]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header of the response has more than one line")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
