"""SQS, rule by rule, as its API reference and Developer Guide have them."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.cloud import Cloud
from tests.support.refusals import refused

ARN = "arn:aws:sqs:us-east-1:000000000000:"
XML = "{http://queue.amazonaws.com/doc/2012-11-05/}"


@pytest.fixture
def steps(sqs: Any) -> str:
    settings = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    return str(sqs.create_queue(QueueName="steps.fifo", Attributes=settings)["QueueUrl"])


def take(sqs: Any, url: str, **options: Any) -> list[Any]:
    return list(sqs.receive_message(QueueUrl=url, **options).get("Messages", []))


# -- the query protocol (API Reference, "Making Query API requests") --


def form(cloud: Cloud, path: str = "/", **fields: str) -> ElementTree.Element:
    """A request as clients sent it before SQS spoke JSON."""
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20270101/us-east-1/sqs/aws4_request, x"}
    body = urllib.parse.urlencode(fields).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(cloud.url + path, body, headers)) as answer:
            return ElementTree.fromstring(answer.read())
    except urllib.error.HTTPError as error:
        return ElementTree.fromstring(error.read())


def test_an_old_client_names_the_queue_by_the_path_and_lists_by_their_items(cloud: Cloud) -> None:
    made = form(cloud, Action="CreateQueue", QueueName="old", **{"Attribute.1.Name": "VisibilityTimeout",
                "Attribute.1.Value": "5", "Tag.1.Key": "team", "Tag.1.Value": "blue"})  # fmt: skip
    assert made.findtext(f".//{XML}QueueUrl") == f"{cloud.url}/000000000000/old"
    queue = "/000000000000/old"
    form(cloud, queue, Action="SetQueueAttributes", **{"Attribute.Name": "DelaySeconds", "Attribute.Value": "0"})
    shown = form(cloud, queue, Action="GetQueueAttributes", **{"AttributeName.1": "VisibilityTimeout"})
    assert [one.text for one in shown.iter(f"{XML}Value")] == ["5"]
    one = "SendMessageBatchRequestEntry.1."
    sent = form(cloud, queue, Action="SendMessageBatch", **{
        f"{one}Id": "a", f"{one}MessageBody": "hi", f"{one}MessageAttribute.1.Name": "kind",
        f"{one}MessageAttribute.1.Value.DataType": "String", f"{one}MessageAttribute.1.Value.StringValue": "new",
    })  # fmt: skip
    assert [entry.findtext(f"{XML}Id") for entry in sent.iter(f"{XML}SendMessageBatchResultEntry")] == ["a"]
    received = form(cloud, queue, Action="ReceiveMessage", **{
        "AttributeName.1": "ApproximateReceiveCount", "MessageAttributeName.1": "All",
    })  # fmt: skip
    [message] = received.iter(f"{XML}Message")
    assert message.findtext(f"{XML}Attribute/{XML}Name") == "ApproximateReceiveCount"
    assert message.findtext(f"{XML}MessageAttribute/{XML}Value/{XML}StringValue") == "new"
    assert form(cloud, queue, Action="ListQueueTags").findtext(f".//{XML}Tag/{XML}Key") == "team"
    assert form(cloud, Action="ListQueues").findtext(f".//{XML}QueueUrl") == f"{cloud.url}/000000000000/old"


def test_errors_keep_the_codes_that_scripts_have_known_since_the_query_protocol(cloud: Cloud, sqs: Any) -> None:
    code, _ = refused(sqs.get_queue_url, QueueName="nope")
    assert code == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="nope")
    told = form(cloud, "/000000000000/nope", Action="ReceiveMessage")
    assert told.findtext(f".//{XML}Code") == "AWS.SimpleQueueService.NonExistentQueue"


# -- receiving --


def test_attribute_names_of_messages_may_be_asked_for_by_the_older_parameter_too(sqs: Any, orders: str) -> None:
    sqs.send_message(QueueUrl=orders, MessageBody="x")
    [found] = take(sqs, orders, AttributeNames=["ApproximateReceiveCount", "VisibilityTimeout"])
    assert found["Attributes"] == {"ApproximateReceiveCount": "1"}
    assert refused(sqs.receive_message, QueueUrl=orders, AttributeNames=["Colour"]) == (
        "InvalidAttributeName", "Unknown Attribute Colour.",
    )  # fmt: skip
    assert refused(sqs.get_queue_attributes, QueueUrl=orders, AttributeNames=["Colour"])[0] == "InvalidAttributeName"


def test_a_wait_beyond_twenty_seconds_is_refused_in_the_services_words(sqs: Any, orders: str) -> None:
    assert refused(sqs.receive_message, QueueUrl=orders, WaitTimeSeconds=40) == (
        "InvalidParameterValue",
        "Value 40 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
    )


def test_an_attempt_made_again_is_given_the_same_messages_and_handles(cloud: Cloud, sqs: Any, steps: str) -> None:
    """API reference, ReceiveMessage, "ReceiveRequestAttemptId"."""
    for body in "ab":
        sqs.send_message(QueueUrl=steps, MessageBody=body, MessageGroupId="g")
    first = take(sqs, steps, ReceiveRequestAttemptId="try", MaxNumberOfMessages=10, VisibilityTimeout=30)
    cloud.advance(seconds=20)
    again = take(sqs, steps, ReceiveRequestAttemptId="try", MaxNumberOfMessages=10, VisibilityTimeout=30)
    assert [one["ReceiptHandle"] for one in again] == [one["ReceiptHandle"] for one in first]
    cloud.advance(
        seconds=20
    )  # "If a retry occurs within the deduplication interval, it resets the visibility timeout."
    assert take(sqs, steps) == []
    sqs.delete_message(QueueUrl=steps, ReceiptHandle=first[0]["ReceiptHandle"])
    assert take(sqs, steps, ReceiveRequestAttemptId="try") == []  # One of them "was modified".


def test_an_attempt_id_is_refused_by_a_standard_queue(sqs: Any, orders: str) -> None:
    code, told = refused(sqs.receive_message, QueueUrl=orders, ReceiveRequestAttemptId="try")
    assert code == "InvalidParameterValue"
    assert "ReceiveRequestAttemptId" in told


def test_a_deleted_message_cannot_be_hidden_and_one_that_came_back_is_not_in_flight(
    cloud: Cloud, sqs: Any, orders: str
) -> None:
    sqs.send_message(QueueUrl=orders, MessageBody="x")
    [message] = take(sqs, orders, VisibilityTimeout=5)
    held = {"QueueUrl": orders, "ReceiptHandle": message["ReceiptHandle"]}
    cloud.advance(seconds=6)
    assert refused(sqs.change_message_visibility, **held, VisibilityTimeout=9)[0].endswith(".MessageNotInflight")
    sqs.delete_message(**held)
    code, told = refused(sqs.change_message_visibility, **held, VisibilityTimeout=9)
    assert code == "InvalidParameterValue"
    assert told.endswith("Message does not exist or is not available for visibility timeout change.")


def test_an_expired_handle_deletes_nothing_from_a_fifo_queue(cloud: Cloud, sqs: Any, steps: str) -> None:
    sqs.send_message(QueueUrl=steps, MessageBody="x", MessageGroupId="g")
    [message] = take(sqs, steps, VisibilityTimeout=5)
    cloud.advance(seconds=6)
    code, told = refused(sqs.delete_message, QueueUrl=steps, ReceiptHandle=message["ReceiptHandle"])
    assert (code, told.endswith("Reason: The receipt handle has expired.")) == ("InvalidParameterValue", True)
    assert len(take(sqs, steps)) == 1


# -- sending --


@pytest.mark.parametrize(
    ("attributes", "code", "told"),
    [
        ({"n": {"DataType": "Number", "StringValue": "many"}}, "InvalidParameterValue", "Can't cast the value"),
        ({"end.": {"DataType": "String", "StringValue": "x"}}, "InvalidParameterValue", "'end.' is invalid"),
        (
            {"l": {"DataType": "String", "StringValue": "x", "StringListValues": ["a"]}},
            "AWS.SimpleQueueService.UnsupportedOperation",
            "list values",
        ),
    ],
)
def test_message_attributes_that_sqs_does_not_take_are_refused(
    sqs: Any, orders: str, attributes: Any, code: str, told: str
) -> None:
    found = refused(sqs.send_message, QueueUrl=orders, MessageBody="x", MessageAttributes=attributes)
    assert found[0] == code
    assert told in found[1]


def test_the_only_system_attribute_to_send_is_the_trace_header(sqs: Any, orders: str) -> None:
    for given in (
        {"Colour": {"DataType": "String", "StringValue": "x"}},
        {"AWSTraceHeader": {"DataType": "String"}},
        {"AWSTraceHeader": {"DataType": "Number", "StringValue": "1"}},
    ):
        code, _ = refused(sqs.send_message, QueueUrl=orders, MessageBody="x", MessageSystemAttributes=given)
        assert code == "InvalidParameterValue"


@pytest.mark.parametrize("given", [{"MessageGroupId": "a b"}, {"MessageGroupId": "g" * 129},
                                   {"MessageGroupId": "g", "MessageDeduplicationId": "ä"}])  # fmt: skip
def test_groups_and_deduplication_ids_are_128_characters_of_text_and_punctuation(
    sqs: Any, steps: str, given: Any
) -> None:
    code, told = refused(sqs.send_message, QueueUrl=steps, MessageBody="x", **given)
    assert code == "InvalidParameterValue"
    assert "can only include alphanumeric and punctuation characters. 1 to 128 in length" in told


def test_an_empty_batch_is_refused_by_the_name_of_its_entries(sqs: Any, orders: str) -> None:
    code, told = refused(sqs.delete_message_batch, QueueUrl=orders, Entries=[])
    assert code == "AWS.SimpleQueueService.EmptyBatchRequest"
    assert told == "There should be at least one DeleteMessageBatchRequestEntry in the request."


def test_deduplication_may_be_of_each_group_by_itself(sqs: Any) -> None:
    """Developer Guide, "High throughput for FIFO queues": DeduplicationScope."""
    settings = {"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    url = sqs.create_queue(QueueName="fast.fifo", Attributes=settings)["QueueUrl"]
    for group in ("a", "b", "a"):
        sqs.send_message(QueueUrl=url, MessageBody=group, MessageGroupId=group, MessageDeduplicationId="one")
    assert sorted(message["Body"] for message in take(sqs, url, MaxNumberOfMessages=10)) == ["a", "b"]


def test_deduplication_ids_are_forgotten_when_their_five_minutes_are_over(cloud: Cloud, sqs: Any, steps: str) -> None:
    first = sqs.send_message(QueueUrl=steps, MessageBody="x", MessageGroupId="g")
    cloud.advance(seconds=299)
    assert sqs.send_message(QueueUrl=steps, MessageBody="x", MessageGroupId="g")["MessageId"] == first["MessageId"]
    cloud.advance(seconds=2)
    assert sqs.send_message(QueueUrl=steps, MessageBody="x", MessageGroupId="g")["MessageId"] != first["MessageId"]


# -- settings --


@pytest.mark.parametrize(
    "given",
    [
        {"RedriveAllowPolicy": '{"redrivePermission": "some"}'},
        {"RedriveAllowPolicy": '{"redrivePermission": "denyAll", "sourceQueueArns": ["x"]}'},
        {"RedriveAllowPolicy": json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": ["x"] * 11})},
        {"Policy": "not json"},
        {"KmsMasterKeyId": "alias/aws/sqs", "SqsManagedSseEnabled": "true"},
    ],
)
def test_settings_that_mean_nothing_are_refused(sqs: Any, orders: str, given: Any) -> None:
    assert refused(sqs.set_queue_attributes, QueueUrl=orders, Attributes=given)[0].startswith("Invalid")


def test_a_queue_lets_only_those_use_it_as_dead_letter_queue_that_its_redrive_allow_policy_names(sqs: Any) -> None:
    allow = {"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}good"]}
    sqs.create_queue(QueueName="dead", Attributes={"RedriveAllowPolicy": json.dumps(allow)})
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": f"{ARN}dead", "maxReceiveCount": 1})}
    sqs.create_queue(QueueName="good", Attributes=redrive)
    assert refused(sqs.create_queue, QueueName="bad", Attributes=redrive)[0] == "InvalidParameterValue"


def test_a_throughput_for_each_group_asks_for_deduplication_in_each_group(sqs: Any, steps: str) -> None:
    settings = {"FifoThroughputLimit": "perMessageGroupId"}
    assert refused(sqs.set_queue_attributes, QueueUrl=steps, Attributes=settings)[0] == "InvalidAttributeValue"
    sqs.set_queue_attributes(QueueUrl=steps, Attributes={**settings, "DeduplicationScope": "messageGroup"})


def test_a_shorter_retention_period_ends_messages_that_are_there_already(cloud: Cloud, sqs: Any, orders: str) -> None:
    """SetQueueAttributes: "will impact existing messages in the queue potentially causing them to be expired"."""
    sqs.send_message(QueueUrl=orders, MessageBody="old")
    cloud.advance(seconds=100)
    sqs.set_queue_attributes(QueueUrl=orders, Attributes={"MessageRetentionPeriod": "60"})
    assert take(sqs, orders) == []


def test_a_new_delay_counts_at_once_for_a_fifo_queue_and_not_for_a_standard_one(cloud: Cloud, sqs: Any) -> None:
    """Developer Guide, "Amazon SQS delay queues"."""
    for name, settings, group in (("s", {}, {}), ("f.fifo", {"FifoQueue": "true"}, {"MessageGroupId": "g"})):
        url = sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "60", **settings})["QueueUrl"]
        token = {"MessageDeduplicationId": "1"} if group else {}
        sqs.send_message(QueueUrl=url, MessageBody="x", **group, **token)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})
        assert len(take(sqs, url)) == (1 if group else 0)


def test_queues_are_listed_in_pages_of_the_size_that_is_asked_for(sqs: Any) -> None:
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": f"{ARN}dead", "maxReceiveCount": 1})}
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    for name in "abc":
        sqs.create_queue(QueueName=name, Attributes=redrive)
    for pages in (
        sqs.get_paginator("list_dead_letter_source_queues").paginate(QueueUrl=dead, PaginationConfig={"PageSize": 2}),
        sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 2}),
    ):
        found = [page.get("queueUrls") or page.get("QueueUrls") for page in pages]
        assert [len(page) for page in found] in ([2, 1], [2, 2])
    assert refused(sqs.list_queues, MaxResults=0)[0] == "InvalidParameterValue"


def test_a_permission_names_accounts_and_actions_that_can_be_given(sqs: Any, orders: str) -> None:
    give = {"QueueUrl": orders, "Label": "l", "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]}
    assert refused(sqs.add_permission, **give | {"Actions": ["CreateQueue"]})[0] == "InvalidParameterValue"
    assert refused(sqs.add_permission, **give | {"AWSAccountIds": ["me"]})[0] == "InvalidParameterValue"
    sqs.add_permission(**give)
    shown = sqs.get_queue_attributes(QueueUrl=orders, AttributeNames=["Policy"])["Attributes"]["Policy"]
    assert json.loads(shown)["Statement"][0]["Sid"] == "l"


def test_a_receipt_with_numbers_that_nothing_has_is_none(sqs: Any, orders: str) -> None:
    handle = base64.b64encode(b"abc:1:" + b"9" * 30).decode()
    assert refused(sqs.delete_message, QueueUrl=orders, ReceiptHandle=handle)[0] == "ReceiptHandleIsInvalid"
