"""Lambda's Runtime API, from the side of the runtime: the next event, and what became of it.

Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes". Plain sockets: `http.client` is what people's
tracers take hold of, and they would trace this too.
"""

import socket

_PREFIX = "/2018-06-01/runtime"
_FACTS = (
    "lambda-runtime-aws-request-id",
    "lambda-runtime-invoked-function-arn",
    "lambda-runtime-deadline-ms",
    "lambda-runtime-trace-id",
    "lambda-runtime-client-context",
    "lambda-runtime-cognito-identity",
)
_LINE_BYTES_MAX = 1 << 20


class RuntimeApi:
    def __init__(self, address):
        """`address`: host:port."""
        self._address = address
        self._file = None
        self._request_id = ""

    def next(self):
        """An event's facts, in the order that frames have them, and its bytes. Waits as long as it takes."""
        headers, body = self._ask("GET", "/invocation/next")
        facts = [headers.get(name, "") for name in _FACTS]
        self._request_id = facts[0]
        return facts, body

    def reply(self, body):
        self._ask("POST", "/invocation/%s/response" % self._request_id, body)

    def fail(self, kind, document):
        """Of the event, or, before there was one, of the initialisation. `kind`: the error's type."""
        place = "/invocation/%s/error" % self._request_id if self._request_id else "/init/error"
        self._ask("POST", place, document, {"Lambda-Runtime-Function-Error-Type": kind})

    def wait_for_debugger(self, address):
        """Lambda's has no such thing: somebody at a debugger is to be told."""
        self._ask("POST", "/debugger", address)

    def _ask(self, method, place, body=b"", headers=None):
        """A connection that was left idle may have been closed meanwhile: then another is opened, once."""
        lines = ["%s %s%s HTTP/1.1" % (method, _PREFIX, place), "Host: %s" % self._address]
        if method == "POST":
            lines += ["Content-Type: application/json", "Content-Length: %d" % len(body)]
        lines += ["%s: %s" % pair for pair in (headers or {}).items()]
        request = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body
        if self._file is not None:
            try:
                return self._exchange(request)
            except (OSError, EOFError):
                self._file.close()
        self._connect()
        return self._exchange(request)

    def _connect(self):
        host, _, port = self._address.rpartition(":")
        with socket.socket() as connection:
            connection.connect((host, int(port)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._file = connection.makefile("rwb")

    def _exchange(self, request):
        self._file.write(request)
        self._file.flush()
        status = self._line()
        if not status:
            raise EOFError
        headers = {}
        while True:
            name, _, value = self._line().partition(":")
            if not name:
                break
            headers[name.lower()] = value.strip()
        return headers, self._body(headers)

    def _body(self, headers):
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self._exactly(int(headers.get("content-length") or 0))
        pieces = []
        while True:
            size = int(self._line().partition(";")[0], 16)
            if not size:
                while self._line():
                    pass
                return b"".join(pieces)
            pieces.append(self._exactly(size))
            self._line()

    def _exactly(self, size):
        found = self._file.read(size) if size else b""
        if len(found) < size:
            raise EOFError
        return found

    def _line(self):
        return self._file.readline(_LINE_BYTES_MAX).decode("utf-8", "surrogateescape").rstrip("\r\n")
