"""Query and Scan: order, key conditions, pages, indexes, segments."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.services.dynamodb.conftest import index, make_table, reason


def fill(dynamodb: Any, table: str, *items: dict[str, Any]) -> None:
    for item in items:
        dynamodb.put_item(TableName=table, Item=item)


def row(name: str, number: int | str, **more: Any) -> dict[str, Any]:
    return {"id": {"S": name}, "sk": {"N": str(number)}, **more}


def numbers(answer: Any) -> list[str]:
    return [item["sk"]["N"] for item in answer["Items"]]


@pytest.fixture(scope="module")
def table(dynamodb: Any) -> str:
    name = make_table(dynamodb, "id:S sk:N")
    fill(dynamodb, name, *(row("a", number) for number in (10, -3, 2, "0.5", "-2.5", 7)), row("b", 1))
    return name


def query(dynamodb: Any, table: str, condition: str, **options: Any) -> Any:
    values = {":a": {"S": "a"}} | {f":{number}": {"N": str(number)} for number in (2, 7) if f":{number}" in condition}
    text = f"id = :a{condition and ' AND '}{condition}"
    return dynamodb.query(TableName=table, KeyConditionExpression=text, ExpressionAttributeValues=values, **options)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("", ["-3", "-2.5", "0.5", "2", "7", "10"]),
        ("sk = :2", ["2"]),
        ("((sk = :2))", ["2"]),
        ("sk < :2", ["-3", "-2.5", "0.5"]),
        ("sk <= :2", ["-3", "-2.5", "0.5", "2"]),
        ("sk > :2", ["7", "10"]),
        ("sk >= :2", ["2", "7", "10"]),
        (":2 < sk", ["7", "10"]),
        ("sk BETWEEN :2 AND :7", ["2", "7"]),
    ],
)
def test_a_key_condition_selects_in_the_order_of_the_numbers(
    dynamodb: Any, table: str, condition: str, expected: list[str]
) -> None:
    assert numbers(query(dynamodb, table, condition)) == expected
    assert numbers(query(dynamodb, table, condition, ScanIndexForward=False)) == expected[::-1]


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("condition", ["", "sk >= :2", "sk BETWEEN :2 AND :7"])
def test_pages_joined_are_the_whole(dynamodb: Any, table: str, condition: str, forward: bool) -> None:
    whole = numbers(query(dynamodb, table, condition, ScanIndexForward=forward))
    joined, start = [], {}
    while True:
        page = query(dynamodb, table, condition, ScanIndexForward=forward, Limit=2, **start)
        joined += numbers(page)
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert joined == whole


def test_a_page_that_its_limit_ends_tells_where_although_nothing_follows(dynamodb: Any, table: str) -> None:
    """ "The only way to know when you have reached the end of the result set is when LastEvaluatedKey is empty"."""
    page = query(dynamodb, table, "", Limit=6)
    assert page["LastEvaluatedKey"] == row("a", 10)
    assert query(dynamodb, table, "", ExclusiveStartKey=page["LastEvaluatedKey"])["Items"] == []


def test_the_limit_counts_what_is_read_before_the_filter(dynamodb: Any, table: str) -> None:
    page = dynamodb.query(
        TableName=table,
        KeyConditionExpression="id = :a",
        FilterExpression="attribute_exists(nothing)",
        ExpressionAttributeValues={":a": {"S": "a"}},
        Limit=4,
    )
    assert (page["Count"], page["ScannedCount"], page["Items"]) == (0, 4, [])
    assert page["LastEvaluatedKey"] == row("a", 2)


def test_a_page_ends_at_one_megabyte_and_count_needs_no_items(dynamodb: Any) -> None:
    """ "Paginating table query results": 1 MB, counted before the filter."""
    table = make_table(dynamodb, "id:S sk:N")
    fill(dynamodb, table, *(row("a", number, pad={"S": "x" * 300_000}) for number in range(6)))
    page = dynamodb.query(
        TableName=table, KeyConditionExpression="id = :a", ExpressionAttributeValues={":a": {"S": "a"}}, Select="COUNT"
    )
    assert (page["Count"], "Items" in page) == (4, False)
    assert page["LastEvaluatedKey"] == row("a", 3)
    page = dynamodb.scan(TableName=table, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert (page["Count"], "LastEvaluatedKey" in page) == (2, False)


def test_strings_sort_by_their_utf8_and_begins_with_finds_them(dynamodb: Any) -> None:
    table = make_table(dynamodb, "id:S sk:S")
    words = ["a", "aa", "ab", "b", "z\uffff", "z\U0001f600", "ä"]
    fill(dynamodb, table, *({"id": {"S": "a"}, "sk": {"S": word}} for word in reversed(words)))
    request = {"TableName": table, "ExpressionAttributeValues": {":a": {"S": "a"}}}
    found = dynamodb.query(KeyConditionExpression="id = :a", **request)
    assert [item["sk"]["S"] for item in found["Items"]] == words
    found = dynamodb.query(KeyConditionExpression="id = :a AND begins_with(sk, :a)", **request)
    assert [item["sk"]["S"] for item in found["Items"]] == ["a", "aa", "ab"]


def test_binary_keys_with_awkward_bytes(dynamodb: Any) -> None:
    table = make_table(dynamodb, "id:S sk:B")
    keys = [b"\x00", b"\x00\x00", b"\x00\xff", b"\x01", b"\xff", b"\xff\x00", b"\xff\xff"]
    fill(dynamodb, table, *({"id": {"S": "a"}, "sk": {"B": key}} for key in keys))
    for prefix in (b"\x00", b"\xff", b"\xff\xff"):
        found = dynamodb.query(
            TableName=table,
            KeyConditionExpression="id = :a AND begins_with(sk, :p)",
            ExpressionAttributeValues={":a": {"S": "a"}, ":p": {"B": prefix}},
        )
        assert [item["sk"]["B"] for item in found["Items"]] == [key for key in keys if key.startswith(prefix)]


# Scan ----------------------------------------------------------------------------------------------------------------


def test_segments_share_all_items_without_a_gap_or_an_overlap(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    names = {f"item-{number}" for number in range(60)}
    fill(dynamodb, table, *({"id": {"S": name}} for name in names))
    found: list[str] = []
    for segment in range(7):
        items = dynamodb.scan(TableName=table, Segment=segment, TotalSegments=7)["Items"]
        found += [item["id"]["S"] for item in items]
    assert sorted(found) == sorted(names)
    assert found != sorted(found), "the order of a scan is by hash, not by key"
    paginator = dynamodb.get_paginator("scan")
    pages = paginator.paginate(TableName=table, PaginationConfig={"PageSize": 7})
    assert [item["id"]["S"] for page in pages for item in page["Items"]] == found


def test_a_start_from_another_segment_is_refused(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    fill(dynamodb, table, *({"id": {"S": str(number)}} for number in range(20)))
    last = dynamodb.scan(TableName=table, Segment=0, TotalSegments=2, Limit=1)["LastEvaluatedKey"]
    message = reason(dynamodb.scan, TableName=table, Segment=1, TotalSegments=2, ExclusiveStartKey=last)
    assert "Please use ExclusiveStartKey with correct Segment. TotalSegments: 2 Segment: 1" in message


def test_a_filter_sees_whole_items_and_a_projection_shapes_them(dynamodb: Any, table: str) -> None:
    answer = dynamodb.scan(
        TableName=table,
        FilterExpression="sk > :n AND id = :a",
        ProjectionExpression="sk",
        ExpressionAttributeValues={":n": {"N": "2"}, ":a": {"S": "a"}},
    )
    assert answer["Items"] == [{"sk": {"N": "7"}}, {"sk": {"N": "10"}}]
    assert (answer["Count"], answer["ScannedCount"]) == (2, 7)


def test_legacy_conditions_query_and_scan(dynamodb: Any, table: str) -> None:
    answer = dynamodb.query(
        TableName=table,
        KeyConditions={
            "id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]},
            "sk": {"ComparisonOperator": "GE", "AttributeValueList": [{"N": "2"}]},
        },
        QueryFilter={"nothing": {"ComparisonOperator": "NULL"}},
    )
    assert numbers(answer) == ["2", "7", "10"]
    answer = dynamodb.scan(
        TableName=table,
        ScanFilter={
            "id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "b"}]},
            "sk": {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "10"}, {"N": "7"}]},
        },
        ConditionalOperator="OR",
        AttributesToGet=["sk"],
    )
    assert sorted(numbers(answer)) == ["1", "10", "7"]


# Indexes -------------------------------------------------------------------------------------------------------------


def test_a_global_index_is_sparse_ordered_and_shows_what_it_projects(dynamodb: Any) -> None:
    table = make_table(
        dynamodb,
        "id:S, colour:S size:N",
        GlobalSecondaryIndexes=[
            index("all", "colour", "size"),
            index("keys", "colour", projection="KEYS_ONLY"),
            index("some", "colour", projection="INCLUDE", extra=["seen"]),
        ],
    )
    for name, colour, size in (("a", "red", 3), ("b", "red", 1), ("c", "blue", 2), ("d", "red", 1)):
        item = {
            "id": {"S": name},
            "colour": {"S": colour},
            "size": {"N": str(size)},
            "seen": {"S": "s"},
            "x": {"S": "x"},
        }
        fill(dynamodb, table, item)
    fill(dynamodb, table, {"id": {"S": "e"}, "colour": {"S": "red"}}, {"id": {"S": "f"}})

    def red(name: str, **options: Any) -> Any:
        return dynamodb.query(
            TableName=table, IndexName=name, KeyConditionExpression="colour = :c",
            ExpressionAttributeValues={":c": {"S": "red"}}, **options,
        )  # fmt: skip

    found = [item["id"]["S"] for item in red("all")["Items"]]
    assert found[2] == "a" and sorted(found[:2]) == ["b", "d"]
    assert {frozenset(item) for item in red("keys")["Items"]} == {frozenset({"id", "colour"})}
    assert {frozenset(item) for item in red("some")["Items"]} == {
        frozenset({"id", "colour", "seen"}), frozenset({"id", "colour"}),
    }  # fmt: skip
    page = red("all", Limit=1)
    assert page["LastEvaluatedKey"].keys() == {"id", "colour", "size"}
    rest = red("all", ExclusiveStartKey=page["LastEvaluatedKey"])
    assert [item["id"]["S"] for item in page["Items"] + rest["Items"]] == found
    assert dynamodb.scan(TableName=table, IndexName="keys")["Count"] == 5


def test_a_local_index_is_read_consistently_and_completed_from_its_table(dynamodb: Any) -> None:
    table = make_table(
        dynamodb, "id:S sk:N, rank:N", LocalSecondaryIndexes=[index("by-rank", "id", "rank", projection="KEYS_ONLY")]
    )
    fill(
        dynamodb,
        table,
        *(row("a", number, rank={"N": str(-number)}, note={"S": "n"}) for number in (1, 2)),
        row("a", 3),
    )

    def ranked(**options: Any) -> Any:
        return dynamodb.query(
            TableName=table, IndexName="by-rank", KeyConditionExpression="id = :a",
            ExpressionAttributeValues={":a": {"S": "a"}}, ConsistentRead=True, **options,
        )  # fmt: skip

    assert ranked()["Items"] == [row("a", 2, rank={"N": "-2"}), row("a", 1, rank={"N": "-1"})]
    assert [item["note"] for item in ranked(Select="ALL_ATTRIBUTES")["Items"]] == [{"S": "n"}, {"S": "n"}]
    assert ranked(ProjectionExpression="note")["Items"] == [{"note": {"S": "n"}}] * 2


def test_a_global_index_may_have_a_key_of_several_attributes(dynamodb: Any) -> None:
    """Order, gaps and the text as seen on AWS: "Multi-attribute keys" of global secondary indexes."""
    wide = index("wide", "h")
    wide["KeySchema"] += [{"AttributeName": name, "KeyType": "RANGE"} for name in ("a", "b", "c", "d")]
    table = make_table(dynamodb, "pk:S, h:S a:S b:S c:S d:S", GlobalSecondaryIndexes=[wide])
    for text in ("p1 T live b r1", "p2 T live a r2", "p3 T live a r1", "p4 T draft c r1", "p5 F live a r0"):
        values = dict(zip(("pk", "a", "b", "c", "d"), text.split(), strict=True))
        fill(dynamodb, table, {"h": {"S": "o1"}} | {name: {"S": value} for name, value in values.items()})
    fill(dynamodb, table, {"pk": {"S": "p6"}, "h": {"S": "o1"}, "a": {"S": "T"}})
    every = {":h": "o1", ":a": "T", ":b": "live", ":c": "a", ":d": "r"}

    def request(condition: str, **options: Any) -> dict[str, Any]:
        used = {name: {"S": value} for name, value in every.items() if name in condition}
        return {
            "TableName": table, "IndexName": "wide", "KeyConditionExpression": condition,
            "ExpressionAttributeValues": used, **options,
        }  # fmt: skip

    def found(condition: str, **options: Any) -> list[str]:
        return [item["pk"]["S"] for item in dynamodb.query(**request(condition, **options))["Items"]]

    assert found("h = :h") == ["p5", "p4", "p3", "p2", "p1"]
    assert found("b = :b AND h = :h AND a = :a") == ["p3", "p2", "p1"]
    assert found("h = :h AND a = :a AND b = :b AND c > :c") == ["p1"]
    assert found("h = :h AND a = :a AND b = :b AND c = :c AND begins_with(d, :d)") == ["p3", "p2"]
    page = dynamodb.query(**request("h = :h AND a = :a", Limit=2))
    assert sorted(page["LastEvaluatedKey"]) == ["a", "b", "c", "d", "h", "pk"]
    assert found("h = :h AND a = :a", ExclusiveStartKey=page["LastEvaluatedKey"]) == ["p2", "p1"]
    for condition in ("h = :h AND a = :a AND c = :c", "h = :h AND a = :a AND b > :b AND c = :c"):
        assert reason(dynamodb.query, **request(condition)) == (
            "RANGE key attributes b must have equality conditions specified in the query because a condition is "
            "present on key attribute c"
        )
