"""What a change of a document tells, in the forms that events have: each made once, for however many listen."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson
from google.protobuf import json_format

from fogbank.gcp.services.firestore import fieldpaths, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.gcp.services.firestore.feed import Changed
    from fogbank.gcp.services.firestore.fieldpaths import FieldPath


class Happened:
    def __init__(self, changed: Changed) -> None:
        self.changed = changed
        self.document = "/".join(changed.path)
        self.kind = "created" if not changed.was else "updated" if changed.now else "deleted"

    @property
    def time(self) -> str:
        return str(messages.timestamp(self.changed.at_us).ToJsonString())

    @property
    def database(self) -> str:
        return f"projects/{self.changed.project}/databases/{self.changed.database}"

    @cached_property
    def protobuf(self) -> bytes:
        """A google.events.cloud.firestore.v1.DocumentEventData: `value`, `old_value`, `update_mask`. Its documents are,
        byte for byte, Firestore's own."""
        parts = ((1, self.changed.now), (2, self.changed.was), (3, self._mask.SerializeToString()))
        return b"".join(bytes((number << 3 | 2,)) + _varint(len(part)) + part for number, part in parts if part)

    @cached_property
    def json(self) -> bytes:
        """The same as JSON."""
        parts = {"value": self.new, "oldValue": self.old, "updateMask": self._shown_mask}
        return orjson.dumps({name: part for name, part in parts.items() if part})

    @cached_property
    def legacy(self) -> dict[str, Any]:
        """The data of a 1st gen event: what there is not is an empty object."""
        return {"oldValue": self.old, "updateMask": self._shown_mask, "value": self.new}

    @cached_property
    def new(self) -> dict[str, Any]:
        return _shown(self.changed.now)

    @cached_property
    def old(self) -> dict[str, Any]:
        return _shown(self.changed.was)

    @property
    def _shown_mask(self) -> dict[str, Any]:
        return {"fieldPaths": list(self._mask.field_paths)} if self._mask.field_paths else {}

    @cached_property
    def _mask(self) -> Any:
        """Which fields an update has changed; of other changes nothing."""
        if self.kind != "updated":
            return messages.DocumentMask()
        was, now = (messages.Document.FromString(raw).fields for raw in (self.changed.was, self.changed.now))
        return messages.DocumentMask(field_paths=[fieldpaths.show(path) for path in _differences(was, now)])


def _differences(was: Any, now: Any, prefix: FieldPath = ()) -> Iterator[FieldPath]:
    """Maps that stay maps are looked into."""
    for name in sorted({*was, *now}):
        path = (*prefix, name)
        if name not in was or name not in now:
            yield path
        elif all(side[name].WhichOneof("value_type") == "map_value" for side in (was, now)):
            yield from _differences(was[name].map_value.fields, now[name].map_value.fields, path)
        elif was[name].SerializeToString(deterministic=True) != now[name].SerializeToString(deterministic=True):
            yield path


def _shown(raw: bytes) -> dict[str, Any]:
    return dict(json_format.MessageToDict(messages.Document.FromString(raw))) if raw else {}


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
