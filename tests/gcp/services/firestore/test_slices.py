"""A query that looks at much: it is answered in slices, as of one moment, and others are served between them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from fogbank.gcp.service import Call
from fogbank.gcp.services.firestore import messages
from fogbank.gcp.services.firestore.names import Database
from fogbank.gcp.services.firestore.operations.queries import QueryOperations
from fogbank.gcp.services.firestore.queries.slices import ROWS
from fogbank.gcp.services.firestore.state import Documents
from fogbank.gcp.services.firestore.writes import write_all
from fogbank.kernel.clock import VirtualClock
from tests.gcp.services.firestore.conftest import ROOT
from tests.support import stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

COUNT = 4 * ROWS + 7
DATABASE = Database("p", "(default)")


class Bench:
    """Firestore's queries on a store, of which we see each transaction: `between` runs after each."""

    def __init__(self, runner: asyncio.Runner, store: Any) -> None:
        self.runner, self.store, self.transactions = runner, store, 0
        self.between: Any = lambda: None

    async def transact(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        found = await self.store.transact(work, *args, **kwargs)
        self.transactions += 1
        await asyncio.sleep(0)
        if (change := self.between()) is not None:
            await self.store.transact(_write, change)
        return found

    def write(self, *changes: Any) -> None:
        self.runner.run(self.store.transact(_write, changes))

    def ask(self, request: Any, rpc: str = "run_query") -> list[Any]:
        house: Any = SimpleNamespace(store=self, clock=VirtualClock())
        ids = iter(range(100))
        call = Call(1_800_000_000_000, "", "", lambda: str(UUID(int=next(ids))))

        async def all_of(answers: AsyncIterator[Any]) -> list[Any]:
            return [each async for each in answers]

        return self.runner.run(all_of(getattr(QueryOperations(house), rpc)(call, request)))

    def names(self, request: Any) -> list[int]:
        return [int(each.document.name.rpartition("/")[2]) for each in self.ask(request) if each.HasField("document")]


@pytest.fixture(params=stores.DRIVERS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with asyncio.Runner() as runner:
        made = Bench(runner, runner.run(stores.fresh(request.param)))
        for first in range(0, COUNT, 500):
            made.write(*(put(number) for number in range(first, min(first + 500, COUNT))))
        yield made
        runner.run(made.store.close())


def _write(tx: Any, changes: Any) -> None:
    documents = Documents.open_or_create(tx, DATABASE, uid="u", now_us=1)
    write_all(documents, changes, now_us=1_800_000_000_000_000)


def put(number: int, **fields: int) -> Any:
    write = messages.Write(update=messages.Document(name=f"{ROOT}/c/{number:05}"))
    for name, value in ({"n": number, "odd": number % 2} | fields).items():
        write.update.fields[name].integer_value = value
    return write


def delete(number: int) -> Any:
    return messages.Write(delete=f"{ROOT}/c/{number:05}")


def query(order: str = "", *, odd: int | None = None, group: bool = False, limit: int = 0, **also: Any) -> Any:
    asked: dict[str, Any] = {"from": [{"collection_id": "c", "all_descendants": group}], **also}
    if order:
        name, _, direction = order.partition(" ")
        asked["order_by"] = [{"field": {"field_path": name}, "direction": direction or "ASCENDING"}]
    if odd is not None:
        value = {"integer_value": odd}
        asked["where"] = {"field_filter": {"field": {"field_path": "odd"}, "op": "EQUAL", "value": value}}
    if limit:
        asked["limit"] = {"value": limit}
    return messages.RunQueryRequest(parent=ROOT, structured_query=asked)


EVERY = list(range(COUNT))
ODD = [number for number in EVERY if number % 2]
QUERIES = [
    ("by name", query(), EVERY),
    ("by a field", query("n"), EVERY),
    ("by a field backwards", query("n DESCENDING"), EVERY[::-1]),
    ("by an equality, sorted otherwise", query("n", odd=1), ODD),
    ("of a group", query("n", odd=1, group=True), ODD),
    ("the first of what is found at the end", query("n DESCENDING", odd=1, limit=5), ODD[: -6 : -1]),
    ("a limit beyond the first slice", query("n", limit=2 * ROWS, offset=3), EVERY[3 : 3 + 2 * ROWS]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), [case[1:] for case in QUERIES], ids=[case[0] for case in QUERIES])
def test_the_answer_is_of_the_moment_of_the_query_whatever_is_written_meanwhile(
    bench: Bench, asked: Any, expected: list[int]
) -> None:
    """Each slice is followed by a commit that takes away, moves and brings documents, before and behind the slice."""
    at = iter(range(0, COUNT, 7))

    def change() -> list[Any]:
        first = next(at)
        return [delete(first), put(COUNT - 1 - first, n=-first, odd=1), put(COUNT + first, odd=1), put(first + 1, n=9)]

    bench.between = change
    assert bench.names(asked) == expected
    assert bench.transactions > 1


def test_others_are_served_after_each_slice_and_a_small_query_is_one_transaction(bench: Bench) -> None:
    assert len(bench.ask(query("n"))) == COUNT
    assert bench.transactions == -(-(COUNT + 1) // ROWS)
    bench.transactions = 0
    assert bench.names(query("n", limit=10)) == EVERY[:10]
    assert bench.transactions == 1


def test_sums_are_of_one_moment_too(bench: Bench) -> None:
    bench.between = lambda: [delete(COUNT - 1), put(COUNT + 5), put(0, n=10**9)]
    asked = messages.RunAggregationQueryRequest(parent=ROOT)
    asked.structured_aggregation_query.structured_query.CopyFrom(query().structured_query)
    asked.structured_aggregation_query.aggregations.add(alias="sum", sum={"field": {"field_path": "n"}})
    asked.structured_aggregation_query.aggregations.add(alias="count", count={})
    [answer] = bench.ask(asked, "run_aggregation_query")
    fields = answer.result.aggregate_fields
    assert (fields["count"].integer_value, fields["sum"].integer_value) == (COUNT, sum(EVERY))
