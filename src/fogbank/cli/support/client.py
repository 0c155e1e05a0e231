"""A running server, asked over HTTP: its own API, and any operation of any service without loading an SDK."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from fogbank.cli.support.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN = {"content-type": "application/json", "x-fogbank": "cli"}
_TIMEOUT_S = 24 * 3600 + 10.0  # A function may run for 15 minutes; one that is debugged, for a day.


class Unreachable(Problem):
    """Nobody answers there."""


class AskError(Problem):
    """The service refused; `code` is its error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.url, self._timeout_s = url, timeout_s

    def ask(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Any operation, as an SDK would call it; blobs go and come as base64 text."""
        question = {"service": service, "operation": operation, "request": request}
        return self._call("POST", "/_fogbank/ask", orjson.dumps(question))

    def get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._call("POST", path, orjson.dumps(body))

    def exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Any request at all; the answer is its status, headers (names in lower case) and body."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self._timeout_s)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, named, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"no answer from {self.url} ({error}): the cloud was stopped; its state is kept, "
                "`fogbank up` or `fogbank start` goes on from there"
            ) from error
        finally:
            connection.close()

    def lines(self, path: str, **body: Any) -> Iterator[dict[str, Any]]:
        """An answer that goes on: a dictionary for each of its lines, an empty one where nothing is new."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self._timeout_s)
        try:
            connection.request("POST", path, orjson.dumps(body), _OWN)
            answer = connection.getresponse()
            if answer.status >= 300:
                self._read(path, answer.status, answer.read())
            while line := answer.readline():
                yield orjson.loads(line) if line.strip() else {}
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"no answer from {self.url} ({error}): the cloud was stopped") from error
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        status, _, content = self.exchange(method, path, body, _OWN)
        return self._read(path, status, content)

    def _read(self, path: str, status: int, content: bytes) -> dict[str, Any]:
        try:
            document = orjson.loads(content)
        except ValueError as error:
            raise Problem(f"{self.url}{path} answered {status}, not as fogbank does: is it another program?") from error
        if status >= 300:
            raise AskError(document.get("code", ""), document.get("error", str(document)))
        return dict(document)
