"""What is published, and what becomes of it; told through boto3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.services.sns.conftest import inbox, subscribe
from tests.support.refusals import refused

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

ARN = "arn:aws:sns:us-east-1:000000000000:"


def attribute(kind: str, value: str | bytes) -> dict[str, Any]:
    return {"DataType": kind, "BinaryValue" if isinstance(value, bytes) else "StringValue": value}


def test_a_subscribed_queue_gets_the_message_in_its_envelope(cloud: Cloud, sns: Any, topic: str) -> None:
    """Developer Guide, "Fanout to Amazon SQS queues": the members, in their order."""
    orders = subscribe(cloud, topic, "q")
    attributes = {"n": attribute("Number", "99.12"), "raw": attribute("Binary", b"\x02\x03\x04")}
    sent = sns.publish(TopicArn=topic, Message="a cup", Subject="New order", MessageAttributes=attributes)
    found = orders.body()
    assert list(found) == [
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature",
        "SigningCertURL", "UnsubscribeURL", "MessageAttributes",
    ]  # fmt: skip
    assert (found["Type"], found["MessageId"], found["TopicArn"]) == ("Notification", sent["MessageId"], topic)
    assert (found["Subject"], found["Message"]) == ("New order", "a cup")
    assert found["Timestamp"] == "2027-01-15T08:00:00.000Z"
    assert found["MessageAttributes"] == {
        "n": {"Type": "Number", "Value": "99.12"}, "raw": {"Type": "Binary", "Value": "AgME"},
    }  # fmt: skip


def test_a_raw_message_comes_as_it_was_published(cloud: Cloud, sns: Any, topic: str) -> None:
    """ "Amazon SNS raw message delivery"."""
    orders = subscribe(cloud, topic, "q", RawMessageDelivery="true")
    attributes = {"n": attribute("Number", "99.12"), "raw": attribute("Binary", b"\x02\x03\x04")}
    sns.publish(TopicArn=topic, Message="a cup", MessageAttributes=attributes)
    found = orders.next()
    assert found["Body"] == "a cup"
    assert found["MessageAttributes"] == attributes


def test_each_protocol_is_told_its_own(cloud: Cloud, sns: Any, topic: str) -> None:
    """Publish, MessageStructure."""
    orders = subscribe(cloud, topic, "q")
    told = {"default": "for all", "sqs": "for queues", "lambda": 1}
    sns.publish(TopicArn=topic, Message=json.dumps(told), MessageStructure="json")
    del told["sqs"]
    sns.publish(TargetArn=topic, Message=json.dumps(told), MessageStructure="json")
    assert sorted(orders.texts(2)) == ["for all", "for queues"]


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ({"Message": ""}, "InvalidParameter", "Invalid parameter: Empty message"),
        ({"Message": "x" * 262_145}, "InvalidParameter", "Invalid parameter: Message too long"),
        (
            {"Message": "x" * 262_100, "MessageAttributes": {"a": attribute("String", "b" * 100)}},
            "InvalidParameter", "Invalid parameter: Message too long",
        ),
        ({"Subject": ""}, "InvalidParameter", "Invalid parameter: Subject"),
        ({"Subject": "x" * 101}, "InvalidParameter", "Invalid parameter: Subject"),
        ({"Subject": "two\nlines"}, "InvalidParameter", "Invalid parameter: Subject"),
        (
            {"MessageStructure": "json", "Message": "{"}, "InvalidParameter",
            "Invalid parameter: Message Structure - JSON message body failed to parse",
        ),
        (
            {"MessageStructure": "json", "Message": '{"sqs": "x"}'}, "InvalidParameter",
            "Invalid parameter: Message Structure - No default entry in JSON message body",
        ),
        (
            {"MessageStructure": "json", "Message": '{"default": 1}'}, "InvalidParameter",
            "Invalid parameter: Message Structure - No default entry in JSON message body",
        ),
        (
            {"MessageDeduplicationId": "1"}, "InvalidParameter",
            "Invalid parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type",  # noqa: E501
        ),
        (
            {"TopicArn": "orders"}, "InvalidParameter",
            "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1",
        ),
        ({"TopicArn": f"{ARN}none"}, "NotFound", "Topic does not exist"),
        (
            {"TopicArn": "arn:aws:sns:eu-west-1:000000000000:orders"}, "InvalidParameter",
            "Invalid parameter: TopicArn",
        ),
        ({"PhoneNumber": "+1"}, "InvalidParameter", "fogbank does not serve PhoneNumber here."),
    ],
)  # fmt: skip
def test_what_cannot_be_published_is_refused(sns: Any, topic: str, given: Any, code: str, told: str) -> None:
    assert refused(sns.publish, **{"TopicArn": topic, "Message": "x", **given}) == (code, told)


def test_a_message_needs_a_place(sns: Any) -> None:
    endpoint = f"{ARN}endpoint/APNS/App/0f1e"
    told = "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"
    assert refused(sns.publish, TargetArn=endpoint, Message="x") == ("InvalidParameter", told)
    told = "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter"
    assert refused(sns.publish, Message="x") == ("InvalidParameter", told)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("a", attribute("String", ""), "The message attribute 'a' must contain non-empty message attribute value for message attribute type 'String'."),  # noqa: E501
        ("a", {"DataType": "Binary"}, "The message attribute 'a' must contain non-empty message attribute value for message attribute type 'Binary'."),  # noqa: E501
        ("a", attribute("String", b"x"), "The message attribute 'a' with type 'String' must use field 'String'."),
        ("a", attribute("Number", b"x"), "The message attribute 'a' with type 'Number' must use field 'String'."),
        ("a", attribute("Binary", "x"), "The message attribute 'a' with type 'Binary' must use field 'Binary'."),
        ("a", attribute("Strings", "x"), "The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."),  # noqa: E501
        ("a", attribute("Number", "x"), "Could not cast message attribute 'a' value to number."),
        ("a" * 257, attribute("String", "x"), "Length of message attribute name must be less than 256 bytes."),
        ("a^", attribute("String", "x"), "Invalid non-alphanumeric character '#x5E' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots."),  # noqa: E501
        (".a", attribute("String", "x"), "Invalid message attribute name starting with character '.' was found."),
        ("a.", attribute("String", "x"), "Invalid message attribute name ending with character '.' was found."),
        ("a..b", attribute("String", "x"), "Message attribute name can not have successive '.' character."),
    ],
)  # fmt: skip
def test_an_attribute_that_is_none_is_refused(sns: Any, topic: str, name: str, given: Any, told: str) -> None:
    request = {"TopicArn": topic, "Message": "x", "MessageAttributes": {name: given}}
    assert refused(sns.publish, **request) == ("ParameterValueInvalid", told)
    entry = {"Id": "1", "Message": "x", "MessageAttributes": {name: given}}
    call = {"TopicArn": topic, "PublishBatchRequestEntries": [entry]}
    assert refused(sns.publish_batch, **call) == ("ParameterValueInvalid", told)


def test_an_attribute_without_a_type_does_not_fit_the_model(cloud: Cloud, topic: str) -> None:
    lax = cloud.client("sns", config=_unchecked())
    code, told = refused(lax.publish, TopicArn=topic, Message="x", MessageAttributes={"a": {"StringValue": "x"}})
    assert code == "ValidationError"
    assert told.startswith("1 validation error detected: Value null at 'messageAttributes.a.member.dataType' failed")


def _unchecked() -> Any:
    from botocore.config import Config

    return Config(parameter_validation=False)


def test_a_topic_may_take_larger_messages(cloud: Cloud, sns: Any, topic: str) -> None:
    """CreateTopic, MaximumMessageSize."""
    orders = subscribe(cloud, topic, "q", RawMessageDelivery="true")
    sns.set_topic_attributes(TopicArn=topic, AttributeName="MaximumMessageSize", AttributeValue="1048576")
    sns.publish(TopicArn=topic, Message="x" * 1_000_000)
    assert len(orders.next()["Body"]) == 1_000_000


# -- batches --


def test_a_batch_is_taken_as_a_whole(cloud: Cloud, sns: Any, topic: str) -> None:
    orders = subscribe(cloud, topic, "q")
    entries = [{"Id": f"e{n}", "Message": f"m{n}", "Subject": "s"} for n in range(10)]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [one["Id"] for one in answer["Successful"]] == [entry["Id"] for entry in entries]
    assert answer["Failed"] == []
    assert sorted(orders.texts(10)) == sorted(entry["Message"] for entry in entries)


@pytest.mark.parametrize(
    ("entries", "code", "told"),
    [
        ([], "EmptyBatchRequest", "The batch request doesn't contain any entries."),
        (
            [{"Id": str(n), "Message": "x"} for n in range(11)], "TooManyEntriesInBatchRequest",
            "The batch request contains more entries than permissible.",
        ),
        (
            [{"Id": "1", "Message": "x"}, {"Id": "1", "Message": "y"}], "BatchEntryIdsNotDistinct",
            "Two or more batch entries in the request have the same Id.",
        ),
        (
            [{"Id": "a b", "Message": "x"}], "InvalidBatchEntryId",
            "The Id of a batch entry in a batch request doesn't abide by the specification.",
        ),
        (
            [{"Id": str(n), "Message": "x" * 131_073} for n in range(2)], "BatchRequestTooLong",
            "The length of all the messages put together is more than the limit.",
        ),
        ([{"Id": "1", "Message": ""}], "InvalidParameter", "Invalid parameter: Empty message"),
    ],
)  # fmt: skip
def test_a_batch_that_is_none_is_refused(sns: Any, topic: str, entries: Any, code: str, told: str) -> None:
    assert refused(sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=entries) == (code, told)


# -- FIFO --


@pytest.fixture
def fifo(sns: Any) -> str:
    return str(sns.create_topic(Name="steps.fifo", Attributes={"FifoTopic": "true"})["TopicArn"])


def fifo_inbox(cloud: Cloud, topic: str, name: str = "steps.fifo", **attributes: str) -> Any:
    made = inbox(cloud, name, **({"FifoQueue": "true"} if name.endswith(".fifo") else {}))
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=made.arn, Attributes=attributes)
    return made


def test_messages_of_a_group_come_in_the_order_of_their_publishing(cloud: Cloud, sns: Any, fifo: str) -> None:
    steps = fifo_inbox(cloud, fifo, RawMessageDelivery="true")
    numbers = []
    for n in range(25):
        sent = sns.publish(TopicArn=fifo, Message=str(n), MessageGroupId="g", MessageDeduplicationId=f"d{n}")
        numbers.append(sent["SequenceNumber"])
    assert numbers == sorted(numbers) and {len(number) for number in numbers} == {20}
    found = [steps.next() for _ in range(25)]
    assert [one["Body"] for one in found] == [str(n) for n in range(25)]
    assert [one["Attributes"]["MessageDeduplicationId"] for one in found] == [f"d{n}" for n in range(25)]
    assert {one["Attributes"]["MessageGroupId"] for one in found} == {"g"}


def test_a_fifo_notification_has_its_number_and_no_signature(cloud: Cloud, sns: Any, fifo: str) -> None:
    steps = fifo_inbox(cloud, fifo)
    sent = sns.publish(TopicArn=fifo, Message="Test", MessageGroupId="g", MessageDeduplicationId="d")
    found = steps.body()
    assert list(found) == [
        "Type", "MessageId", "SequenceNumber", "TopicArn", "Message", "Timestamp", "UnsubscribeURL",
    ]  # fmt: skip
    assert found["SequenceNumber"] == sent["SequenceNumber"]


def test_a_standard_queue_may_be_subscribed_to_a_fifo_topic(cloud: Cloud, sns: Any, fifo: str) -> None:
    steps = fifo_inbox(cloud, fifo, "plain", RawMessageDelivery="true")
    sns.publish(TopicArn=fifo, Message="Test", MessageGroupId="g", MessageDeduplicationId="d")
    assert "MessageDeduplicationId" not in steps.next()["Attributes"]


def test_what_was_published_within_five_minutes_is_taken_and_not_sent_again(cloud: Cloud, sns: Any, fifo: str) -> None:
    """Publish, MessageDeduplicationId."""
    steps = fifo_inbox(cloud, fifo)
    message = {"TopicArn": fifo, "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    first = sns.publish(**message, Message="one")
    again = sns.publish(**message, Message="two")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert steps.texts(1) == ["one"]  # The queue knows it by the same id, for five minutes from now.
    assert steps.is_empty()
    cloud.advance(seconds=301)
    assert sns.publish(**message, Message="three")["MessageId"] != first["MessageId"]
    assert steps.texts(1) == ["three"]


def test_content_can_be_what_messages_are_known_by(cloud: Cloud, sns: Any, fifo: str) -> None:
    """CreateTopic, ContentBasedDeduplication: "a SHA-256 hash … using the body of the message"."""
    steps = fifo_inbox(cloud, fifo)
    sns.set_topic_attributes(TopicArn=fifo, AttributeName="ContentBasedDeduplication", AttributeValue="true")
    for text in ("Test", "Test", "other"):
        sns.publish(TopicArn=fifo, Message=text, MessageGroupId="g")
    found = [steps.next() for _ in range(2)]
    assert [json.loads(one["Body"])["Message"] for one in found] == ["Test", "other"]
    known_by = found[0]["Attributes"]["MessageDeduplicationId"]
    assert known_by == "532eaabd9574880dbf76b9b8cc00832c20a6ec113d682299550d7a6e0f345e25"
    assert steps.is_empty()


def test_groups_may_know_their_own_messages_only(cloud: Cloud, sns: Any, fifo: str) -> None:
    """CreateTopic, FifoThroughputScope."""
    steps = fifo_inbox(cloud, fifo, "plain")
    sns.set_topic_attributes(TopicArn=fifo, AttributeName="FifoThroughputScope", AttributeValue="MessageGroup")
    for group in ("a", "b", "a"):
        sns.publish(TopicArn=fifo, Message=group, MessageGroupId=group, MessageDeduplicationId="d")
    assert sorted(steps.texts(2)) == ["a", "b"]
    assert steps.is_empty()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"MessageDeduplicationId": "d"}, "The MessageGroupId parameter is required for FIFO topics"),
        (
            {"MessageGroupId": "g"},
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",  # noqa: E501
        ),
        (
            {"MessageGroupId": "a b", "MessageDeduplicationId": "d"},
            "MessageGroupId Reason: The parameter can only include alphanumeric and punctuation characters. 1 to 128 in length",  # noqa: E501
        ),
    ],
)  # fmt: skip
def test_a_fifo_topic_asks_for_a_group_and_an_id(sns: Any, fifo: str, given: Any, told: str) -> None:
    assert refused(sns.publish, TopicArn=fifo, Message="x", **given) == (
        "InvalidParameter", f"Invalid parameter: {told}",
    )  # fmt: skip
    call = {"TopicArn": fifo, "PublishBatchRequestEntries": [{"Id": "1", "Message": "x", **given}]}
    assert refused(sns.publish_batch, **call) == ("InvalidParameter", f"Invalid parameter: {told}")


def test_a_group_of_a_standard_topic_goes_with_the_message_to_queues(cloud: Cloud, sns: Any, topic: str) -> None:
    """Publish, MessageGroupId: "forwarded only to Amazon SQS standard subscriptions to activate fair queues"."""
    orders = subscribe(cloud, topic, "q")
    sns.publish(TopicArn=topic, Message="x", MessageGroupId="tenant")
    assert orders.next()["Attributes"]["MessageGroupId"] == "tenant"
