"""SNS in templates: topics, subscriptions, policies, and custom resources that a topic is asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.services.sns.conftest import inbox
from tests.aws.services.sns.test_functions import logged
from tests.support.cloud import ACCOUNT, REGION
from tests.support.code import deploy
from tests.support.stacks import Stacks, template
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"


@pytest.fixture
def stacks(cloud: Cloud) -> Stacks:
    return Stacks(cloud)


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::SNS::{kind}", "Properties": properties}


def attributes(sns: Any, topic: str) -> dict[str, str]:
    return dict(sns.get_topic_attributes(TopicArn=topic)["Attributes"])


def endpoints(sns: Any, topic: str) -> list[str]:
    return sorted(one["Endpoint"] for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"])


def test_a_topic_is_made_changed_and_deleted(sns: Any, stacks: Stacks) -> None:
    def body(queues: list[str], **properties: Any) -> str:
        subscribed = [{"Protocol": "sqs", "Endpoint": f"{QUEUE}{name}"} for name in queues]
        topic = resource("Topic", Subscription=subscribed, **properties)
        outputs = {"Name": {"Value": {"Fn::GetAtt": ["T", "TopicName"]}}, "Ref": {"Value": {"Ref": "T"}},
                   "Arn": {"Value": {"Fn::GetAtt": ["T", "TopicArn"]}}}  # fmt: skip
        return template(Resources={"T": topic}, Outputs=outputs)

    logging = [{"Protocol": "lambda", "SuccessFeedbackSampleRate": "50",
                "FailureFeedbackRoleArn": "arn:aws:iam::000000000000:role/logs"}]  # fmt: skip
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    stacks.create(
        body(["q", "r"], DisplayName="Shop", SignatureVersion="2", DeliveryStatusLogging=logging, Tags=tags)
    )  # fmt: skip
    told = stacks.outputs()
    arn = told["Ref"]
    assert told["Arn"] == arn and told["Name"].startswith("app-T-") and arn.endswith(f":{told['Name']}")
    found = attributes(sns, arn)
    assert (found["DisplayName"], found["SignatureVersion"], found["LambdaSuccessFeedbackSampleRate"]) == (
        "Shop", "2", "50",
    )  # fmt: skip
    assert endpoints(sns, arn) == [f"{QUEUE}q", f"{QUEUE}r"]

    stacks.update(body(["r", "s"], SignatureVersion="2", Tags=[{"Key": "a", "Value": "3"}]))
    found = attributes(sns, arn)
    assert (found["DisplayName"], found["SignatureVersion"]) == ("", "2")
    assert "LambdaSuccessFeedbackSampleRate" not in found
    assert endpoints(sns, arn) == [f"{QUEUE}r", f"{QUEUE}s"]
    found_tags = {tag["Key"]: tag["Value"] for tag in sns.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert found_tags["a"] == "3" and "b" not in found_tags

    stacks.delete()
    assert sns.list_topics()["Topics"] == []


def test_a_fifo_topic_has_a_name_that_says_so(sns: Any, stacks: Stacks) -> None:
    topic = resource("Topic", FifoTopic=True, ContentBasedDeduplication=True, FifoThroughputScope="MessageGroup")
    stacks.create(template(Resources={"T": topic}))
    arn = stacks.ids()["T"]
    assert arn.endswith(".fifo")
    found = attributes(sns, arn)
    assert (found["ContentBasedDeduplication"], found["FifoThroughputScope"]) == ("true", "MessageGroup")


def test_a_subscription_is_made_changed_and_deleted(cloud: Cloud, sns: Any, stacks: Stacks, topic: str) -> None:
    orders = inbox(cloud, "q")

    def body(**properties: Any) -> str:
        made = resource("Subscription", TopicArn=topic, Protocol="sqs", Endpoint=orders.arn, **properties)
        return template(Resources={"S": made}, Outputs={"Arn": {"Value": {"Fn::GetAtt": ["S", "Arn"]}}})

    def found(name: str) -> str | None:
        asked = sns.get_subscription_attributes(SubscriptionArn=stacks.ids()["S"])["Attributes"]
        return asked.get(name)  # type: ignore[no-any-return]  # It is text.

    stacks.create(
        body(RawMessageDelivery=True, FilterPolicy={"a": ["b"]}, RedrivePolicy={"deadLetterTargetArn": f"{QUEUE}d"})
    )
    assert stacks.outputs()["Arn"] == stacks.ids()["S"]
    assert (found("RawMessageDelivery"), json.loads(found("FilterPolicy") or "")) == ("true", {"a": ["b"]})
    nested = {"a": {"b": ["c"]}}
    stacks.update(body(FilterPolicy=nested, FilterPolicyScope="MessageBody"))
    assert (found("RawMessageDelivery"), json.loads(found("FilterPolicy") or "")) == ("false", nested)
    assert (found("FilterPolicyScope"), found("RedrivePolicy")) == ("MessageBody", None)
    stacks.update(body(FilterPolicy={"a": ["c"]}))
    assert found("FilterPolicyScope") == "MessageAttributes"
    stacks.delete()
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_a_subscription_that_is_not_allowed_fails_its_stack(stacks: Stacks, topic: str) -> None:
    made = resource("Subscription", TopicArn=topic, Protocol="sms", Endpoint="+1234")
    stacks.create(template(Resources={"S": made}), ends="ROLLBACK_COMPLETE")
    assert any("fogbank does not serve subscriptions of the protocol sms" in reason for reason in stacks.reasons())


@pytest.mark.parametrize("kind", ["TopicPolicy", "TopicInlinePolicy"])
def test_a_policy_is_put_and_taken_away(sns: Any, stacks: Stacks, topic: str, kind: str) -> None:
    where = {"Topics": [topic]} if kind == "TopicPolicy" else {"TopicArn": topic}
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": topic}

    def body(sid: str) -> str:
        document = {"Version": "2012-10-17", "Statement": [{"Sid": sid, **statement}]}
        return template(Resources={"P": resource(kind, PolicyDocument=document, **where)})

    def sid() -> str:
        return str(json.loads(attributes(sns, topic)["Policy"])["Statement"][0]["Sid"])

    stacks.create(body("one"))
    assert sid() == "one"
    stacks.update(body("two"))
    assert sid() == "two"
    stacks.delete()
    assert sid() == "__default_statement_ID"


ANSWERS = """
import json, urllib.request
def handler(event, context):
    [record] = event["Records"]
    asked = json.loads(record["Sns"]["Message"])
    answer = {"Status": "SUCCESS", "PhysicalResourceId": "thing-1", "Data": {"Seen": record["Sns"]["Subject"]}}
    request = urllib.request.Request(asked["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
"""


def test_a_custom_resource_may_be_asked_of_a_topic(cloud: Cloud, sns: Any, stacks: Stacks, topic: str) -> None:
    """User Guide, "Amazon SNS-backed custom resources"."""
    functions = cloud.client("lambda")
    arn = deploy(functions, "f", ANSWERS)
    functions.add_permission(
        FunctionName="f", StatementId="sns", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com"
    )
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    thing = {"Type": "Custom::Thing", "Properties": {"ServiceToken": topic, "Size": 3}}
    outputs = {"Seen": {"Value": {"Fn::GetAtt": ["Thing", "Seen"]}}, "Id": {"Value": {"Ref": "Thing"}}}
    stacks.create(template(Resources={"Thing": thing}, Outputs=outputs))
    assert stacks.outputs() == {"Id": "thing-1", "Seen": "AWS CloudFormation custom resource request"}
    stacks.delete()


SHOP = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::SNS::Topic
  Lost:
    Type: AWS::SQS::Queue
  All:
    Type: AWS::SQS::Queue
  ToAll:
    Type: AWS::SNS::Subscription
    Properties:
      {TopicArn: !Ref Orders, Protocol: sqs, Endpoint: !GetAtt All.Arn, RawMessageDelivery: true,
       FilterPolicyScope: MessageBody, FilterPolicy: {item: {kind: [cup]}}}
  Packs:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: index.handler
      InlineCode: |
        def handler(event, context):
            for record in event["Records"]:
                print("PACKED", record["Sns"]["Message"])
      Events:
        Large:
          Type: SNS
          Properties:
            Topic: !Ref Orders
            FilterPolicy: {size: [{numeric: [">", 10]}]}
            RedrivePolicy: {deadLetterTargetArn: !GetAtt Lost.Arn}
  Bills:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: index.handler
      InlineCode: |
        import json
        def handler(event, context):
            for record in event["Records"]:
                print("BILLED", json.loads(record["body"])["Message"])
      Events:
        Order:
          Type: SNS
          Properties:
            Topic: !Ref Orders
            SqsSubscription: true
Outputs:
  Topic: {Value: !Ref Orders}
  Queue: {Value: !Ref All}
"""


def test_a_sam_app_is_fed_by_its_topic(cloud: Cloud, sns: Any, stacks: Stacks) -> None:
    """SAM Developer Guide, "SNS" event source: a filter, a queue between (SqsSubscription), a redrive policy."""
    stacks.create(SHOP, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
    topic, queue, ids = stacks.outputs()["Topic"], stacks.outputs()["Queue"], stacks.ids()
    for kind, size in (("cup", "5"), ("plate", "50")):
        attribute = {"size": {"DataType": "Number", "StringValue": size}}
        body = json.dumps({"item": {"kind": kind}})
        sns.publish(TopicArn=topic, Message=body, MessageAttributes=attribute)
    eventually(lambda: len(logged(cloud, ids["Bills"], "BILLED")) == 2)
    [packed] = eventually(lambda: logged(cloud, ids["Packs"], "PACKED"))
    assert '"plate"' in packed
    sqs = cloud.client("sqs")
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    assert json.loads(message["Body"])["item"]["kind"] == "cup"
    # A function that is gone: what was for it lies in the dead-letter queue.
    cloud.client("lambda").delete_function(FunctionName=ids["Packs"])
    sns.publish(TopicArn=topic, Message="lost", MessageAttributes={"size": {"DataType": "Number", "StringValue": "11"}})
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=ids["Lost"]).get("Messages"))
    assert json.loads(message["Body"])["Message"] == "lost"
