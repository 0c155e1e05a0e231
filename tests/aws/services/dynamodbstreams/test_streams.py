"""DynamoDB Streams through boto3: every change once, in order, for 24 hours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from fogbank.aws.services.dynamodbstreams.records import event_record
from fogbank.primitives import streams

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

KEY = [{"AttributeName": "id", "KeyType": "HASH"}]


def make(cloud: Cloud, view: str = "NEW_AND_OLD_IMAGES", name: str = "items") -> str:
    made = cloud.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=KEY,
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def put(cloud: Cloud, name: str, number: int, table: str = "items") -> None:
    cloud.client("dynamodb").put_item(TableName=table, Item={"id": {"S": name}, "n": {"N": str(number)}})


def iterator(cloud: Cloud, arn: str, kind: str = "TRIM_HORIZON", **more: Any) -> str:
    client = cloud.client("dynamodbstreams")
    [shard] = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    request = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind, **more}
    return str(client.get_shard_iterator(**request)["ShardIterator"])


def read(cloud: Cloud, at: str, **more: Any) -> Any:
    return cloud.client("dynamodbstreams").get_records(ShardIterator=at, **more)


def numbers(records: list[Any]) -> list[str]:
    return [record["dynamodb"]["NewImage"]["n"]["N"] for record in records]


def test_each_kind_of_change_is_told_with_its_images(cloud: Cloud) -> None:
    arn = make(cloud)
    put(cloud, "a", 1)
    put(cloud, "a", 2)
    put(cloud, "a", 2)
    cloud.client("dynamodb").delete_item(TableName="items", Key={"id": {"S": "a"}})
    cloud.client("dynamodb").delete_item(TableName="items", Key={"id": {"S": "nobody"}})
    records = read(cloud, iterator(cloud, arn))["Records"]
    one, two = ({"id": {"S": "a"}, "n": {"N": text}} for text in "12")
    told = [(each["eventName"], each["dynamodb"].get("OldImage"), each["dynamodb"].get("NewImage")) for each in records]
    assert told == [("INSERT", None, one), ("MODIFY", one, two), ("REMOVE", two, None)]
    first = records[0]
    assert len(first["eventID"]) == 32
    assert len({each["eventID"] for each in records}) == 3
    assert (first["eventVersion"], first["eventSource"], first["awsRegion"]) == ("1.1", "aws:dynamodb", "us-east-1")
    assert first["dynamodb"]["Keys"] == {"id": {"S": "a"}}
    assert first["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert [each["dynamodb"]["SizeBytes"] for each in records] == [3 + 6, 3 + 6 + 6, 3 + 6]
    sequence = [each["dynamodb"]["SequenceNumber"] for each in records]
    assert sequence == sorted(sequence)
    assert all(len(each) >= 21 for each in sequence)
    moment = datetime.fromtimestamp(cloud.clock.now_ms() // 1000, UTC)
    assert first["dynamodb"]["ApproximateCreationDateTime"] == moment


@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", set()),
        ("NEW_IMAGE", {"NewImage"}),
        ("OLD_IMAGE", {"OldImage"}),
        ("NEW_AND_OLD_IMAGES", {"NewImage", "OldImage"}),
    ],
)
def test_a_view_decides_which_images_are_told(cloud: Cloud, view: str, images: set[str]) -> None:
    arn = make(cloud, view)
    put(cloud, "a", 1)
    put(cloud, "a", 2)
    record = read(cloud, iterator(cloud, arn))["Records"][1]["dynamodb"]
    assert {"NewImage", "OldImage"} & set(record) == images


def test_all_ways_of_writing_are_told_in_order(cloud: Cloud) -> None:
    arn = make(cloud)
    dynamodb = cloud.client("dynamodb")
    items = [{"id": {"S": name}, "n": {"N": str(number)}} for number, name in enumerate("abcd")]
    dynamodb.batch_write_item(RequestItems={"items": [{"PutRequest": {"Item": item}} for item in items[:2]]})
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "items", "Item": item}} for item in items[2:]])
    update = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "9"}}}
    dynamodb.update_item(TableName="items", Key={"id": {"S": "a"}}, **update)
    assert numbers(read(cloud, iterator(cloud, arn))["Records"]) == ["0", "1", "2", "3", "9"]


def test_a_cancelled_transaction_tells_nothing(cloud: Cloud) -> None:
    arn = make(cloud)
    put(cloud, "a", 1)
    guard = {"ConditionExpression": "attribute_not_exists(id)"}
    items = [{"Put": {"TableName": "items", "Item": {"id": {"S": name}}, **guard}} for name in "ba"]
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        cloud.client("dynamodb").transact_write_items(TransactItems=items)
    assert len(read(cloud, iterator(cloud, arn))["Records"]) == 1


def test_every_iterator_begins_where_it_says(cloud: Cloud) -> None:
    arn = make(cloud)
    for number in range(3):
        put(cloud, "a", number)
        cloud.advance(seconds=10)
    latest = iterator(cloud, arn, "LATEST")
    middle = read(cloud, iterator(cloud, arn))["Records"][1]["dynamodb"]["SequenceNumber"]
    put(cloud, "a", 3)
    assert numbers(read(cloud, latest)["Records"]) == ["3"]
    assert numbers(read(cloud, iterator(cloud, arn))["Records"]) == ["0", "1", "2", "3"]
    at = iterator(cloud, arn, "AT_SEQUENCE_NUMBER", SequenceNumber=middle)
    assert numbers(read(cloud, at)["Records"]) == ["1", "2", "3"]
    after = iterator(cloud, arn, "AFTER_SEQUENCE_NUMBER", SequenceNumber=middle)
    assert numbers(read(cloud, after)["Records"]) == ["2", "3"]


def test_pages_follow_each_other_and_a_reader_waits_at_the_end(cloud: Cloud) -> None:
    arn = make(cloud)
    for number in range(5):
        put(cloud, "a", number)
    page = read(cloud, iterator(cloud, arn), Limit=3)
    assert numbers(page["Records"]) == ["0", "1", "2"]
    page = read(cloud, page["NextShardIterator"], Limit=3)
    assert numbers(page["Records"]) == ["3", "4"]
    page = read(cloud, page["NextShardIterator"])
    assert page["Records"] == []
    put(cloud, "a", 5)
    assert numbers(read(cloud, page["NextShardIterator"])["Records"]) == ["5"]


def test_a_page_has_one_megabyte_at_most(cloud: Cloud) -> None:
    arn = make(cloud, "NEW_IMAGE")
    for name in "abcd":
        item = {"id": {"S": name}, "pad": {"S": "x" * 390_000}}
        cloud.client("dynamodb").put_item(TableName="items", Item=item)
    page = read(cloud, iterator(cloud, arn))
    assert len(page["Records"]) == 2
    assert len(read(cloud, page["NextShardIterator"])["Records"]) == 2


def test_an_iterator_holds_for_15_minutes(cloud: Cloud) -> None:
    at = iterator(cloud, make(cloud))
    cloud.advance(seconds=899)
    read(cloud, at)
    cloud.advance(seconds=2)
    with pytest.raises(ClientError, match="ExpiredIteratorException"):
        read(cloud, at)
    with pytest.raises(ClientError, match="Invalid ShardIterator"):
        read(cloud, "nonsense")


def test_records_are_gone_after_24_hours_and_who_was_behind_is_told(cloud: Cloud) -> None:
    """ "Data retention limit for DynamoDB Streams"."""
    arn = make(cloud)
    put(cloud, "a", 1)
    cloud.advance(seconds=23 * 3600)
    put(cloud, "a", 2)
    old = read(cloud, iterator(cloud, arn))["Records"][0]["dynamodb"]["SequenceNumber"]
    cloud.advance(seconds=3590)
    behind = iterator(cloud, arn)
    cloud.advance(seconds=20)
    with pytest.raises(ClientError, match="TrimmedDataAccessException"):
        read(cloud, behind)
    with pytest.raises(ClientError, match="TrimmedDataAccessException"):
        iterator(cloud, arn, "AT_SEQUENCE_NUMBER", SequenceNumber=old)
    assert numbers(read(cloud, iterator(cloud, arn))["Records"]) == ["2"]
    cloud.advance(seconds=2 * 86_400)
    assert read(cloud, iterator(cloud, arn))["Records"] == []

    def rows(tx: Any) -> int:
        stream = streams.find(tx, arn)
        return len(streams.read(tx, stream.id)) if stream else -1

    assert cloud.run(cloud.server.store.transact(rows)) == 0, "what is trimmed leaves the store"


def test_an_expired_item_is_told_as_the_services_own_doing(cloud: Cloud) -> None:
    """ "DynamoDB Streams and Time to Live"."""
    arn = make(cloud)
    dynamodb = cloud.client("dynamodb")
    dynamodb.update_time_to_live(TableName="items", TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": True})
    moment_s = cloud.clock.now_ms() // 1000 + 100
    dynamodb.put_item(TableName="items", Item={"id": {"S": "a"}, "ttl": {"N": str(moment_s)}})
    cloud.advance(seconds=170)
    put_record, removal = read(cloud, iterator(cloud, arn))["Records"]
    assert "userIdentity" not in put_record
    assert removal["eventName"] == "REMOVE"
    assert removal["userIdentity"] == {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    assert removal["dynamodb"]["OldImage"]["ttl"] == {"N": str(moment_s)}


def test_the_stream_of_a_deleted_table_can_be_read_to_its_end_for_a_day(cloud: Cloud) -> None:
    arn = make(cloud)
    put(cloud, "a", 1)
    cloud.client("dynamodb").delete_table(TableName="items")
    cloud.restart()
    client = cloud.client("dynamodbstreams")
    described = client.describe_stream(StreamArn=arn)["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    assert "EndingSequenceNumber" in described["Shards"][0]["SequenceNumberRange"]
    page = read(cloud, iterator(cloud, arn))
    assert numbers(page["Records"]) == ["1"]
    assert "NextShardIterator" not in page
    cloud.advance(seconds=86_400 + 3600)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.describe_stream(StreamArn=arn)
    assert client.list_streams()["Streams"] == []


def test_streams_are_listed_by_table_in_pages(cloud: Cloud) -> None:
    arns = [make(cloud, name=name) for name in ("one", "two", "two2")]
    client = cloud.client("dynamodbstreams")
    assert [each["StreamArn"] for each in client.list_streams(TableName="two")["Streams"]] == [arns[1]]
    page = client.list_streams(Limit=2)
    assert [each["TableName"] for each in page["Streams"]] == ["one", "two"]
    rest = client.list_streams(ExclusiveStartStreamArn=page["LastEvaluatedStreamArn"])
    assert [each["StreamArn"] for each in rest["Streams"]] == arns[2:]
    assert "LastEvaluatedStreamArn" not in rest


def test_a_functions_event_is_all_json(cloud: Cloud) -> None:
    """ "Using AWS Lambda with Amazon DynamoDB", example event."""
    arn = make(cloud)
    item = {"id": {"S": "a"}, "raw": {"B": b"\x00"}, "deep": {"L": [{"M": {"x": {"BS": [b"\xff"]}}}]}}
    cloud.client("dynamodb").put_item(TableName="items", Item=item)

    def event(tx: Any) -> Any:
        stream = streams.find(tx, arn)
        assert stream is not None
        [record] = streams.read(tx, stream.id)
        return event_record(stream, record)

    found = cloud.run(cloud.server.store.transact(event))
    assert found["dynamodb"]["NewImage"] == {
        "id": {"S": "a"},
        "raw": {"B": "AA=="},
        "deep": {"L": [{"M": {"x": {"BS": ["/w=="]}}}]},
    }
    assert found["eventSourceARN"] == arn
    assert found["dynamodb"]["ApproximateCreationDateTime"] == cloud.clock.now_ms() // 1000
