"""A large table's new index is refused to readers until every item stands in it, whatever happens in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.aws.service import Call, ServiceError
from fogbank.aws.services.dynamodb import building
from fogbank.aws.services.dynamodb.operations.items import Items
from fogbank.aws.services.dynamodb.operations.queries import Queries
from fogbank.aws.services.dynamodb.operations.tables import Tables
from fogbank.kernel.clock import VirtualClock
from fogbank.kernel.ids import Ids
from fogbank.kernel.store.sqlite import SqliteStore
from tests.aws.services.dynamodb.conftest import index, key_schema


class Shop:
    """One table, its operations called without a server, so that the test decides when a step is done."""

    def __init__(self) -> None:
        clock = VirtualClock()
        self.store, self.now_ms = SqliteStore(":memory:"), clock.now_ms()
        self.call = Call("000000000000", "us-east-1", "arn", self.now_ms, "r", "t", Ids(clock, seed=1).new)
        self.house: Any = None  # None of these operations needs it.
        self.items, self.tables, self.queries = Items(self.house), Tables(self.house), Queries(self.house)
        self.do(
            self.tables.create_table,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=key_schema("id"),
            BillingMode="PAY_PER_REQUEST",
        )

    def do(self, operation: Any, **request: Any) -> Any:
        return asyncio.run(self.store.transact(operation, self.call, {"TableName": "shop", **request}))

    def put(self, name: str, colour: str = "red") -> None:
        self.do(self.items.put_item, Item={"id": {"S": name}, "colour": {"S": colour}})

    def step(self) -> bool:
        return bool(asyncio.run(self.store.transact(building.step, now_ms=self.now_ms)))

    def index(self) -> None:
        self.do(
            self.tables.update_table,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "colour")],
            GlobalSecondaryIndexUpdates=[{"Create": index("by-colour", "colour")}],
        )

    def names(self) -> set[str]:
        found = self.do(self.queries.scan, IndexName="by-colour")
        return {item["id"]["S"] for item in found["Items"]}


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(building, "AT_ONCE", 5)
    monkeypatch.setattr(building, "STEP", 3)
    return Shop()


def test_it_is_readable_once_it_is_whole(shop: Shop) -> None:
    for number in range(10):
        shop.put(str(number))
    shop.index()
    refused = 0
    while True:
        try:
            shop.names()
            break
        except ServiceError as error:
            assert error.message == "Cannot read from backfilling global secondary index: by-colour"
            refused += 1
            shop.step()
    assert refused == 5, "four steps of three, the last of one, and one that finds the end"
    assert shop.names() == {str(number) for number in range(10)}
    assert not shop.step()


def test_writes_between_the_steps_are_kept(shop: Shop) -> None:
    for number in range(10):
        shop.put(str(number))
    shop.index()
    shop.step()
    for number in range(0, 10, 2):
        shop.do(shop.items.delete_item, Key={"id": {"S": str(number)}})
    shop.put("new")
    shop.put("1", "blue")
    while shop.step():
        pass
    assert shop.names() == {"1", "3", "5", "7", "9", "new"}


def test_a_small_table_is_indexed_at_once(shop: Shop) -> None:
    shop.put("a")
    shop.index()
    assert shop.names() == {"a"}


def test_a_table_that_is_gone_ends_its_building(shop: Shop) -> None:
    for number in range(10):
        shop.put(str(number))
    shop.index()
    shop.do(shop.tables.delete_table)
    assert shop.step()
    assert not shop.step()
