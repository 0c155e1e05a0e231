"""Whatever is written in whatever way, the table and its indexes show what a dictionary would."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fogbank.aws.service import Call, House, ServiceError
from fogbank.aws.services.dynamodb.operations.batches import Batches
from fogbank.aws.services.dynamodb.operations.items import Items
from fogbank.aws.services.dynamodb.operations.queries import Queries
from fogbank.aws.services.dynamodb.operations.tables import Tables
from fogbank.aws.services.dynamodb.operations.transactions import Transactions
from fogbank.kernel.clock import VirtualClock
from fogbank.kernel.ids import Ids
from fogbank.kernel.store.sqlite import SqliteStore
from tests.aws.services.dynamodb.conftest import index, key_schema

IDS = st.sampled_from(["a", "b"])
NUMBERS = st.integers(-2, 2)
COLOURS = st.sampled_from([None, "blue", "red"])
Row = dict[str, Any]


def row(name: str, number: int, colour: str | None, rank: int) -> Row:
    item: Row = {"id": {"S": name}, "sk": {"N": str(number)}, "rank": {"N": str(rank)}}
    return item | ({"colour": {"S": colour}} if colour else {})


class ATable(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        clock = VirtualClock()
        ids = Ids(clock, seed=1)
        self.store = SqliteStore(":memory:")
        self.call = Call(
            "000000000000", "us-east-1", "arn:aws:iam::000000000000:root", clock.now_ms(), "r", "t", ids.new
        )
        self.house: House = None  # type: ignore[assignment]  # None of these operations needs it.
        self.model: dict[tuple[str, int], Row] = {}
        definitions = [("id", "S"), ("sk", "N"), ("colour", "S"), ("rank", "N")]
        self.do(
            Tables(self.house).create_table,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in definitions],
            KeySchema=key_schema("id", "sk"),
            BillingMode="PAY_PER_REQUEST",
            GlobalSecondaryIndexes=[index("by-colour", "colour", "rank")],
            LocalSecondaryIndexes=[index("by-rank", "id", "rank")],
        )

    def do(self, operation: Any, **request: Any) -> Any:
        request = (
            request if "RequestItems" in request or "TransactItems" in request else {"TableName": "shop", **request}
        )
        return asyncio.run(self.store.transact(operation, self.call, request))

    @rule(name=IDS, number=NUMBERS, colour=COLOURS, rank=NUMBERS)
    def put(self, name: str, number: int, colour: str | None, rank: int) -> None:
        self.do(Items(self.house).put_item, Item=row(name, number, colour, rank))
        self.model[name, number] = row(name, number, colour, rank)

    @rule(name=IDS, number=NUMBERS)
    def delete(self, name: str, number: int) -> None:
        self.do(Items(self.house).delete_item, Key={"id": {"S": name}, "sk": {"N": str(number)}})
        self.model.pop((name, number), None)

    @rule(name=IDS, number=NUMBERS, by=NUMBERS, recolour=st.booleans())
    def update(self, name: str, number: int, by: int, recolour: bool) -> None:
        key = {"id": {"S": name}, "sk": {"N": str(number)}}
        self.do(
            Items(self.house).update_item,
            Key=key,
            UpdateExpression="ADD #rank :by" + (" SET colour = :red" if recolour else " REMOVE colour"),
            ExpressionAttributeNames={"#rank": "rank"},
            ExpressionAttributeValues={":by": {"N": str(by)}} | ({":red": {"S": "red"}} if recolour else {}),
        )
        item = dict(self.model.get((name, number), key))
        item["rank"] = {"N": str(int(item.get("rank", {"N": "0"})["N"]) + by)}
        item.pop("colour", None)
        self.model[name, number] = item | ({"colour": {"S": "red"}} if recolour else {})

    @rule(numbers=st.sets(NUMBERS, min_size=1), name=IDS, colour=COLOURS)
    def write_a_batch(self, numbers: set[int], name: str, colour: str | None) -> None:
        puts = [{"PutRequest": {"Item": row(name, number, colour, number)}} for number in numbers]
        self.do(Batches(self.house).batch_write_item, RequestItems={"shop": puts})
        self.model |= {(name, number): row(name, number, colour, number) for number in numbers}

    @rule(numbers=st.sets(NUMBERS, min_size=1), name=IDS)
    def transact_only_where_nothing_is(self, numbers: set[int], name: str) -> None:
        condition = {"ConditionExpression": "attribute_not_exists(id)"}
        items = [{"Put": {"TableName": "shop", "Item": row(name, n, "red", n), **condition}} for n in sorted(numbers)]
        taken = [(name, number) in self.model for number in sorted(numbers)]
        try:
            self.do(Transactions(self.house).transact_write_items, TransactItems=items)
            assert not any(taken)
            self.model |= {(name, number): row(name, number, "red", number) for number in numbers}
        except ServiceError as error:
            codes = [reason["Code"] for reason in error.fields["CancellationReasons"]]
            assert codes == ["ConditionalCheckFailed" if each else "None" for each in taken]

    def read(self, condition: str, value: str, index_name: str = "", **options: Any) -> list[Row]:
        request = {"KeyConditionExpression": condition, "ExpressionAttributeValues": {":v": {"S": value}}, **options}
        return list(
            self.do(Queries(self.house).query, **request, **({"IndexName": index_name} if index_name else {}))["Items"]
        )

    @invariant()
    def the_table_is_the_model(self) -> None:
        for name in ("a", "b"):
            expected = [item for (own, _), item in sorted(self.model.items()) if own == name]
            assert self.read("id = :v", name) == expected
            assert self.read("id = :v", name, ScanIndexForward=False) == expected[::-1]

    @invariant()
    def the_local_index_is_the_model_by_rank(self) -> None:
        for name in ("a", "b"):
            mine = [(int(item["rank"]["N"]), key[1], item) for key, item in self.model.items() if key[0] == name]
            assert self.read("id = :v", name, "by-rank") == [
                item for *_, item in sorted(mine, key=lambda each: each[:2])
            ]

    @invariant()
    def the_global_index_holds_what_has_a_colour_by_rank(self) -> None:
        for colour in ("blue", "red"):
            found = self.read("colour = :v", colour, "by-colour")
            ranks = [int(item["rank"]["N"]) for item in found]
            assert ranks == sorted(ranks)
            expected = [item for item in self.model.values() if item.get("colour") == {"S": colour}]
            assert sorted(map(place, found)) == sorted(map(place, expected))
            assert all(self.model[place(item)] == item for item in found)


def place(item: Row) -> tuple[str, int]:
    return item["id"]["S"], int(item["sk"]["N"])


ATable.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestATable = ATable.TestCase
