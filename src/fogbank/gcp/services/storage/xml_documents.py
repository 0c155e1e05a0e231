"""Documents of the XML API: written, and read without trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from fogbank.gcp.services.storage.errors import StorageError
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPACE: Final = "http://doc.s3.amazonaws.com/2006-03-01"
_BYTES_MAX: Final = 1 << 20


def element(name: str, content: object) -> str:
    """`content`: text, a number, or pairs of names and contents in order."""
    if isinstance(content, bool):
        inner = "true" if content else "false"
    elif isinstance(content, str | int):
        inner = escape("".join(mark if _is_possible(mark) else "\ufffd" for mark in str(content)))
    else:
        inner = "".join(element(*pair) for pair in content)  # type: ignore[attr-defined]
    return f"<{name}>{inner}</{name}>"


def response(name: str, content: object, *, status: int = 200) -> Response:
    inner = element(name, content).replace(f"<{name}>", f"<{name} xmlns='{_SPACE}'>", 1)
    body = f"<?xml version='1.0' encoding='UTF-8'?>{inner}".encode()
    return Response(status, [("Content-Type", "application/xml; charset=UTF-8")], body)


def read(body: bytes | memoryview) -> ElementTree.Element:
    """The root, with all names bare of their name spaces. Raises MalformedXML."""
    raw = bytes(body[:_BYTES_MAX])
    if len(body) > _BYTES_MAX or b"<!" in raw:  # Neither entities nor document types are of use here.
        raise malformed()
    try:
        root = ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError, LookupError):
        raise malformed() from None
    for one in root.iter():
        one.tag = one.tag.rpartition("}")[2]
    return root


def texts(parent: ElementTree.Element) -> Mapping[str, str]:
    return {child.tag: (child.text or "").strip() for child in parent}


def malformed() -> StorageError:
    told = "The XML you provided was not well-formed or did not validate against our published schema."
    return StorageError(400, "parseError", told, code="MalformedXML")


def _is_possible(mark: str) -> bool:
    """XML 1.0, "Characters"."""
    return mark in "\t\n\r" or " " <= mark <= "\ud7ff" or "\ue000" <= mark <= "\ufffd" or mark >= "\U00010000"
