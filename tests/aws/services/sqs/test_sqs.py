"""SQS, told through boto3. Read the names from top to bottom: they are the service's manual."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.support.cloud import Cloud


def take(sqs: Any, url: str, **options: Any) -> list[Any]:
    return list(sqs.receive_message(QueueUrl=url, **options).get("Messages", []))


def test_messages_come_in_the_order_they_were_sent(sqs: Any, orders: str) -> None:
    for body in "abc":
        sqs.send_message(QueueUrl=orders, MessageBody=body)
    assert [message["Body"] for message in take(sqs, orders, MaxNumberOfMessages=10)] == ["a", "b", "c"]


def test_a_message_that_was_not_deleted_comes_back_after_the_visibility_timeout(
    cloud: Cloud, sqs: Any, orders: str
) -> None:
    sqs.send_message(QueueUrl=orders, MessageBody="pack order 7")
    assert take(sqs, orders, VisibilityTimeout=30)
    cloud.advance(seconds=29)
    assert take(sqs, orders) == []
    cloud.advance(seconds=2)
    [again] = take(sqs, orders, AttributeNames=["All"])
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


def test_who_asks_for_more_time_keeps_the_message_and_the_receipt(cloud: Cloud, sqs: Any, orders: str) -> None:
    sqs.send_message(QueueUrl=orders, MessageBody="pack order 7")
    [message] = take(sqs, orders, VisibilityTimeout=30)
    receipt = {"QueueUrl": orders, "ReceiptHandle": message["ReceiptHandle"]}
    cloud.advance(seconds=29)
    sqs.change_message_visibility(**receipt, VisibilityTimeout=30)
    cloud.advance(seconds=29)
    assert take(sqs, orders) == []
    sqs.delete_message(**receipt)
    cloud.advance(seconds=3600)
    assert take(sqs, orders) == []


def test_a_receipt_that_sqs_never_gave_is_refused(sqs: Any, orders: str) -> None:
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=orders, ReceiptHandle="not a receipt")


def test_after_max_receive_count_the_message_is_in_the_dead_letter_queue(cloud: Cloud, sqs: Any) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 2}
    url = sqs.create_queue(QueueName="work", Attributes={"RedrivePolicy": json.dumps(policy)})["QueueUrl"]
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison")["MessageId"]
    for _ in range(2):
        assert len(take(sqs, url)) == 1
        cloud.advance(seconds=31)
    assert take(sqs, url) == []
    [found] = take(sqs, dead, AttributeNames=["All"])
    assert found["MessageId"] == sent
    assert found["Attributes"]["DeadLetterQueueSourceArn"].endswith(":work")


def test_a_long_poll_answers_as_soon_as_a_message_is_sent(cloud: Cloud, sqs: Any, orders: str) -> None:
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.extend(take(cloud.client("sqs"), orders, WaitTimeSeconds=20)))
    waiting.start()
    sqs.send_message(QueueUrl=orders, MessageBody="hello")
    waiting.join(10)
    assert [message["Body"] for message in got] == ["hello"]


def test_digests_are_those_that_the_sdk_computes_itself(sqs: Any, orders: str) -> None:
    attributes = {
        "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
        "a": {"DataType": "String.custom", "StringValue": "ä"},
        "n": {"DataType": "Number", "StringValue": "12"},
    }
    sent = sqs.send_message(QueueUrl=orders, MessageBody="body", MessageAttributes=attributes)
    assert sent["MD5OfMessageBody"] == hashlib.md5(b"body").hexdigest()
    [found] = take(sqs, orders, MessageAttributeNames=["All"])  # Botocore checks MD5OfBody by itself.
    assert found["MessageAttributes"] == attributes
    assert found["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    [again] = [m for m in [found] if m["MessageAttributes"]["b"]["BinaryValue"] == b"\x00\x01"]
    assert again


def test_a_fifo_queue_keeps_the_order_in_each_group_and_sends_nothing_twice(sqs: Any) -> None:
    settings = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = sqs.create_queue(QueueName="steps.fifo", Attributes=settings)["QueueUrl"]
    for body in ("one", "two", "one", "three"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    [first] = take(sqs, url)
    assert first["Body"] == "one"
    assert take(sqs, url) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert [message["Body"] for message in take(sqs, url, MaxNumberOfMessages=10)] == ["two", "three"]


def test_a_batch_tells_entry_by_entry_what_could_not_be_done(sqs: Any, orders: str) -> None:
    entries = [{"Id": "good", "MessageBody": "x"}, {"Id": "late", "MessageBody": "y", "DelaySeconds": 901}]
    answer = sqs.send_message_batch(QueueUrl=orders, Entries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["good"]
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("late", "InvalidParameterValue")]
    with pytest.raises(sqs.exceptions.BatchEntryIdsNotDistinct):
        sqs.send_message_batch(QueueUrl=orders, Entries=[entries[0], entries[0]])


def test_a_queue_made_again_under_the_same_name_is_empty(sqs: Any, orders: str) -> None:
    sqs.send_message(QueueUrl=orders, MessageBody="old")
    sqs.delete_queue(QueueUrl=orders)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        take(sqs, orders)
    assert take(sqs, sqs.create_queue(QueueName="orders")["QueueUrl"]) == []


def test_messages_and_receive_counts_survive_a_restart(cloud: Cloud, sqs: Any, orders: str) -> None:
    sqs.send_message(QueueUrl=orders, MessageBody="kept")
    assert take(sqs, orders, VisibilityTimeout=5)
    cloud.restart()
    cloud.advance(seconds=6)
    client = cloud.client("sqs")
    [message] = take(client, client.get_queue_url(QueueName="orders")["QueueUrl"], AttributeNames=["All"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"


def test_the_query_protocol_is_spoken_too(cloud: Cloud, sqs: Any, orders: str) -> None:
    form = urllib.parse.urlencode({"Action": "SendMessage", "MessageBody": "old client", "QueueUrl": orders})
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20270101/us-east-1/sqs/aws4_request, x"}
    with urllib.request.urlopen(urllib.request.Request(cloud.url, form.encode(), headers)) as answer:
        assert b"<MD5OfMessageBody>" in answer.read()
    assert [message["Body"] for message in take(sqs, orders)] == ["old client"]
