"""Entering the items that are there into an index, or an order of expiry, that is new.

A small table is done within the request that asked for it; a large one step by step behind it, while writes go on and
keep the new index themselves. Where a step left off is kept with the data, so a crash costs at most one step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.services.dynamodb import state, stored
from fogbank.aws.services.dynamodb.schema import enters
from fogbank.kernel.store import END
from fogbank.kernel.store.records import Records
from fogbank.primitives import documents

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.aws.services.dynamodb.schema import Index, Schema
    from fogbank.kernel.store import Tx

STARTED: Final = "dynamodb.building"  # The signal that there is something to do.
AT_ONCE: Final = 1000  # Items that are entered within the request.
STEP: Final = 250
EXPIRY: Final = ""  # In place of an index's id.


@dataclass(frozen=True, slots=True)
class Build:
    table: str
    index: str
    after: list[Any] = field(default_factory=list)  # The key of the item that was entered last.


_builds = Records(Build, "dynamodb", "build")


def start(tx: Tx, schema: Schema, index: str, *, now_ms: int) -> bool:
    """Begin, and finish at once if there is little to do; else the answer is False, and `run` goes on."""
    build = Build(schema.table.id, index)
    rows = sum(1 for _ in documents.scan(tx, build.table, documents.Span(), limit=AT_ONCE + 1))
    if rows <= AT_ONCE:
        _enter(tx, schema, build, rows, now_ms)
        return True
    _builds.put(tx, build.table, build.index, row=build)
    tx.emit(STARTED)
    return False


def _enter(tx: Tx, schema: Schema, build: Build, limit: int, now_ms: int) -> list[Any]:
    """Enter up to `limit` items behind the last; the answer is the key of the last of them, empty if none was left."""
    span = documents.Span((*build.after, END) if build.after else (), (END,))
    index = next((each for each in schema.indexes if each.id == build.index), None)
    last: list[Any] = []
    for key, _ in list(documents.scan(tx, build.table, span, limit=limit)):
        raw = documents.get(tx, build.table, key, lock=True)  # It must not change until its entry is written.
        last = list(key)
        if raw is not None:
            _enter_one(tx, schema, index, key, raw, now_ms)
    return last


def _enter_one(
    tx: Tx, schema: Schema, index: Index | None, key: documents.DocumentKey, raw: bytes, now_ms: int
) -> None:
    """One whose values cannot stand in the index stays out of it ("Adding a global secondary index to an existing
    table")."""
    item = stored.unpack(raw)
    if index is None:
        due_ms = schema.due_ms(item, now_ms)
        if due_ms:
            documents.expire(tx, schema.table.id, key, due_ms=due_ms)
    elif enters(index, item):
        documents.enter(tx, schema.table.id, index.id, index.key.encode(item), key)


def step(tx: Tx, *, now_ms: int) -> bool:
    """Go on with one build; False when there is none."""
    for _, found in _builds.scan(tx, limit=1):
        build = _builds.get(tx, found.table, found.index, lock=True) or found  # One node at a time.
        schema = state.find_by_id(tx, build.table)
        wanted = schema is not None and (
            bool(schema.ttl) if build.index == EXPIRY else any(each.id == build.index for each in schema.indexes)
        )
        last = _enter(tx, schema, build, STEP, now_ms) if schema is not None and wanted else []
        if last:
            _builds.put(tx, build.table, build.index, row=replace(build, after=last))
            return True
        _builds.delete(tx, build.table, build.index)
        if schema is not None and wanted:
            _finish(tx, schema, build)
        return True
    return False


def _finish(tx: Tx, schema: Schema, build: Build) -> None:
    indexes = [
        replace(record, building=False) if record.id == build.index else record for record in schema.table.indexes
    ]
    state.save(tx, replace(schema.table, indexes=indexes))


async def run(house: House) -> None:
    with house.signals.watch(STARTED) as watch:
        while True:
            while await house.store.transact(step, now_ms=house.clock.now_ms()):
                pass
            await watch.wait()
