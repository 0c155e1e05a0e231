"""Where a document stands in its collection's indexes: by the value of each field, and by each member of each array.

"Index types", automatic indexing: every field of a document has one, fields of maps too; vectors have none.
"""

from __future__ import annotations

from typing import Any, Final

from fogbank.gcp.services.firestore import fieldpaths, ordering
from fogbank.gcp.services.firestore.fieldpaths import FieldPath
from fogbank.gcp.services.firestore.refusals import invalid
from fogbank.primitives.documents import DocumentKey, Place

ENTRY_BYTES_MAX: Final = 1500  # Of a value: what is longer stands where its beginning does.
ENTRIES_MAX: Final = 40_000  # "Usage and limits", maximum number of index entries for each document.


def by_value(field: FieldPath) -> str:
    return fieldpaths.show(field)


def by_member(field: FieldPath) -> str:
    return fieldpaths.show(field) + "[]"


def entry(encoded: bytes) -> bytes:
    return encoded[:ENTRY_BYTES_MAX]


def place(document: Any) -> Place:
    """Raises `RpcError`."""
    found: set[tuple[str, DocumentKey]] = set()
    _enter(found, (), document.fields)
    if len(found) > ENTRIES_MAX:
        raise invalid("too many index entries for entity " + document.name)
    return Place({}, many=frozenset(found))


def _enter(found: set[tuple[str, DocumentKey]], above: FieldPath, fields: Any) -> None:
    for name, value in fields.items():
        field = (*above, name)
        encoded = ordering.encode(value)
        found.add((by_value(field), (entry(encoded),)))
        kind = value.WhichOneof("value_type")
        if kind == "array_value":
            index = by_member(field)
            found.update((index, (entry(ordering.encode(member)),)) for member in value.array_value.values)
        elif kind == "map_value" and not ordering.is_vector(value.map_value.fields):
            _enter(found, field, value.map_value.fields)
