"""Debuggers, as little of them as it takes to attach: the Debug Adapter Protocol, and Node's inspector."""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

_WAIT_S = 20


class DebugAdapter:
    """A client of debugpy. Microsoft's "Debug Adapter Protocol" specification."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._socket = socket.create_connection((url.hostname, url.port), _WAIT_S)
        self._file = self._socket.makefile("rb")
        self._numbers = itertools.count(1)
        self._kept: list[dict[str, Any]] = []

    def attach(self, *, stop_at: tuple[str, int]) -> None:
        self.ask("initialize", adapterID="tests", pathFormat="path")
        attached = self._send("attach", justMyCode=False)
        self.event("initialized")
        path, line = stop_at
        self.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": line}])
        self.ask("configurationDone")
        self._answer(attached)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self._answer(self._send(command, **arguments))

    def event(self, name: str) -> dict[str, Any]:
        return self._first(lambda message: message.get("event") == name)

    def close(self) -> None:
        self._socket.close()

    def _send(self, command: str, **arguments: Any) -> int:
        number = next(self._numbers)
        body = json.dumps({"seq": number, "type": "request", "command": command, "arguments": arguments}).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        return number

    def _answer(self, number: int) -> dict[str, Any]:
        answer = self._first(lambda message: message.get("request_seq") == number)
        assert answer["success"], answer
        return dict(answer.get("body") or {})

    def _first(self, wanted: Any) -> dict[str, Any]:
        while True:
            for message in self._kept:
                if wanted(message):
                    self._kept.remove(message)
                    return message
            length = 0
            while line := self._file.readline().strip():
                length = int(line.partition(b":")[2])
            self._kept.append(json.loads(self._file.read(length)))


class Inspector:
    """A client of Node's inspector: the Chrome DevTools Protocol over a WebSocket (RFC 6455), one frame a message."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._socket = socket.create_connection((url.hostname, url.port), _WAIT_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        assert b" 101 " in self._file.readline()
        while self._file.readline().strip():
            pass
        self._numbers = itertools.count(1)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        body = json.dumps({"id": number, "method": method, "params": parameters}).encode()
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))
        self._socket.sendall(struct.pack(">BBH", 0x81, 0x80 | 126, len(body)) + mask + masked)
        return self.until(lambda message: message.get("id") == number)

    def until(self, wanted: Any) -> dict[str, Any]:
        while True:
            _, length = self._file.read(2)
            if length == 126:
                (length,) = struct.unpack(">H", self._file.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._file.read(8))
            message = json.loads(self._file.read(length))
            if wanted(message):
                return dict(message)

    def close(self) -> None:
        self._socket.close()
