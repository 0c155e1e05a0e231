"""An HTTP endpoint of a test's own: it keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_HELD_AT_MOST_S = 120


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]  # Names in lower case.
    body: bytes
    method: str = "POST"


class Held:
    """For a receiver: it answers 200, but not before the test lets it."""

    def __init__(self) -> None:
        self._may_answer = threading.Event()

    def __call__(self, _: Received) -> int:
        self._may_answer.wait(_HELD_AT_MOST_S)
        return 200

    def release(self) -> None:
        self._may_answer.set()


@dataclass
class Receiver:
    """`answer` gives the status for a request; headers to go with it stand in `tells`."""

    answer: Callable[[Received], int] = lambda received: 200
    tells: dict[str, str] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.path, headers, body, self.command)
                receiver.requests.append(received)
                self.send_response(receiver.answer(received))
                for name, value in receiver.tells.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_PUT = do_DELETE = do_PATCH = do_POST

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.netloc}/hook"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
