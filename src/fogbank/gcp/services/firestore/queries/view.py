"""A document as a query sees it: its fields as sortable bytes, worked out when they are asked for and once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.firestore import fieldpaths, fields, messages, ordering

if TYPE_CHECKING:
    from fogbank.gcp.services.firestore.fieldpaths import FieldPath
    from fogbank.gcp.services.firestore.names import Database, Path


class View:
    """`document` has its name only once somebody has asked for `named`."""

    __slots__ = ("_keys", "_members", "database", "document", "path")

    def __init__(self, database: Database, path: Path, row: bytes) -> None:
        self.database, self.path = database, path
        self.document = messages.Document.FromString(row)
        self._keys: dict[FieldPath, bytes | None] = {}
        self._members: dict[FieldPath, frozenset[bytes]] = {}

    def named(self) -> Any:
        self.document.name = self.database.document(self.path)
        return self.document

    def key(self, field: FieldPath) -> bytes | None:
        """None where the document has no such field."""
        try:
            return self._keys[field]
        except KeyError:
            found = self._keys[field] = self._encode(field)
            return found

    def _encode(self, field: FieldPath) -> bytes | None:
        if field == fieldpaths.NAME:
            return ordering.reference(self.database, self.path)
        value = fields.get(self.document.fields, field)
        return None if value is None else ordering.encode(value)

    def members(self, field: FieldPath) -> frozenset[bytes]:
        """Of an array; none of anything else."""
        found = self._members.get(field)
        if found is None:
            value = fields.get(self.document.fields, field)
            there = () if value is None else value.array_value.values
            found = self._members[field] = frozenset(map(ordering.encode, there))
        return found
