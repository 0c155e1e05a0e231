"""Values in XML, by shape: as the rest-xml bodies and the query protocol's answers have them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from fogbank.aws.protocol import times

if TYPE_CHECKING:
    from fogbank.aws.protocol.models import Shape

# Characters that XML 1.0 cannot carry are left out; "\r" must be a reference or parsers turn it into "\n".
_FORBIDDEN: dict[int, None] = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])
_ENTITIES = {"\r": "&#13;"}


class BadXml(Exception):
    """Not XML, or XML that no SDK sends."""


# -- writing --


def write_members(shape: Shape, value: dict[str, Any]) -> str:
    """The elements of a structure, without one around them."""
    members = shape.members
    return "".join(
        _member(members[name], item)
        for name, item in value.items()
        if item is not None and name in members and not _is_elsewhere(members[name])
    )


def _is_elsewhere(member: Shape) -> bool:
    return bool(member.location or member.trait("xmlAttribute"))


def write_element(name: str, shape: Shape, value: Any, namespace: str = "") -> str:
    attributes = f" xmlns={quoteattr(namespace)}" if namespace else ""
    if shape.type == "structure":
        return f"<{name}{attributes}{_attributes(shape, value)}>{write_members(shape, value)}</{name}>"
    return f"<{name}{attributes}>{_content(shape, value)}</{name}>"


def _member(shape: Shape, value: Any) -> str:
    name = shape.wire_name
    if shape.type == "list" and shape.flattened:
        # The item's own name wins over the list's (`Contents`), as in `Message` of SQS' ReceiveMessage.
        name = shape.member.trait("locationName") or name
        return "".join(_element(name, shape.member, item) for item in value)
    if shape.type == "map" and shape.flattened:
        return "".join(_entry(name, shape, key, item) for key, item in value.items())
    return _element(name, shape, value)


def _element(name: str, shape: Shape, value: Any) -> str:
    extra = ""
    namespace = shape.trait("xmlNamespace")
    if isinstance(namespace, dict):
        prefix = f":{namespace['prefix']}" if namespace.get("prefix") else ""
        extra = f" xmlns{prefix}={quoteattr(namespace['uri'])}"
    attributes = _attributes(shape, value) if shape.type == "structure" else ""
    return f"<{name}{extra}{attributes}>{_content(shape, value)}</{name}>"


def _attributes(shape: Shape, value: dict[str, Any]) -> str:
    return "".join(
        f" {member.wire_name}={quoteattr(_scalar(member, value[name]))}"
        for name, member in shape.members.items()
        if member.trait("xmlAttribute") and value.get(name) is not None
    )


def _content(shape: Shape, value: Any) -> str:
    if shape.type == "structure":
        return write_members(shape, value)
    if shape.type == "list":
        name = shape.member.trait("locationName") or "member"
        return "".join(_element(name, shape.member, item) for item in value)
    if shape.type == "map":
        return "".join(_entry("entry", shape, key, item) for key, item in value.items())
    return text(_scalar(shape, value))


def text(value: str) -> str:
    """As it can stand between tags."""
    return escape(value.translate(_FORBIDDEN), _ENTITIES)


def _entry(name: str, shape: Shape, key: Any, value: Any) -> str:
    key_name = shape.key.trait("locationName") or "key"
    value_name = shape.value.trait("locationName") or "value"
    return f"<{name}>{_element(key_name, shape.key, key)}{_element(value_name, shape.value, value)}</{name}>"


def _scalar(shape: Shape, value: Any) -> str:
    if shape.type == "boolean":
        return "true" if value else "false"
    if shape.type == "timestamp":
        return times.text(value, shape.trait("timestampFormat") or "iso8601")
    if shape.type == "blob":
        return b64encode(value.encode() if isinstance(value, str) else bytes(value)).decode()
    return str(value)


# -- reading --


def parse(body: bytes) -> ElementTree.Element:
    if b"<!" in body[:4096] and (b"<!DOCTYPE" in body or b"<!ENTITY" in body):
        raise BadXml("document types are not accepted")
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise BadXml(str(error)) from error


def read(shape: Shape, element: ElementTree.Element) -> Any:
    """Raises `ValueError` where a scalar cannot be read."""
    if shape.type == "structure":
        return _read_structure(shape, element)
    if shape.type == "list":
        return [read(shape.member, child) for child in element]
    if shape.type == "map":
        return dict(_read_entry(shape, child) for child in element)
    return scalar(shape, element.text or "")


def _read_structure(shape: Shape, element: ElementTree.Element) -> dict[str, Any]:
    children: dict[str, list[ElementTree.Element]] = {}
    for child in element:
        children.setdefault(_local(child.tag), []).append(child)
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        if member.trait("xmlAttribute"):
            local = member.wire_name.rpartition(":")[2]
            given = {_local(key): text for key, text in element.attrib.items()}
            if local in given:
                found[name] = scalar(member, given[local])
            continue
        wire_name = member.wire_name
        if member.type == "list" and member.flattened:
            wire_name = member.member.trait("locationName") or wire_name
        present = children.get(wire_name)
        if present:
            found[name] = _read_member(member, present)
    return found


def _read_member(member: Shape, present: list[ElementTree.Element]) -> Any:
    if member.flattened and member.type == "list":
        return [read(member.member, child) for child in present]
    if member.flattened and member.type == "map":
        return dict(_read_entry(member, child) for child in present)
    return read(member, present[0])


def _read_entry(shape: Shape, element: ElementTree.Element) -> tuple[str, Any]:
    by_name = {_local(child.tag): child for child in element}
    key = by_name[shape.key.trait("locationName") or "key"]
    value = by_name[shape.value.trait("locationName") or "value"]
    return key.text or "", read(shape.value, value)


def scalar(shape: Shape, text: str) -> Any:
    """One value out of text, wherever text stands for it: an element, a header, a query's parameter."""
    if shape.type in ("integer", "long"):
        return int(text)
    if shape.type in ("float", "double"):
        return float(text)
    if shape.type == "boolean":
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{text!r} is not a boolean")
        return text.lower() == "true"
    if shape.type == "timestamp":
        return times.parse(text)
    if shape.type == "blob":
        return b64decode(text, validate=True)
    return text


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
