"""A table's stream feeds a function. Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.code import deploy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


def test_a_batch_that_is_given_up_is_told_of_with_the_place_where_it_lies(cloud: Cloud) -> None:
    """ "Capturing discarded batches": the shard and the sequence numbers, by which the records can be read again."""
    dynamodb, sqs, functions = (cloud.client(name) for name in ("dynamodb", "sqs", "lambda"))
    table = dynamodb.create_table(
        TableName="items", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]  # fmt: skip
    lost = sqs.create_queue(QueueName="lost")["QueueUrl"]
    deploy(functions, "fails", "def handler(event, context):\n    raise ValueError('no')\n")
    functions.create_event_source_mapping(
        FunctionName="fails", EventSourceArn=table["LatestStreamArn"], StartingPosition="TRIM_HORIZON",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:lost"}},
    )  # fmt: skip
    dynamodb.put_item(TableName="items", Item={"id": {"S": "1"}})

    def told() -> Any:
        cloud.advance(seconds=1)
        return sqs.receive_message(QueueUrl=lost).get("Messages")

    [message] = eventually(told)
    place = json.loads(message["Body"])["DDBStreamBatchInfo"]
    streams = cloud.client("dynamodbstreams")
    [shard] = streams.describe_stream(StreamArn=table["LatestStreamArn"])["StreamDescription"]["Shards"]
    assert (place["shardId"], place["streamArn"]) == (shard["ShardId"], table["LatestStreamArn"])
    iterator = streams.get_shard_iterator(
        StreamArn=place["streamArn"], ShardId=place["shardId"], ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=place["startSequenceNumber"],
    )["ShardIterator"]  # fmt: skip
    [record] = streams.get_records(ShardIterator=iterator, Limit=1)["Records"]
    assert record["dynamodb"]["Keys"] == {"id": {"S": "1"}}
