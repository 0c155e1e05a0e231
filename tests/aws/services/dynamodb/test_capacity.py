"""Consumed capacity is the real arithmetic: "DynamoDB read and write operations", capacity unit consumption."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.services.dynamodb.conftest import index, make_table


def padded(size: int, **more: Any) -> dict[str, Any]:
    """An item of `size` bytes."""
    used = len("id") + 1 + len("p") + sum(len(name) + len(value["S"]) for name, value in more.items())
    return {"id": {"S": "a"}, **more, "p": {"S": "x" * (size - used)}}


@pytest.mark.parametrize(
    ("size", "writes", "consistent", "eventual"),
    [(100, 1.0, 1.0, 0.5), (1024, 1.0, 1.0, 0.5), (1025, 2.0, 1.0, 0.5), (4096, 4.0, 1.0, 0.5), (4097, 5.0, 2.0, 1.0)],
)
def test_units_of_one_item(dynamodb: Any, size: int, writes: float, consistent: float, eventual: float) -> None:
    table = make_table(dynamodb)
    report = {"TableName": table, "ReturnConsumedCapacity": "TOTAL"}
    key = {"id": {"S": "a"}}
    expected = {"TableName": table, "CapacityUnits": writes}
    assert dynamodb.put_item(Item=padded(size), **report)["ConsumedCapacity"] == expected
    for strongly, units in ((True, consistent), (False, eventual)):
        answer = dynamodb.get_item(Key=key, ConsistentRead=strongly, **report)
        assert answer["ConsumedCapacity"]["CapacityUnits"] == units
    transacted = dynamodb.transact_get_items(
        TransactItems=[{"Get": {"TableName": table, "Key": key}}], ReturnConsumedCapacity="TOTAL"
    )
    assert transacted["ConsumedCapacity"][0]["CapacityUnits"] == 2 * consistent
    shrunk = dynamodb.put_item(Item={"id": {"S": "a"}}, **report)
    assert shrunk["ConsumedCapacity"] == expected, "a write costs the larger of the old and the new item"
    assert dynamodb.get_item(Key={"id": {"S": "no"}}, **report)["ConsumedCapacity"]["CapacityUnits"] == 0.5


def test_each_index_pays_for_its_own_entry(dynamodb: Any) -> None:
    """ "Provisioned throughput considerations for global secondary indexes", write capacity units."""
    table = make_table(
        dynamodb, "id:S, g:S", GlobalSecondaryIndexes=[index("all", "g"), index("keys", "g", projection="KEYS_ONLY")]
    )

    def put(item: Any) -> Any:
        return dynamodb.put_item(TableName=table, Item=item, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]

    def shown(table_units: float, **indexes: float) -> dict[str, Any]:
        answer = {
            "TableName": table,
            "CapacityUnits": table_units + sum(indexes.values()),
            "Table": {"CapacityUnits": table_units},
        }
        if indexes:
            answer["GlobalSecondaryIndexes"] = {name: {"CapacityUnits": units} for name, units in indexes.items()}
        return answer

    assert put(padded(2000)) == shown(2.0)
    assert put(padded(2000, g={"S": "x"})) == shown(2.0, all=2.0, keys=1.0)
    assert put(padded(2001, g={"S": "x"})) == shown(2.0, all=2.0)
    assert put(padded(2001, g={"S": "y"})) == shown(2.0, all=4.0, keys=2.0)
    assert put(padded(2001)) == shown(2.0, all=2.0, keys=1.0)


def test_a_query_pays_for_all_that_it_read(dynamodb: Any) -> None:
    table = make_table(dynamodb, "id:S sk:N, g:S", GlobalSecondaryIndexes=[index("by-g", "g", projection="KEYS_ONLY")])
    for number in range(4):
        item = {"id": {"S": "a"}, "sk": {"N": str(number)}, "g": {"S": "x"}, "pad": {"S": "x" * 3000}}
        dynamodb.put_item(TableName=table, Item=item)
    values = {":a": {"S": "a"}}
    answer = dynamodb.query(
        TableName=table, KeyConditionExpression="id = :a", FilterExpression="attribute_exists(nothing)",
        ExpressionAttributeValues=values, ReturnConsumedCapacity="TOTAL",
    )  # fmt: skip
    assert answer["ConsumedCapacity"] == {"TableName": table, "CapacityUnits": 1.5}
    answer = dynamodb.query(
        TableName=table, IndexName="by-g", KeyConditionExpression="g = :x",
        ExpressionAttributeValues={":x": {"S": "x"}}, ReturnConsumedCapacity="INDEXES",
    )  # fmt: skip
    assert answer["ConsumedCapacity"] == {
        "TableName": table,
        "CapacityUnits": 0.5,
        "Table": {"CapacityUnits": 0.0},
        "GlobalSecondaryIndexes": {"by-g": {"CapacityUnits": 0.5}},
    }


def test_a_transaction_pays_twice_and_a_batch_per_table(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    answer = dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": table, "Item": padded(1500)}}], ReturnConsumedCapacity="TOTAL"
    )
    assert answer["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}]
    answer = dynamodb.batch_get_item(
        RequestItems={table: {"Keys": [{"id": {"S": "a"}}, {"id": {"S": "b"}}]}}, ReturnConsumedCapacity="TOTAL"
    )
    assert answer["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 1.0}]
