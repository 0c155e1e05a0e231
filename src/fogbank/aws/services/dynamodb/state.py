"""Tables by name, by ARN and by id. Pure functions of a transaction."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodb.schema import Index, KeySchema, Schema, key_schema
from fogbank.aws.services.dynamodb.table import IndexRecord, Table
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.aws.service import Call
    from fogbank.kernel.store import Tx


tables = Records(Table, "dynamodb", "table")
_decode = msgspec.msgpack.Decoder(Table).decode


@lru_cache(maxsize=1024)
def _schema(raw: bytes) -> Schema:
    """A table's record is read for every request; what follows from it is worked out once for each of its states."""
    table = _decode(raw)
    types = {each["AttributeName"]: each["AttributeType"] for each in table.attributes}
    key = key_schema(table.key, types)
    indexes = tuple(_index(record, key, types) for record in table.indexes)
    return Schema(
        table=table,
        key=key,
        indexes=indexes,
        index_keys=frozenset(name for index in indexes for name in index.key.names),
        ttl=table.ttl,
        stream=table.stream,
        view=table.view,
        bare=not (indexes or table.ttl or table.stream),
        by_name={index.name: index for index in indexes},
    )


def _index(record: IndexRecord, table_key: KeySchema, types: dict[str, str]) -> Index:
    key = key_schema(record.key, types)
    kind = record.projection.get("ProjectionType")
    extra = record.projection.get("NonKeyAttributes", ()) if kind == "INCLUDE" else ()
    projected = None if kind == "ALL" else frozenset((*table_key.names, *key.names, *extra))
    return Index(record.id, record.name, key, record.is_global, projected, record.building)


def name_of(table: str) -> str:
    """ "TableName: … You can also provide the Amazon Resource Name (ARN) of the table in this parameter." """
    return table.partition(":table/")[2].partition("/")[0] if table.startswith("arn:") else table


def find(tx: Tx, call: Call, name: str) -> Schema:
    """The table that an item operation names; its error does not tell the name."""
    raw = tx.get(("dynamodb", "table", call.account, call.region, name))
    if raw is None:
        raw = _find_by_arn(tx, call, name)
    return _schema(raw)


def _find_by_arn(tx: Tx, call: Call, name: str) -> bytes:
    if name.startswith("arn:"):
        owner = name.split(":")
        raw = tx.get(("dynamodb", "table", owner[4], owner[3], name_of(name)))
        if raw is not None and owner[3] == call.region:
            return raw
    raise ServiceError("ResourceNotFoundException", "Requested resource not found")


def find_table(tx: Tx, call: Call, name: str) -> Schema:
    """The table that a table operation names."""
    try:
        return find(tx, call, name)
    except ServiceError:
        message = f"Requested resource not found: Table: {name_of(name)} not found"
        raise ServiceError("ResourceNotFoundException", message) from None


def find_by_id(tx: Tx, table_id: str) -> Schema | None:
    where = _places.get(tx, table_id)
    raw = None if where is None else tx.get(("dynamodb", "table", *where))
    return None if raw is None else _schema(raw)


_places = Records(list[str], "dynamodb", "table-by-id")  # Account, region and name.


def save(tx: Tx, table: Table) -> None:
    account, region = owner_of(table)
    tables.put(tx, account, region, table.name, row=table)
    _places.put(tx, table.id, row=[account, region, table.name])


def forget(tx: Tx, table: Table) -> None:
    account, region = owner_of(table)
    tables.delete(tx, account, region, table.name)
    _places.delete(tx, table.id)


def owner_of(table: Table) -> tuple[str, str]:
    """Account and region."""
    parts = table.arn.split(":")
    return parts[4], parts[3]
