"""The query protocol: parameters flattened into form fields (`Tags.member.1.Key`), answers in XML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fogbank.aws.protocol import xml_values

if TYPE_CHECKING:
    from fogbank.aws.protocol.models import Operation, Shape

_ITEMS_MAX = 10_000


class Fields:
    """Form fields as a tree: each part between dots is a step down."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.below: dict[str, Fields] = {}

    @classmethod
    def of(cls, form: str) -> Fields:
        root = cls()
        for name, value in parse_qsl(form, keep_blank_values=True, max_num_fields=_ITEMS_MAX):
            node = root
            for part in name.split("."):
                node = node.below.setdefault(part, cls())
            node.text = value
        return root

    def items(self) -> list[Fields]:
        """Below 1, 2, 3 …, in the order of the numbers."""
        numbered = [(int(name), node) for name, node in self.below.items() if name.isdigit()]
        return [node for _, node in sorted(numbered, key=lambda pair: pair[0])]


def read(shape: Shape | None, form: str) -> dict[str, Any]:
    return {} if shape is None else _structure(shape, Fields.of(form))


def _structure(shape: Shape, fields: Fields) -> dict[str, Any]:
    found = {}
    for name, member in shape.members.items():
        node = _named(member, name, fields)
        if node is not None:
            found[name] = _value(member, node)
    return found


def _named(member: Shape, name: str, fields: Fields) -> Fields | None:
    """The field of a member; flattened lists are named for their items where those have a name."""
    names = [member.wire_name, name]
    if member.flattened and member.type == "list" and member.member.trait("locationName"):
        names.insert(0, member.member.trait("locationName"))
    return next((fields.below[candidate] for candidate in names if candidate in fields.below), None)


def _value(shape: Shape, node: Fields) -> Any:
    if shape.type == "structure":
        return _structure(shape, node)
    if shape.type == "list":
        return [_value(shape.member, item) for item in _list_node(shape, node).items()]
    if shape.type == "map":
        entries = _map_node(shape, node)
        return dict(_entry(shape, item) for item in entries.items() or ([entries] if entries.below else ()))
    return xml_values.scalar(shape, node.text or "")


def _list_node(shape: Shape, node: Fields) -> Fields:
    if shape.flattened:
        return node
    for name in (shape.member.trait("locationName") or "member", "member"):
        if name in node.below:
            return node.below[name]
    return node  # Some clients leave the word out; an empty list has no fields at all.


def _map_node(shape: Shape, node: Fields) -> Fields:
    return node if shape.flattened else node.below.get("entry", node)


def _entry(shape: Shape, node: Fields) -> tuple[str, Any]:
    key = node.below[shape.key.trait("locationName") or "key"]
    value = node.below.get(shape.value.trait("locationName") or "value", Fields())
    return key.text or "", _value(shape.value, value)


def write(operation: Operation, namespace: str, result: dict[str, Any], request_id: str) -> bytes:
    body = xml_values.write_members(operation.output, result) if operation.output else ""
    wrapper = operation.wrapper or (f"{operation.name}Result" if operation.output else "")
    wrapped = f"<{wrapper}>{body}</{wrapper}>" if wrapper else ""
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    name = f"{operation.name}Response"
    return f'<?xml version="1.0"?>\n<{name} xmlns="{namespace}">{wrapped}{metadata}</{name}>'.encode()
