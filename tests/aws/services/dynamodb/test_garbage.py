"""Whatever is asked, the answer is an answer or one of DynamoDB's own errors, and the indexes stay exact."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.aws.service import Call, ServiceError
from fogbank.aws.services.dynamodb.operations.items import Items
from fogbank.aws.services.dynamodb.operations.queries import Queries
from fogbank.aws.services.dynamodb.operations.tables import Tables
from fogbank.aws.services.dynamodb.operations.transactions import Transactions
from fogbank.kernel.clock import VirtualClock
from fogbank.kernel.ids import Ids
from fogbank.kernel.store.sqlite import SqliteStore
from tests.aws.services.dynamodb.conftest import index, key_schema

LEAVES = st.one_of(
    st.sampled_from(["", "a", "b", "\x00é"]).map(lambda text: {"S": text}),
    st.sampled_from(["1", "-2.50", "1e5", "1e126", "abc", ""]).map(lambda text: {"N": text}),
    st.sampled_from([b"", b"\x00", b"\xff"]).map(lambda data: {"B": data}),
    st.booleans().map(lambda truth: {"BOOL": truth}),
    st.booleans().map(lambda truth: {"NULL": truth}),
    st.lists(st.sampled_from(["a", "b"]), max_size=3).map(lambda texts: {"SS": texts}),
    st.lists(st.sampled_from(["1", "1.0", "2"]), max_size=3).map(lambda texts: {"NS": texts}),
    st.sampled_from([{}, {"S": "a", "N": "1"}]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: {"L": values}),
        st.dictionaries(st.sampled_from("xyz"), inner, max_size=3).map(lambda values: {"M": values}),
    ),
    max_leaves=6,
)
KEYS = st.fixed_dictionaries(
    {"id": st.sampled_from([{"S": "a"}, {"S": "b"}]), "sk": st.sampled_from([{"N": "1"}, {"N": "2"}])}
)
WORDS = """
a1 m1.x m1.y[0] l1[1] g1 id sk :v :w #n = <> < <= > >= + - ( ) , [ ] . AND OR NOT IN BETWEEN SET REMOVE ADD DELETE
attribute_exists(a1) attribute_type(a1,:v) begins_with(a1,:v) contains(l1,:w) size(a1) if_not_exists(a1,:v)
list_append(l1,:w) a1=:v m1.x=:w a1=a1+:v SET REMOVE AND 7 name
""".split()  # noqa: SIM905  # One to a line would hide them.
TEXTS = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join),
    st.lists(
        st.sampled_from(["SET a1 = :v", "REMOVE l1[0], l1[3]", "ADD g1 :v", "DELETE a1 :w", "SET m1.x = :v"]),
        unique=True,
    ).map(" ".join),
)
ITEMS = st.builds(
    lambda key, more: {**key, **more},
    KEYS,
    st.dictionaries(st.sampled_from(["a1", "m1", "l1", "g1"]), VALUES, max_size=4),
)


def with_placeholders(request: dict[str, Any], one: Any, two: Any) -> dict[str, Any]:
    text = " ".join(value for value in request.values() if isinstance(value, str))
    values = {name: value for name, value in ((":v", one), (":w", two)) if re.search(name + r"\b", text)}
    request |= {"ExpressionAttributeValues": values} if values else {}
    return request | ({"ExpressionAttributeNames": {"#n": "m1"}} if "#n" in text else {})


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    verb = draw(st.sampled_from(["put", "update", "delete", "get", "query", "scan", "transact"]))
    request: dict[str, Any] = {"TableName": "shop"}
    condition = draw(st.one_of(st.none(), TEXTS))
    if verb == "put":
        request |= {"Item": draw(ITEMS), "ReturnValues": "ALL_OLD"}
    elif verb in {"update", "transact"}:
        request |= {"Key": draw(KEYS), "UpdateExpression": draw(TEXTS)}
    elif verb in {"delete", "get"}:
        request |= {"Key": draw(KEYS)}
    elif draw(st.booleans()):
        request |= {"IndexName": "by-g"}
    if verb == "query":
        request |= {"KeyConditionExpression": draw(st.one_of(TEXTS, st.sampled_from(["id = :v", "g1 = :v"])))}
    if condition is not None:
        name = {"get": "ProjectionExpression", "query": "FilterExpression", "scan": "FilterExpression"}
        request[name.get(verb, "ConditionExpression")] = condition
    return verb, with_placeholders(request, draw(VALUES), draw(VALUES))


@settings(max_examples=150, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=12))
def test_nothing_but_dynamodbs_own_errors_comes_of_garbage(asked: list[tuple[str, dict[str, Any]]]) -> None:
    clock = VirtualClock()
    store = SqliteStore(":memory:")
    call = Call("000000000000", "us-east-1", "arn", clock.now_ms(), "r", "t", Ids(clock, seed=1).new)
    house: Any = None  # None of these operations needs it.
    items, queries, transactions = Items(house), Queries(house), Transactions(house)
    operations = {
        "put": items.put_item, "update": items.update_item, "delete": items.delete_item, "get": items.get_item,
        "query": queries.query, "scan": queries.scan, "transact": transactions.transact_write_items,
    }  # fmt: skip

    def do(operation: Any, **request: Any) -> Any:
        return asyncio.run(store.transact(operation, call, request))

    do(
        Tables(house).create_table,
        TableName="shop",
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
            {"AttributeName": "g1", "AttributeType": "S"},
        ],
        KeySchema=key_schema("id", "sk"),
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        GlobalSecondaryIndexes=[index("by-g", "g1")],
    )
    for verb, request in asked:
        try:
            do(operations[verb], **({"TransactItems": [{"Update": request}]} if verb == "transact" else request))
        except ServiceError as error:
            assert error.status == 400
    everything = do(queries.scan, TableName="shop")["Items"]
    indexed = do(queries.scan, TableName="shop", IndexName="by-g")["Items"]
    assert sorted(map(repr, indexed)) == sorted(repr(item) for item in everything if "g1" in item)
