"""BatchGetItem and BatchWriteItem."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.services.dynamodb.conftest import make_table, reason


@pytest.fixture
def table(dynamodb: Any) -> str:
    return make_table(dynamodb)


def puts(*names: str, **more: Any) -> list[Any]:
    return [{"PutRequest": {"Item": {"id": {"S": name}, **more}}} for name in names]


def keys(*names: str) -> list[Any]:
    return [{"id": {"S": name}} for name in names]


def test_a_batch_writes_to_several_tables(dynamodb: Any, table: str) -> None:
    other = make_table(dynamodb)
    dynamodb.put_item(TableName=other, Item={"id": {"S": "old"}})
    deletion = {"DeleteRequest": {"Key": {"id": {"S": "old"}}}}
    answer = dynamodb.batch_write_item(RequestItems={table: puts("a", "b"), other: [*puts("c"), deletion]})
    assert answer["UnprocessedItems"] == {}
    found = dynamodb.batch_get_item(
        RequestItems={table: {"Keys": keys("a", "b", "x")}, other: {"Keys": keys("c", "old")}}
    )
    assert sorted(item["id"]["S"] for item in found["Responses"][table]) == ["a", "b"]
    assert found["Responses"][other] == [{"id": {"S": "c"}}]
    assert found["UnprocessedKeys"] == {}


def test_a_batch_that_is_wrong_anywhere_writes_nothing(dynamodb: Any, table: str) -> None:
    bad = [*puts("a"), {"PutRequest": {"Item": {"other": {"S": "x"}}}}]
    message = reason(dynamodb.batch_write_item, RequestItems={table: bad})
    assert message == "The provided key element does not match the schema"
    assert dynamodb.scan(TableName=table)["Count"] == 0


def test_a_key_may_be_named_only_once(dynamodb: Any, table: str) -> None:
    message = "Provided list of item keys contains duplicates"
    assert reason(dynamodb.batch_write_item, RequestItems={table: puts("a", "a")}) == message
    assert reason(dynamodb.batch_get_item, RequestItems={table: {"Keys": keys("a", "a")}}) == message


def test_25_writes_and_100_reads_are_the_most(dynamodb: Any, table: str) -> None:
    other = make_table(dynamodb)
    names = [str(number) for number in range(60)]
    split = {table: puts(*names[:13]), other: puts(*names[:13])}
    assert (
        reason(dynamodb.batch_write_item, RequestItems=split) == "Too many items requested for the BatchWriteItem call"
    )
    dynamodb.batch_write_item(RequestItems={table: puts(*names[:25])})
    wide = {table: {"Keys": keys(*names)}, other: {"Keys": keys(*names)}}
    assert reason(dynamodb.batch_get_item, RequestItems=wide) == "Too many items requested for the BatchGetItem call"


def test_what_is_beyond_16_mb_is_left_to_ask_for_again(dynamodb: Any, table: str) -> None:
    """ "A single operation can retrieve up to 16 MB of data … returns the partial result … UnprocessedKeys"."""
    names = [f"{number:02}" for number in range(45)]
    for name in names:
        dynamodb.put_item(TableName=table, Item={"id": {"S": name}, "pad": {"S": "x" * 400_000}})
    asked = {table: {"Keys": keys(*names), "ProjectionExpression": "id", "ConsistentRead": True}}
    found: list[str] = []
    rounds = 0
    while asked:
        answer = dynamodb.batch_get_item(RequestItems=asked)
        found += [item["id"]["S"] for item in answer["Responses"][table]]
        asked = answer["UnprocessedKeys"]
        rounds += 1
    assert (sorted(found), rounds) == (names, 2)
