"""Bodies of several parts: an upload's metadata and media (multipart/related), forms, batches.

A large body is a view of a file: parts are views of it, and of an upload only its ends are looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING, Final

from fogbank.gcp.services.storage.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD_BYTES_MAX: Final = 1 << 20  # Of a part that has to be read: an object's metadata.
_TAIL_BYTES_MAX: Final = 4096  # Where the last boundary of an upload is looked for.
_BLANK: Final = re.compile(rb"\r?\n\r?\n")
_PARTS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Part:
    headers: dict[str, str]  # Names in lower case.
    body: bytes | memoryview


def boundary(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type
    found = message.get_param("boundary")
    if not isinstance(found, str) or not found:
        raise invalid("Missing boundary parameter in Content-Type header.")
    if len(found) > 2 and found[0] == found[-1] == "'":  # So gcloud quotes it, which RFC 2045 does not know.
        found = found[1:-1]
    return b"--" + found.encode("utf-8", "replace")


def upload(body: bytes | memoryview, content_type: str) -> tuple[bytes, Part]:
    """An object's metadata, and its media."""
    mark, view = boundary(content_type), memoryview(body)
    head = bytes(view[:_HEAD_BYTES_MAX])
    first = head.find(mark)
    second = head.find(b"\n" + mark, first + 1)
    blank = _BLANK.search(head, second + 1) if second >= 0 else None
    tail_at = max(0, len(view) - _TAIL_BYTES_MAX)
    tail = bytes(view[tail_at:])
    last = tail.rfind(b"\n" + mark + b"--")
    if first < 0 or blank is None or last < 0 or tail_at + last < blank.end() - 1:
        raise invalid("Malformed multipart body.")
    end = tail_at + last
    if end > blank.end() and view[end - 1] == 0x0D:
        end -= 1
    metadata = _split(head[first + len(mark) : second].rstrip(b"\r"))
    media = Part(_headers(head[second + 1 + len(mark) : blank.start()]), view[blank.end() : max(end, blank.end())])
    return bytes(metadata.body), media


def parts(body: bytes | memoryview, content_type: str) -> Iterator[Part]:
    """All of them, of a body that is read whole."""
    content, mark = bytes(body), boundary(content_type)
    pieces = re.split(rb"(?:^|\r?\n)" + re.escape(mark), content)
    if len(pieces) < 2 or len(pieces) > _PARTS_MAX + 2 or not pieces[-1].startswith(b"--"):
        raise invalid("Malformed multipart body.")
    return (_split(piece) for piece in pieces[1:-1])


def message(raw: bytes) -> Part:
    """Headers, a blank line, a body: any of them may be missing."""
    if raw.startswith((b"\r\n", b"\n")):
        return Part({}, raw.removeprefix(b"\r").removeprefix(b"\n"))
    return _split(raw)


def _split(piece: bytes) -> Part:
    found = _BLANK.search(piece)
    if found is None:
        return Part(_headers(piece), b"")
    return Part(_headers(piece[: found.start()]), piece[found.end() :])


def _headers(raw: bytes) -> dict[str, str]:
    headers = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        name, cut, value = line.partition(":")
        if cut:
            headers[name.strip().lower()] = value.strip()
    return headers


def parameter(header: str, name: str) -> str:
    """Of a header with parameters: `form-data; name="file"; filename="a.txt"`."""
    made = Message()
    made["content-disposition"] = header.replace("\r", " ").replace("\n", " ")
    found = made.get_param(name, header="content-disposition")
    return found if isinstance(found, str) else ""
