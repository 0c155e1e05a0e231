"""Batches: up to 100 requests of the JSON API in one ("Batch requests" in the manual)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from fogbank.gcp.services.storage import multipart
from fogbank.gcp.services.storage.errors import StorageError, invalid
from fogbank.kernel.gateway.messages import Pending, Ready, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fogbank.kernel.gateway.messages import Answer

_REQUESTS_MAX: Final = 1000  # What the published clients send at most; "no more than 100 calls" is advice.
_BODY_MAX: Final = 10 * 1024 * 1024
_LINE: Final = re.compile(r"\s*([A-Z]+) (\S+)(?: HTTP/1\.[01])?\r?\n?", re.DOTALL)
_PHRASES: Final = {200: "OK", 204: "No Content", 304: "Not Modified", 400: "Bad Request", 404: "Not Found",
                   409: "Conflict", 412: "Precondition Failed"}  # fmt: skip
_WAYS: Final = ("/upload/", "/download/", "/resumable/", "/batch")


class Batches:
    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self._answer = answer

    async def answer(self, request: Request) -> Response:
        try:
            return await self._all(request)
        except StorageError as error:
            return Response(error.status, [("Content-Type", "text/plain; charset=UTF-8")], error.message.encode())

    async def _all(self, request: Request) -> Response:
        if len(request.body) > _BODY_MAX:
            raise StorageError(413, "uploadTooLarge", "The batch is larger than 10 MB.")
        parts = list(multipart.parts(request.body, request.headers.get("content-type", "")))
        if len(parts) > _REQUESTS_MAX:
            raise invalid(f"The batch has more than {_REQUESTS_MAX} calls.")
        mark = f"batch_{request.id.replace('-', '')}"
        pieces = []
        for at, part in enumerate(parts):
            response = await self._one(request, part)
            number = part.headers.get("content-id", f"<{at + 1}>").strip("<>")
            pieces.append(
                f"--{mark}\r\nContent-Type: application/http\r\nContent-ID: <response-{number}>\r\n\r\n".encode()
            )
            pieces += [_head(response), response.body if isinstance(response.body, bytes) else b"", b"\r\n"]
        body = b"".join([*pieces, f"--{mark}--\r\n".encode()])
        return Response(200, [("Content-Type", f"multipart/mixed; boundary={mark}")], body)

    async def _one(self, request: Request, part: multipart.Part) -> Response:
        text = bytes(part.body)
        line = _LINE.match(text.decode("utf-8", "replace").partition("\n")[0] + "\n")
        if line is None:
            raise invalid("Malformed batch: a part is no HTTP request.")
        inner = multipart.message(text.partition(b"\n")[2])
        url = urlsplit(line[2])
        if url.path.startswith(_WAYS) or "alt=media" in url.query:
            told = b"Batches carry neither uploads nor downloads."
            return Response(400, [("Content-Type", "text/plain")], told)
        headers = {"host": request.headers.get("host", ""), **inner.headers}
        asked = replace(request, method=line[1], path=url.path, query=url.query, headers=headers, body=inner.body)
        given = self._answer(asked)
        return await given.whole() if isinstance(given, Ready | Pending) else await given


def _head(response: Response) -> bytes:
    body: bytes | Path | object = response.body
    length = len(body) if isinstance(body, bytes) else 0
    lines = [f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, '')}".rstrip()]
    lines += [f"{name}: {value}" for name, value in response.headers if name.lower() != "content-length"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()
