"""Consumed capacity: "DynamoDB read and write operations", "capacity unit consumption".

A read unit is 4 KB read consistently, half of one eventually; a write unit 1 KB; both double in transactions. Each
index pays for its own entries ("Provisioned throughput considerations for global secondary indexes").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.services.dynamodb.values import Item, measure_item

if TYPE_CHECKING:
    from fogbank.aws.services.dynamodb.schema import Index, Schema

READ_UNIT_BYTES: Final = 4096
WRITE_UNIT_BYTES: Final = 1024


def write_units(size: int) -> int:
    return max(1, -(-size // WRITE_UNIT_BYTES))


def read_units(size: int, *, consistent: bool) -> float:
    units = max(1, -(-size // READ_UNIT_BYTES))
    return float(units) if consistent else units / 2


@dataclass(slots=True)
class Consumed:
    """What requests on one table cost, by table and index."""

    name: str  # As the request names the table.
    table: float = 0.0
    local_indexes: dict[str, float] = field(default_factory=dict)
    global_indexes: dict[str, float] = field(default_factory=dict)

    def add_index(self, index: Index, units: float) -> None:
        if units:
            by_name = self.global_indexes if index.is_global else self.local_indexes
            by_name[index.name] = by_name.get(index.name, 0.0) + units

    def shown(self, wanted: str, member: str = "") -> dict[str, Any]:
        """`wanted`: TOTAL or INDEXES. `member`: also told as ReadCapacityUnits or WriteCapacityUnits (transactions)."""
        total = self.table + sum(self.local_indexes.values()) + sum(self.global_indexes.values())
        answer: dict[str, Any] = {"TableName": self.name, **_units(total, member)}
        if wanted == "INDEXES":
            answer["Table"] = _units(self.table, member)
            for title, units in (
                ("LocalSecondaryIndexes", self.local_indexes),
                ("GlobalSecondaryIndexes", self.global_indexes),
            ):
                if units:
                    answer[title] = {name: _units(each, member) for name, each in units.items()}
        return answer


def _units(units: float, member: str) -> dict[str, float]:
    return {"CapacityUnits": units, member: units} if member else {"CapacityUnits": units}


def add_write(
    consumed: Consumed,
    schema: Schema,
    old: Item | None,
    old_size: int,
    new: Item | None,
    new_size: int,
    factor: int = 1,
) -> None:
    consumed.table += factor * write_units(max(old_size, new_size))
    for index in schema.indexes:
        consumed.add_index(index, factor * _index_units(index, old, new))


def _index_units(index: Index, old: Item | None, new: Item | None) -> int:
    was = index.project(old) if old is not None and index.key.has(old) else None
    now = index.project(new) if new is not None and index.key.has(new) else None
    if was is None or now is None:
        either = now or was
        return 0 if either is None else write_units(measure_item(either))
    if any(was[name] != now[name] for name in index.key.names):  # The entry moves: one delete, one put.
        return write_units(measure_item(was)) + write_units(measure_item(now))
    return 0 if was == now else write_units(max(measure_item(was), measure_item(now)))
