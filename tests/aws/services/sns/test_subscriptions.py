"""Subscriptions: made, described, changed, ended; told through boto3."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.aws.services.sns.conftest import inbox, subscribe
from tests.support.cloud import ACCOUNT, REGION
from tests.support.refusals import refused
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
NONE = "00000000-0000-7000-8000-000000000000"


def invalid(told: str) -> tuple[str, str]:
    return "InvalidParameter", f"Invalid parameter: {told}"


def mails(cloud: Cloud) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in cloud.log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "a mail of SNS"]


def test_a_queue_is_subscribed_at_once_and_described(sns: Any, topic: str) -> None:
    """A queue that is not there may be subscribed, as on AWS."""
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    assert re.fullmatch(re.escape(topic) + r":[0-9a-f-]{36}", arn)
    listed = {"SubscriptionArn": arn, "Owner": ACCOUNT, "Protocol": "sqs", "Endpoint": QUEUE, "TopicArn": topic}
    assert sns.list_subscriptions()["Subscriptions"] == [listed]
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == [listed]
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"] == {
        "ConfirmationWasAuthenticated": "true", "Endpoint": QUEUE, "Owner": ACCOUNT, "PendingConfirmation": "false",
        "Protocol": "sqs", "RawMessageDelivery": "false", "SubscriptionArn": arn, "TopicArn": topic,
        "SubscriptionPrincipal": f"arn:aws:iam::{ACCOUNT}:root",
    }  # fmt: skip


def test_who_subscribes_again_has_the_same_subscription(sns: Any, topic: str) -> None:
    def again(**attributes: str) -> str:
        asked = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE, "Attributes": attributes}
        return str(sns.subscribe(**asked)["SubscriptionArn"])

    arn = again(RawMessageDelivery="true", FilterPolicy='{"a": ["b"]}')
    usual = {"FilterPolicyScope": "MessageAttributes"}
    assert {again(RawMessageDelivery="true"), again(), again(**usual)} == {arn}
    asked = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE, "Attributes": {"RawMessageDelivery": "false"}}
    told = "Attributes Reason: Subscription already exists with different attributes"
    assert refused(sns.subscribe, **asked) == invalid(told)


@pytest.mark.parametrize(
    ("protocol", "endpoint", "told"),
    [
        ("pigeon", "x", "Amazon SNS does not support this protocol string: pigeon"),
        ("sqs", "http://127.0.0.1/000000000000/q", "SQS endpoint ARN"),
        ("lambda", "f", "Lambda endpoint ARN"),
        ("http", "https://shop.example/hook", "Endpoint must match the specified protocol"),
        ("https", "http://shop.example/hook", "Endpoint must match the specified protocol"),
        ("email", "nobody", "Email address"),
        ("sms", "+1234", "Protocol: fogbank does not serve subscriptions of the protocol sms here."),
        ("firehose", "x", "Protocol: fogbank does not serve subscriptions of the protocol firehose here."),
        (
            "sqs", f"{QUEUE}.fifo",
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
        ),
    ],
)  # fmt: skip
def test_an_endpoint_must_be_one_of_its_protocol(sns: Any, topic: str, protocol: str, endpoint: str, told: str) -> None:
    assert refused(sns.subscribe, TopicArn=topic, Protocol=protocol, Endpoint=endpoint) == invalid(told)


def test_an_error_can_be_read_whatever_it_is_about(sns: Any, topic: str) -> None:
    """Characters that no XML can carry are left out of what is told."""
    told = "Amazon SNS does not support this protocol string: pigeon & <co>\n"
    asked = {"TopicArn": topic, "Protocol": "pig\x00eon & <co>\n\x1b", "Endpoint": "x"}
    assert refused(sns.subscribe, **asked) == invalid(told)


def test_a_fifo_topic_delivers_to_queues_only(sns: Any) -> None:
    fifo = sns.create_topic(Name="t.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
    told = "Invalid parameter: Endpoint Reason: Please use FIFO SQS queue"
    assert refused(sns.subscribe, TopicArn=fifo, Protocol="lambda", Endpoint=function) == invalid(told)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Colour", "red", "AttributeName"),
        ("RawMessageDelivery", "maybe", "RawMessageDelivery: Invalid value [maybe]. Must be true or false."),
        ("RawMessageDelivery", "", "RawMessageDelivery: Invalid value []. Must be true or false."),
        (
            "FilterPolicyScope", "Random",
            "FilterPolicyScope: Invalid value [Random]. Please use either MessageBody or MessageAttributes",
        ),
        ("RedrivePolicy", '{"deadLetterTargetArn": "q"}', "RedrivePolicy: deadLetterTargetArn is an invalid arn"),
        ("ReplayPolicy", "{}", "ReplayPolicy: fogbank does not serve it here"),
        (
            "DeliveryPolicy", '{"healthyRetryPolicy": {"numRetries": 101}}',
            "DeliveryPolicy: healthyRetryPolicy.numRetries must be an integer between 0 and 100",
        ),
        (
            "FilterPolicy", '{"a": {"b": ["c"]}}',
            "Filter policy scope MessageAttributes does not support nested filter policy",
        ),
    ],
)  # fmt: skip
def test_an_attribute_that_cannot_be_set_is_told(sns: Any, topic: str, name: str, value: str, told: str) -> None:
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    change = {"SubscriptionArn": arn, "AttributeName": name, "AttributeValue": value}
    assert refused(sns.set_subscription_attributes, **change) == invalid(told)


def test_a_dead_letter_queue_is_of_its_subscriptions_kind(sns: Any, topic: str) -> None:
    """ "FIFO topic subscriptions use FIFO queues, and standard topic subscriptions use standard queues." """
    fifo = sns.create_topic(Name="t.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE})}
    told = "Attributes Reason: RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."
    asked = {"TopicArn": fifo, "Protocol": "sqs", "Endpoint": f"{QUEUE}.fifo", "Attributes": policy}
    assert refused(sns.subscribe, **asked) == invalid(told)
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": f"{QUEUE}.fifo"})}
    told = "Attributes Reason: RedrivePolicy: must use a standard queue as DLQ for a Subscription to a standard Topic."
    asked = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE, "Attributes": policy}
    assert refused(sns.subscribe, **asked) == invalid(told)


def test_a_scope_is_shown_once_there_is_a_policy(sns: Any, topic: str) -> None:
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]

    def put(name: str, value: str) -> dict[str, str]:
        sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
        return dict(sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"])

    assert "FilterPolicyScope" not in put("FilterPolicyScope", "MessageBody")
    found = put("FilterPolicy", '{"a": {"b": ["c"]}}')
    assert (found["FilterPolicy"], found["FilterPolicyScope"]) == ('{"a": {"b": ["c"]}}', "MessageBody")
    assert "FilterPolicy" not in put("FilterPolicy", "")


@pytest.mark.parametrize(
    ("arn", "told"),
    [
        ("", "SubscriptionArn Reason: no value for required parameter"),
        ("orders", "SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"),
        (f"arn:aws:sns:{REGION}:{ACCOUNT}:orders", "SubscriptionId"),
        (f"arn:aws:sns:{REGION}:{ACCOUNT}:orders:none", "SubscriptionId"),
    ],
)
def test_an_arn_of_no_subscription_is_refused(sns: Any, arn: str, told: str) -> None:
    assert refused(sns.unsubscribe, SubscriptionArn=arn) == invalid(told)
    assert refused(sns.get_subscription_attributes, SubscriptionArn=arn) == invalid(told)


def test_who_unsubscribes_gets_nothing_more(cloud: Cloud, sns: Any, topic: str) -> None:
    orders, others = subscribe(cloud, topic, "q"), subscribe(cloud, topic, "r")
    every = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    [arn] = [one["SubscriptionArn"] for one in every if one["Endpoint"] == orders.arn]
    sns.unsubscribe(SubscriptionArn=arn)
    sns.unsubscribe(SubscriptionArn=arn)  # It is gone already.
    sns.publish(TopicArn=topic, Message="x")
    assert others.texts(1) == ["x"]
    assert orders.is_empty()
    found = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (found["SubscriptionsConfirmed"], found["SubscriptionsDeleted"]) == ("1", "1")
    missing = ("NotFound", "Subscription does not exist")
    assert refused(sns.get_subscription_attributes, SubscriptionArn=f"{topic}:{NONE}") == missing


def test_the_url_in_a_message_ends_its_subscription(cloud: Cloud, sns: Any, topic: str) -> None:
    orders = subscribe(cloud, topic, "q")
    sns.publish(TopicArn=topic, Message="x")
    answer = httpx.get(orders.body()["UnsubscribeURL"])
    assert answer.status_code == 200 and "<UnsubscribeResponse" in answer.text
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_subscriptions_are_listed_in_pages(sns: Any, topic: str) -> None:
    for n in range(103):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{QUEUE}{n}")
    for pages in (
        sns.get_paginator("list_subscriptions").paginate(),
        sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic),
    ):
        found = [page["Subscriptions"] for page in pages]
        assert [len(page) for page in found] == [100, 3]
        assert len({one["SubscriptionArn"] for page in found for one in page}) == 103


def test_pages_lose_nothing_between_topics_whose_names_begin_alike(sns: Any) -> None:
    for name in ("a", "a-b", "a_b"):
        arn = sns.create_topic(Name=name)["TopicArn"]
        for n in range(60):
            sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"{QUEUE}{n}")
    found = [page["Subscriptions"] for page in sns.get_paginator("list_subscriptions").paginate()]
    assert [len(page) for page in found] == [100, 80]
    assert len({one["SubscriptionArn"] for page in found for one in page}) == 180
    assert refused(sns.list_subscriptions, NextToken="?") == invalid("NextToken")


def test_a_topic_has_room_for_two_hundred_filter_policies(sns: Any, topic: str) -> None:
    policy = {"FilterPolicy": '{"a": ["b"]}'}
    for n in range(200):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{QUEUE}{n}", Attributes=policy)
    one_more = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE}
    assert refused(sns.subscribe, **one_more, Attributes=policy)[0] == "FilterPolicyLimitExceeded"
    arn = sns.subscribe(**one_more)["SubscriptionArn"]
    change = {"SubscriptionArn": arn, "AttributeName": "FilterPolicy", "AttributeValue": policy["FilterPolicy"]}
    assert refused(sns.set_subscription_attributes, **change)[0] == "FilterPolicyLimitExceeded"


# -- confirming --


def test_a_mailbox_is_asked_first_and_the_log_has_its_mail(cloud: Cloud, sns: Any, topic: str) -> None:
    asked = {"TopicArn": topic, "Protocol": "email", "Endpoint": "ann@shop.example"}
    assert sns.subscribe(**asked)["SubscriptionArn"] == "pending confirmation"
    [listed] = sns.list_subscriptions()["Subscriptions"]
    assert listed["SubscriptionArn"] == "PendingConfirmation"
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsPending"] == "1"
    sns.publish(TopicArn=topic, Message="too early")

    [mail] = eventually(lambda: mails(cloud))
    assert (mail["to"], mail["kind"]) == ("ann@shop.example", "SubscriptionConfirmation")
    answer = httpx.get(mail["text"])
    assert answer.status_code == 200 and f"<SubscriptionArn>{topic}:" in answer.text
    sns.publish(TopicArn=topic, Message="a cup", Subject="New order")
    eventually(lambda: len(mails(cloud)) == 2)
    assert (mails(cloud)[1]["text"], mails(cloud)[1]["subject"]) == ("a cup", "New order")


def token_of(cloud: Cloud) -> str:
    [mail] = eventually(lambda: mails(cloud))
    return str(httpx.URL(mail["text"]).params["Token"])


def test_a_token_confirms_its_subscription_only(cloud: Cloud, sns: Any, topic: str) -> None:
    asked = {"TopicArn": topic, "Protocol": "email", "Endpoint": "ann@shop.example", "ReturnSubscriptionArn": True}
    arn = sns.subscribe(**asked)["SubscriptionArn"]
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["PendingConfirmation"] == "true"
    token, other = token_of(cloud), sns.create_topic(Name="other")["TopicArn"]
    confirm = sns.confirm_subscription
    assert refused(confirm, TopicArn=topic, Token="?") == ("InvalidParameter", "Invalid token")
    assert refused(confirm, TopicArn=topic, Token="0" * 232) == invalid("Token")
    assert refused(confirm, TopicArn=other, Token=token) == invalid("Topic")
    for _ in range(2):  # Who confirms again is told the same.
        assert confirm(TopicArn=topic, Token=token)["SubscriptionArn"] == arn
    found = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (found["PendingConfirmation"], found["ConfirmationWasAuthenticated"]) == ("false", "true")
    sns.unsubscribe(SubscriptionArn=arn)
    assert refused(confirm, TopicArn=topic, Token=token) == invalid("Token")  # It restores nothing.


def test_a_token_is_of_no_use_for_a_topic_that_was_made_anew(cloud: Cloud, sns: Any, topic: str) -> None:
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ann@shop.example")
    token = token_of(cloud)
    sns.delete_topic(TopicArn=topic)
    sns.create_topic(Name="orders")
    assert refused(sns.confirm_subscription, TopicArn=topic, Token=token) == ("NotFound", "Topic does not exist")
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_who_wants_no_stranger_to_unsubscribe_says_so(cloud: Cloud, sns: Any, topic: str) -> None:
    """ConfirmSubscription, AuthenticateOnUnsubscribe."""
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ann@shop.example")
    confirmed = sns.confirm_subscription(TopicArn=topic, Token=token_of(cloud), AuthenticateOnUnsubscribe="true")
    url = f"{cloud.url}/?Action=Unsubscribe&SubscriptionArn={confirmed['SubscriptionArn']}"
    answer = httpx.get(url)
    assert answer.status_code == 403 and "<Code>AuthorizationError</Code>" in answer.text
    sns.unsubscribe(SubscriptionArn=confirmed["SubscriptionArn"])
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_what_nobody_confirms_in_two_days_is_forgotten(cloud: Cloud, sns: Any, topic: str) -> None:
    """Subscribe: "Confirmation tokens are valid for two days." """
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ann@shop.example")
    token = token_of(cloud)
    cloud.advance(seconds=2 * 86_400)
    assert refused(sns.confirm_subscription, TopicArn=topic, Token=token) == invalid("Token")
    eventually(lambda: sns.list_subscriptions()["Subscriptions"] == [])


def test_a_subscription_of_another_account_is_that_accounts(cloud: Cloud, sns: Any, topic: str) -> None:
    other = cloud.client("sns", access_key="111122223333")
    made = inbox(cloud, "q")
    other.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=made.arn)
    assert [one["Owner"] for one in other.list_subscriptions()["Subscriptions"]] == ["111122223333"]
    assert sns.list_subscriptions()["Subscriptions"] == []
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1
