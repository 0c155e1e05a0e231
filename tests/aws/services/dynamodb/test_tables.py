"""Tables: made, described, changed, listed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.services.dynamodb.conftest import index, key_schema, make_table, reason, refusal
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

INVALID = "One or more parameter values were invalid: "
S_ID = [{"AttributeName": "id", "AttributeType": "S"}]
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}


def definition(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def test_a_table_is_described_with_all_that_it_was_made_of(cloud: Cloud) -> None:
    dynamodb = cloud.client("dynamodb")
    made = dynamodb.create_table(
        TableName="orders",
        AttributeDefinitions=definition("id", "sk", "g"),
        KeySchema=key_schema("id", "sk"),
        ProvisionedThroughput=UNITS,
        GlobalSecondaryIndexes=[{**index("by-g", "g"), "ProvisionedThroughput": UNITS}],
        LocalSecondaryIndexes=[index("local", "id", "g", projection="INCLUDE", extra=["x"])],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "my-key"},
        TableClass="STANDARD_INFREQUENT_ACCESS",
        DeletionProtectionEnabled=True,
    )["TableDescription"]
    assert made["TableStatus"] == "CREATING"
    dynamodb.get_waiter("table_exists").wait(TableName="orders")
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "a"}, "sk": {"S": "b"}})
    cloud.restart()
    table = cloud.client("dynamodb").describe_table(TableName="orders")["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["TableArn"] == "arn:aws:dynamodb:us-east-1:000000000000:table/orders"
    assert (table["ItemCount"], table["TableSizeBytes"]) == (1, 6)
    assert table["ProvisionedThroughput"] == {**UNITS, "NumberOfDecreasesToday": 0}
    assert table["SSEDescription"]["KMSMasterKeyArn"].endswith(":key/my-key")
    assert table["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert table["DeletionProtectionEnabled"] is True
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert table["LatestStreamArn"] == f"{table['TableArn']}/stream/{table['LatestStreamLabel']}"
    [by_g] = table["GlobalSecondaryIndexes"]
    assert (by_g["IndexStatus"], by_g["IndexArn"]) == ("ACTIVE", f"{table['TableArn']}/index/by-g")
    [local] = table["LocalSecondaryIndexes"]
    assert local["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}


def test_a_name_that_is_used_again_names_an_empty_table(dynamodb: Any) -> None:
    request = {
        "TableName": "again", "AttributeDefinitions": S_ID, "KeySchema": key_schema("id"),
        "BillingMode": "PAY_PER_REQUEST",
    }  # fmt: skip
    first = dynamodb.create_table(**request)["TableDescription"]["TableId"]
    assert refusal(dynamodb.create_table, **request) == ("ResourceInUseException", "Table already exists: again")
    dynamodb.put_item(TableName="again", Item={"id": {"S": "a"}})
    assert dynamodb.delete_table(TableName="again")["TableDescription"]["TableStatus"] == "DELETING"
    dynamodb.get_waiter("table_not_exists").wait(TableName="again")
    assert dynamodb.create_table(**request)["TableDescription"]["TableId"] != first
    assert dynamodb.scan(TableName="again")["Count"] == 0


def test_a_protected_table_is_not_deleted(dynamodb: Any) -> None:
    table = make_table(dynamodb, DeletionProtectionEnabled=True)
    assert "currently protected against deletion" in reason(dynamodb.delete_table, TableName=table)
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)


def test_tables_are_listed_by_name_in_pages(cloud: Cloud) -> None:
    dynamodb = cloud.client("dynamodb")
    names = [f"t-{letter}" for letter in "abcde"]
    for name in reversed(names):
        dynamodb.create_table(
            TableName=name, AttributeDefinitions=S_ID, KeySchema=key_schema("id"), BillingMode="PAY_PER_REQUEST"
        )
    page = dynamodb.list_tables(Limit=2)
    assert (page["TableNames"], page["LastEvaluatedTableName"]) == (names[:2], "t-b")
    pages = dynamodb.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2})
    assert [name for page in pages for name in page["TableNames"]] == names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"TableName": "ab"},
            "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: Member must have "
            "length greater than or equal to 3",
        ),
        (
            {"TableName": "not good"},
            "1 validation error detected: Value 'not good' at 'tableName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        ),
        (
            {"KeySchema": key_schema("other")},
            INVALID + "Some index key attributes are not defined in AttributeDefinitions. Keys: [other], "
            "AttributeDefinitions: [id]",
        ),
        (
            {"KeySchema": key_schema("id", "other")},
            "Invalid KeySchema: Some index key attribute have no definition",
        ),
        (
            {"KeySchema": key_schema("id", "id")},
            "Invalid KeySchema: Some index key attribute have no definition",
        ),
        (
            {"AttributeDefinitions": definition("id", "more")},
            INVALID + "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        (
            {"KeySchema": [{"AttributeName": "id", "KeyType": "RANGE"}]},
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {"BillingMode": "PROVISIONED"},
            INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        (
            {"ProvisionedThroughput": UNITS},
            INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST",
        ),
        (
            {"AttributeDefinitions": definition("id", "g"), "LocalSecondaryIndexes": [index("local", "id", "g")]},
            INVALID + "Table KeySchema does not have a range key, which is required when specifying a "
            "LocalSecondaryIndex",
        ),
        (
            {"AttributeDefinitions": definition("id", "g"), "GlobalSecondaryIndexes": [index("one", "g")] * 2},
            INVALID + "Duplicate index name: one",
        ),
        ({"GlobalSecondaryIndexes": []}, INVALID + "List of GlobalSecondaryIndexes is empty"),
        (
            {
                "AttributeDefinitions": definition("id", "g"),
                "GlobalSecondaryIndexes": [index("one", "g", projection="ALL", extra=["x"])],
            },
            INVALID + "ProjectionType is ALL, but NonKeyAttributes is specified",
        ),
        (
            {"StreamSpecification": {"StreamEnabled": True}},
            INVALID + "StreamViewType must be specified when StreamEnabled is true",
        ),
    ],
)
def test_a_bad_table_is_refused_in_the_words_of_dynamodb(dynamodb: Any, changes: Any, message: str) -> None:
    request = {
        "TableName": "bad-one", "AttributeDefinitions": S_ID, "KeySchema": key_schema("id"),
        "BillingMode": "PAY_PER_REQUEST", **changes,
    }  # fmt: skip
    assert reason(dynamodb.create_table, **request) == message


def test_what_is_not_served_is_refused_by_name(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    message = reason(dynamodb.update_table, TableName=table, ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    assert message == "ReplicaUpdates is not supported by fogbank"


# Changes -------------------------------------------------------------------------------------------------------------


def test_an_index_that_is_added_holds_the_items_that_were_there(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    for name, colour in (("a", {"S": "red"}), ("b", {"S": "red"}), ("c", {"N": "1"}), ("d", {"S": ""})):
        dynamodb.put_item(TableName=table, Item={"id": {"S": name}, "colour": colour})
    update = {"Create": index("by-colour", "colour")}
    made = dynamodb.update_table(
        TableName=table, AttributeDefinitions=definition("id", "colour"), GlobalSecondaryIndexUpdates=[update]
    )["TableDescription"]
    assert made["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    found = dynamodb.scan(TableName=table, IndexName="by-colour")["Items"]
    assert sorted(item["id"]["S"] for item in found) == ["a", "b"]
    assert dynamodb.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"][0]["ItemCount"] == 2
    dynamodb.update_table(TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-colour"}}])
    described = dynamodb.describe_table(TableName=table)["Table"]
    assert "GlobalSecondaryIndexes" not in described
    assert described["AttributeDefinitions"] == S_ID
    assert reason(dynamodb.scan, TableName=table, IndexName="by-colour") == (
        "The table does not have the specified index: by-colour"
    )


def test_an_item_that_an_added_index_passed_over_can_still_be_written(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    dynamodb.put_item(TableName=table, Item={"id": {"S": "a"}, "colour": {"N": "1"}})
    dynamodb.update_table(
        TableName=table,
        AttributeDefinitions=definition("id", "colour"),
        GlobalSecondaryIndexUpdates=[{"Create": index("by-colour", "colour")}],
    )
    dynamodb.update_item(TableName=table, Key={"id": {"S": "a"}}, UpdateExpression="SET seen = colour")
    assert dynamodb.scan(TableName=table, IndexName="by-colour")["Count"] == 0
    dynamodb.put_item(TableName=table, Item={"id": {"S": "a"}, "colour": {"S": "red"}})
    assert dynamodb.scan(TableName=table, IndexName="by-colour")["Count"] == 1
    dynamodb.delete_item(TableName=table, Key={"id": {"S": "a"}})
    assert dynamodb.scan(TableName=table, IndexName="by-colour")["Count"] == 0


def test_a_large_table_is_indexed_behind_the_request_while_writes_go_on(cloud: Cloud) -> None:
    dynamodb = cloud.client("dynamodb")
    table = make_table(dynamodb)
    due_s = cloud.clock.now_ms() // 1000 + 100
    for start in range(0, 1300, 25):
        puts = [
            {"PutRequest": {"Item": {"id": {"S": str(n)}, "colour": {"S": "red"}, "ttl": {"N": str(due_s)}}}}
            for n in range(start, start + 25)
        ]
        dynamodb.batch_write_item(RequestItems={table: puts})
    made = dynamodb.update_table(
        TableName=table,
        AttributeDefinitions=definition("id", "colour"),
        GlobalSecondaryIndexUpdates=[{"Create": index("by-colour", "colour")}],
    )["TableDescription"]
    assert made["GlobalSecondaryIndexes"][0]["Backfilling"] is True
    dynamodb.put_item(TableName=table, Item={"id": {"S": "7"}, "colour": {"S": "blue"}})
    dynamodb.delete_item(TableName=table, Key={"id": {"S": "8"}})
    wait_until_active(dynamodb, table)
    request = {"TableName": table, "IndexName": "by-colour", "Select": "COUNT"}
    assert dynamodb.scan(**request)["Count"] == 1299
    counted = dynamodb.query(
        **request, KeyConditionExpression="colour = :c", ExpressionAttributeValues={":c": {"S": "red"}}
    )
    assert counted["Count"] == 1298
    dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": True})
    cloud.advance(seconds=200)

    def left() -> list[Any]:
        cloud.advance(seconds=1)  # It goes over the table behind the request, and pauses now and then.
        return list(dynamodb.scan(TableName=table)["Items"])

    eventually(lambda: len(left()) < 2)
    assert left() == [{"id": {"S": "7"}, "colour": {"S": "blue"}}]


def wait_until_active(dynamodb: Any, table: str) -> None:
    for _ in range(200):
        [described] = dynamodb.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"]
        if described["IndexStatus"] == "ACTIVE":
            return
    raise AssertionError("the index was never built")


def test_billing_and_throughput_change(dynamodb: Any) -> None:
    table = make_table(dynamodb, BillingMode="PROVISIONED", ProvisionedThroughput=UNITS)
    same = reason(dynamodb.update_table, TableName=table, ProvisionedThroughput=UNITS)
    assert same.startswith("The provisioned throughput for the table will not change.")
    lower = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    changed = dynamodb.update_table(TableName=table, ProvisionedThroughput=lower)["TableDescription"]
    assert changed["TableStatus"] == "UPDATING"
    assert changed["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 1
    changed = dynamodb.update_table(TableName=table, BillingMode="PAY_PER_REQUEST")["TableDescription"]
    assert changed["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert changed["ProvisionedThroughput"]["ReadCapacityUnits"] == 0


def test_a_stream_is_opened_and_closed(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    on = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}
    first = dynamodb.update_table(TableName=table, **on)["TableDescription"]["LatestStreamArn"]
    assert "already has an enabled stream" in reason(dynamodb.update_table, TableName=table, **on)
    off = {"StreamSpecification": {"StreamEnabled": False}}
    dynamodb.update_table(TableName=table, **off)
    assert "no stream to disable" in reason(dynamodb.update_table, TableName=table, **off)
    described = dynamodb.describe_table(TableName=table)["Table"]
    assert "StreamSpecification" not in described
    assert described["LatestStreamArn"] == first
    second = dynamodb.update_table(TableName=table, **on)["TableDescription"]["LatestStreamArn"]
    assert second != first


def test_an_update_must_ask_for_something(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    for nothing in ({}, {"GlobalSecondaryIndexUpdates": []}, {"AttributeDefinitions": S_ID}):
        assert reason(dynamodb.update_table, TableName=table, **nothing).startswith("At least one of ")
