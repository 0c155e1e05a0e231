"""A client of SNS, a topic, and queues that are subscribed in a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cloud import ACCOUNT, REGION
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


@pytest.fixture
def sns(cloud: Cloud) -> Any:
    return cloud.client("sns")


@pytest.fixture
def topic(sns: Any) -> str:
    return str(sns.create_topic(Name="orders")["TopicArn"])


@dataclass
class Inbox:
    """A queue, and the messages that come to it."""

    cloud: Cloud
    url: str
    arn: str

    def next(self) -> dict[str, Any]:
        """The next message as SQS gives it; it is deleted."""
        sqs = self.cloud.client("sqs")
        asked = {"QueueUrl": self.url, "MessageAttributeNames": ["All"], "AttributeNames": ["All"]}
        [message] = eventually(lambda: sqs.receive_message(**asked).get("Messages"))
        sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return dict(message)

    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.next()["Body"]))

    def texts(self, count: int) -> list[str]:
        """What so many messages say, in the order in which they come."""
        return [self.body()["Message"] for _ in range(count)]

    def is_empty(self) -> bool:
        found = self.cloud.client("sqs").get_queue_attributes(
            QueueUrl=self.url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return bool(found["Attributes"]["ApproximateNumberOfMessages"] == "0")


def inbox(cloud: Cloud, name: str, **attributes: str) -> Inbox:
    url = cloud.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return Inbox(cloud, url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")


def subscribe(cloud: Cloud, topic: str, name: str, **attributes: str) -> Inbox:
    """A new queue that is subscribed."""
    made = inbox(cloud, name)
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=made.arn, Attributes=attributes)
    return made
