"""Topics, their attributes, permissions and tags; told through boto3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.services.sns.conftest import subscribe
from tests.support.cloud import ACCOUNT
from tests.support.refusals import refused

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

ARN = "arn:aws:sns:us-east-1:000000000000:"
NOT_FOUND = ("NotFound", "Topic does not exist")


def invalid(told: str) -> tuple[str, str]:
    return "InvalidParameter", f"Invalid parameter: {told}"


def attributes(sns: Any, topic: str) -> dict[str, str]:
    return dict(sns.get_topic_attributes(TopicArn=topic)["Attributes"])


def test_a_new_topic_shows_what_holds_where_nothing_was_set(sns: Any, topic: str) -> None:
    found = attributes(sns, topic)
    policy = json.loads(found.pop("Policy"))
    assert policy["Statement"][0]["Condition"] == {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}
    assert policy["Statement"][0]["Resource"] == topic
    assert json.loads(found.pop("EffectiveDeliveryPolicy")) == {
        "http": {
            "defaultHealthyRetryPolicy": {
                "minDelayTarget": 20, "maxDelayTarget": 20, "numRetries": 3, "numMaxDelayRetries": 0,
                "numNoDelayRetries": 0, "numMinDelayRetries": 0, "backoffFunction": "linear",
            },
            "disableSubscriptionOverrides": False,
            "defaultRequestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
        }
    }  # fmt: skip
    assert found == {
        "DisplayName": "", "Owner": ACCOUNT, "SubscriptionsConfirmed": "0", "SubscriptionsDeleted": "0",
        "SubscriptionsPending": "0", "TopicArn": topic,
    }  # fmt: skip


def test_a_topic_that_is_made_again_is_the_same(sns: Any) -> None:
    """CreateTopic: "This action is idempotent"."""
    given = {"Attributes": {"DisplayName": "Shop"}, "Tags": [{"Key": "a", "Value": "1"}]}
    arn = sns.create_topic(Name="orders", **given)["TopicArn"]
    assert arn == f"{ARN}orders"
    assert sns.create_topic(Name="orders", **given)["TopicArn"] == arn
    assert sns.create_topic(Name="orders")["TopicArn"] == arn
    assert sns.create_topic(Name="orders", Attributes={"SignatureVersion": "1"})["TopicArn"] == arn
    told = "Attributes Reason: Topic already exists with different attributes"
    assert refused(sns.create_topic, Name="orders", Attributes={"DisplayName": "Other"}) == invalid(told)
    told = "Tags Reason: Topic already exists with different tags"
    assert refused(sns.create_topic, Name="orders", Tags=[{"Key": "b", "Value": "1"}]) == invalid(told)
    assert attributes(sns, arn)["DisplayName"] == "Shop"


@pytest.mark.parametrize("name", ["", "x" * 257, "a:b", "a b", "a.b", "orders.fifo"])
def test_a_name_that_is_none_is_refused(sns: Any, name: str) -> None:
    assert refused(sns.create_topic, Name=name) == invalid("Topic Name")


def test_a_fifo_topic_is_one_from_the_start(sns: Any) -> None:
    assert refused(sns.create_topic, Name="steps", Attributes={"FifoTopic": "true"}) == invalid("Topic Name")
    arn = sns.create_topic(Name="steps.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    found = attributes(sns, arn)
    assert (found["FifoTopic"], found["ContentBasedDeduplication"]) == ("true", "false")
    change = {"TopicArn": arn, "AttributeName": "FifoTopic", "AttributeValue": "false"}
    assert refused(sns.set_topic_attributes, **change) == invalid("AttributeName")
    given = {"Name": "plain", "Attributes": {"ContentBasedDeduplication": "true"}}
    told = "Attributes Reason: Content-based deduplication can only be set for FIFO topics"
    assert refused(sns.create_topic, **given) == invalid(told)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SignatureVersion", "2"), ("TracingConfig", "Active"), ("DisplayName", "Shop"), ("KmsMasterKeyId", "alias/k"),
        ("MaximumMessageSize", "1024"), ("LambdaSuccessFeedbackSampleRate", "100"),
        ("SQSFailureFeedbackRoleArn", "arn:aws:iam::000000000000:role/logs"),
    ],
)  # fmt: skip
def test_an_attribute_is_kept_until_it_is_taken_away(sns: Any, topic: str, name: str, value: str) -> None:
    sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
    assert attributes(sns, topic)[name] == value
    sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue="")
    assert attributes(sns, topic).get(name, "") == ""


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Colour", "red", "AttributeName"),
        ("TopicArn", "x", "AttributeName"),
        ("SignatureVersion", "3", "SignatureVersion: Invalid value [3]. Must be one of 1, 2."),
        ("MaximumMessageSize", "1", "MaximumMessageSize: Invalid value [1]. Must be between 1024 and 1048576."),
        ("ArchivePolicy", "{}", "ArchivePolicy: fogbank does not serve it here"),
        ("Policy", "{", "Policy Error: null"),
        ("Policy", "{}", "Policy Error: null"),
        ("Policy", '{"Statement": [3]}', "Policy Error: null"),
        ("FifoThroughputScope", "Topic", "FifoThroughputScope: it can only be set for FIFO topics"),
        ("DeliveryPolicy", "{}", "DeliveryPolicy: http must be specified"),
    ],
)
def test_an_attribute_that_cannot_be_set_is_told(sns: Any, topic: str, name: str, value: str, told: str) -> None:
    change = {"TopicArn": topic, "AttributeName": name, "AttributeValue": value}
    assert refused(sns.set_topic_attributes, **change) == invalid(told)


def test_a_delivery_policy_is_kept_in_its_own_form(sns: Any, topic: str) -> None:
    def put(policy: str) -> dict[str, str]:
        sns.set_topic_attributes(TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue=policy)
        return attributes(sns, topic)

    retry = {"minDelayTarget": 5, "maxDelayTarget": 6, "numRetries": 1}
    found = put(json.dumps({"http": {"defaultHealthyRetryPolicy": retry}}))
    kept = {"http": {"defaultHealthyRetryPolicy": retry, "disableSubscriptionOverrides": False}}
    assert json.loads(found["DeliveryPolicy"]) == kept
    effective = json.loads(found["EffectiveDeliveryPolicy"])["http"]
    assert effective["defaultHealthyRetryPolicy"] == {
        **retry, "numMaxDelayRetries": 0, "numNoDelayRetries": 0, "numMinDelayRetries": 0, "backoffFunction": "linear",
    }  # fmt: skip
    found = put('{"http": {"defaultHealthyRetryPolicy": null}}')
    assert json.loads(found["DeliveryPolicy"]) == {"http": {"disableSubscriptionOverrides": False}}
    assert "DeliveryPolicy" not in put("")


def test_topics_are_listed_in_pages(sns: Any) -> None:
    names = [f"t{n:03d}" for n in range(105)]
    for name in names:
        sns.create_topic(Name=name)
    pages = [page["Topics"] for page in sns.get_paginator("list_topics").paginate()]
    assert [len(page) for page in pages] == [100, 5]
    assert [topic["TopicArn"] for page in pages for topic in page] == [f"{ARN}{name}" for name in names]


def test_a_topic_is_of_one_region(cloud: Cloud, sns: Any, topic: str) -> None:
    elsewhere = cloud.client("sns", region="eu-west-1")
    assert elsewhere.list_topics()["Topics"] == []
    for call in (elsewhere.get_topic_attributes, elsewhere.delete_topic, elsewhere.list_subscriptions_by_topic):
        assert refused(call, TopicArn=topic) == invalid("TopicArn")


def test_a_deleted_topic_is_gone_with_its_subscriptions(cloud: Cloud, sns: Any, topic: str) -> None:
    subscribe(cloud, topic, "q")
    [subscription] = sns.list_subscriptions()["Subscriptions"]
    sns.delete_topic(TopicArn=topic)
    sns.delete_topic(TopicArn=topic)  # "deleting a topic that does not exist does not result in an error".
    assert sns.list_subscriptions()["Subscriptions"] == []
    assert refused(sns.get_topic_attributes, TopicArn=topic) == NOT_FOUND
    asked = {"SubscriptionArn": subscription["SubscriptionArn"]}
    assert refused(sns.get_subscription_attributes, **asked) == ("NotFound", "Subscription does not exist")
    sns.create_topic(Name="orders")
    assert attributes(sns, topic)["SubscriptionsConfirmed"] == "0"


def test_everything_is_there_after_a_restart(cloud: Cloud, sns: Any, topic: str) -> None:
    orders = subscribe(cloud, topic, "q")
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="Shop")
    cloud.restart()
    again = cloud.client("sns")
    assert attributes(again, topic)["DisplayName"] == "Shop"
    again.publish(TopicArn=topic, Message="x")
    orders.url = cloud.client("sqs").get_queue_url(QueueName="q")["QueueUrl"]
    assert orders.texts(1) == ["x"]


# -- permissions --


def test_permissions_are_statements_of_the_policy(sns: Any, topic: str) -> None:
    given = {"TopicArn": topic, "AWSAccountId": ["111122223333"], "ActionName": ["Publish"]}
    sns.add_permission(Label="one", **given)
    several = {**given, "AWSAccountId": ["111122223333", "444455556666"], "ActionName": ["Publish", "Subscribe"]}
    sns.add_permission(Label="two", **several)
    _, one, two = json.loads(attributes(sns, topic)["Policy"])["Statement"]
    assert one == {
        "Sid": "one", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "SNS:Publish", "Resource": topic,
    }  # fmt: skip
    assert two["Action"] == ["SNS:Publish", "SNS:Subscribe"]
    assert two["Principal"]["AWS"] == ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]
    assert refused(sns.add_permission, Label="one", **given) == invalid("Statement already exists")
    told = "Policy statement action out of service scope!"
    assert refused(sns.add_permission, Label="x", **{**given, "ActionName": ["Fly"]}) == invalid(told)
    sns.remove_permission(TopicArn=topic, Label="one")
    assert [one["Sid"] for one in json.loads(attributes(sns, topic)["Policy"])["Statement"]] == [
        "__default_statement_ID", "two",
    ]  # fmt: skip
    assert refused(sns.remove_permission, TopicArn=topic, Label="one") == invalid("Label")


def test_a_policy_of_one_statement_takes_more(sns: Any, topic: str) -> None:
    statement = {"Sid": "own", "Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": topic}
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Statement": statement})
    )  # fmt: skip
    sns.add_permission(TopicArn=topic, Label="two", AWSAccountId=["111122223333"], ActionName=["Publish"])
    found = json.loads(attributes(sns, topic)["Policy"])["Statement"]
    assert [one["Sid"] for one in found] == ["own", "two"]


# -- tags --


def test_tags_are_added_changed_and_taken_away(sns: Any, topic: str) -> None:
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "b", "Value": "3"}])
    sns.untag_resource(ResourceArn=topic, TagKeys=["a", "none"])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "b", "Value": "3"}]


def test_tags_have_their_limits(sns: Any, topic: str) -> None:
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    told = "Duplicated keys are not allowed."
    assert refused(sns.tag_resource, ResourceArn=topic, Tags=twice) == invalid(told)
    assert refused(sns.create_topic, Name="other", Tags=twice) == invalid(told)
    many = [{"Key": str(n), "Value": ""} for n in range(51)]
    told = "Could not complete request: tag quota of per resource exceeded"
    assert refused(sns.tag_resource, ResourceArn=topic, Tags=many) == ("TagLimitExceeded", told)
    missing = ("ResourceNotFound", "Resource does not exist")
    assert refused(sns.list_tags_for_resource, ResourceArn=f"{ARN}none") == missing


# -- what is not served --


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("create_platform_application", {"Name": "a", "Platform": "GCM", "Attributes": {}}),
        ("list_platform_applications", {}),
        ("get_sms_attributes", {}),
        ("check_if_phone_number_is_opted_out", {"phoneNumber": "+1"}),
        ("put_data_protection_policy", {"ResourceArn": f"{ARN}orders", "DataProtectionPolicy": "{}"}),
    ],
)
def test_what_is_for_phones_is_refused_by_name(sns: Any, operation: str, request_: dict[str, Any]) -> None:
    code, told = refused(getattr(sns, operation), **request_)
    assert code == "NotImplemented" and told.startswith("fogbank does not serve sns ")
