"""REST bindings: which members travel in the path, the query string and the headers, and which in the body."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

import orjson

from fogbank.aws.protocol import times, xml_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.protocol.models import Operation, Shape
    from fogbank.kernel.gateway.messages import Request

_LABEL = re.compile(r"\{([^}]+?)(\+?)\}")


class Binding:
    """One operation's address: a method, a path with labels, and query parameters that must be there."""

    def __init__(self, operation: Operation) -> None:
        path, _, query = operation.uri.partition("?")
        self.operation = operation
        self.literals = {name: value[0] for name, value in parse_qs(query, keep_blank_values=True).items()}
        self.literals.pop("x-id", None)  # Only some SDKs send it; it selects nothing.
        self._path = re.compile(_LABEL.sub(_label_pattern, _escape(path.rstrip("/") or "/")) + "/?")
        shape = operation.input
        members = shape.members if shape else {}
        required = shape.required if shape else ()
        self.queries = [members[n].wire_name for n in required if members[n].location == "querystring"]
        self.headers = [members[n].wire_name.lower() for n in required if members[n].location == "header"]
        segments = path.strip("/").split("/")
        self._literal_segments = sum(1 for segment in segments if segment and not segment.startswith("{"))

    def match(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> dict[str, str] | None:
        """The labels' values, decoded, if the request is at this address."""
        found = self._path.fullmatch(path)
        if found is None:
            return None
        for name, value in self.literals.items():
            if name not in query or (value and query[name][0] != value):
                return None
        if any(name not in query for name in self.queries):
            return None
        return {_unmangle(name): unquote(value) for name, value in found.groupdict().items()}

    def weight(self, headers: Mapping[str, str]) -> tuple[int, int, int]:
        """The address that asks for more wins: `?uploads` over a plain path, CopyObject over PutObject."""
        present = sum(1 for name in self.headers if name in headers)
        if present < len(self.headers):
            present = -1
        return len(self.literals) + len(self.queries), present, self._literal_segments


def _escape(path: str) -> str:
    """Everything literal but the labels."""
    return "".join(part if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", path))


def _label_pattern(found: re.Match[str]) -> str:
    return f"(?P<{_mangle(found[1])}>{'.+' if found[2] else '[^/]+'})"


def _mangle(name: str) -> str:
    return name.replace("-", "__")


def _unmangle(name: str) -> str:
    return name.replace("__", "-")


def read_bound(operation: Operation, shape: Shape, labels: Mapping[str, str], request: Request) -> dict[str, Any]:
    """The members outside the body. Raises `ValueError` where one cannot be read."""
    query = parse_qs(request.query, keep_blank_values=True)
    taken = {member.wire_name for member in shape.members.values() if member.location == "querystring"}
    taken.update(parse_qs(operation.uri.partition("?")[2], keep_blank_values=True))
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        value = _bound(member, labels, query, request.headers, taken)
        if value is not None:
            found[name] = value
    return found


def _bound(
    member: Shape,
    labels: Mapping[str, str],
    query: Mapping[str, list[str]],
    headers: Mapping[str, str],
    taken: set[str],
) -> Any:
    wire_name = member.wire_name
    if member.location == "uri":
        return xml_values.scalar(member, labels[wire_name]) if wire_name in labels else None
    if member.location == "querystring":
        return _from_query(member, query, taken)
    if member.location == "header":
        text = headers.get(wire_name.lower())
        return None if text is None else _from_header(member, text)
    if member.location == "headers":
        prefix = wire_name.lower()
        return {n[len(prefix) :]: v for n, v in headers.items() if n.startswith(prefix)} or None
    return None


def _from_query(member: Shape, query: Mapping[str, list[str]], taken: set[str]) -> Any:
    if member.type == "map":  # All that no other member names.
        many = member.value.type == "list"
        return {name: values if many else values[0] for name, values in query.items() if name not in taken} or None
    values = query.get(member.wire_name)
    if values is None:
        return None
    if member.type == "list":
        return [xml_values.scalar(member.member, value) for value in values]
    return xml_values.scalar(member, values[0])


def _from_header(member: Shape, text: str) -> Any:
    if member.trait("jsonvalue"):
        return orjson.loads(b64decode(text))
    if member.type == "list":
        return [xml_values.scalar(member.member, part.strip().strip('"')) for part in text.split(",")]
    return xml_values.scalar(member, text)


def bound_headers(shape: Shape, result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The members of an answer that are headers."""
    headers: list[tuple[str, str]] = []
    for name, member in shape.members.items():
        value = result.get(name)
        if value is None:
            continue
        if member.location == "header":
            headers.append((member.wire_name, _header_text(member, value)))
        elif member.location == "headers":
            headers += [(member.wire_name + key, str(item)) for key, item in value.items()]
    return headers


def _header_text(member: Shape, value: Any) -> str:
    if member.trait("jsonvalue"):
        return b64encode(orjson.dumps(value)).decode()
    if member.type == "timestamp":
        return times.text(value, member.trait("timestampFormat") or "rfc822")
    if member.type == "boolean":
        return "true" if value else "false"
    if member.type == "list":
        return ",".join(_header_text(member.member, item) for item in value)
    return str(value)


def status_of(operation: Operation, result: Mapping[str, Any]) -> int:
    for name, member in operation.output.members.items() if operation.output else ():
        if member.location == "statusCode" and result.get(name) is not None:
            return int(result[name])
    return operation.status


def body_members(shape: Shape) -> list[str]:
    return [name for name, member in shape.members.items() if not member.location]
