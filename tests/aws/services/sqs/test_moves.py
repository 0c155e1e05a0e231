"""Dead letters back to where they came from. SQS Developer Guide, "Configuring a dead-letter queue redrive"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"


class Shop:
    """A queue whose messages have all gone to the dead-letter queue."""

    def __init__(self, cloud: Cloud, sqs: Any, bodies: list[str]) -> None:
        self.sqs = sqs
        self.dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        policy = {"deadLetterTargetArn": DEAD, "maxReceiveCount": 1}
        attributes = {"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "1"}
        self.orders = sqs.create_queue(QueueName="orders", Attributes=attributes)["QueueUrl"]
        for body in bodies:
            given = {"colour": {"DataType": "String", "StringValue": "blue"}}
            sqs.send_message(QueueUrl=self.orders, MessageBody=body, MessageAttributes=given)
        for _ in range(2):
            while self.take(self.orders):
                pass
            cloud.advance(seconds=2)
        assert self.count(self.dead) == len(bodies)

    def take(self, url: str) -> list[Any]:
        asked = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "AttributeNames": ["All"]}
        return list(self.sqs.receive_message(QueueUrl=url, **asked).get("Messages", []))

    def count(self, url: str) -> int:
        name = "ApproximateNumberOfMessages"
        return int(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    def newest(self) -> dict[str, Any]:
        return dict(self.sqs.list_message_move_tasks(SourceArn=DEAD)["Results"][0])


def refusal(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Message"])


def test_messages_go_back_to_where_they_came_from_as_new_ones(cloud: Cloud, sqs: Any) -> None:
    shop = Shop(cloud, sqs, ["a", "b", "c"])
    old = {message["MessageId"] for message in shop.take(shop.dead)}
    cloud.advance(seconds=60)
    sqs.start_message_move_task(SourceArn=DEAD)
    eventually(lambda: shop.newest()["Status"] == "COMPLETED")
    back = shop.take(shop.orders)
    assert sorted(message["Body"] for message in back) == ["a", "b", "c"]
    assert not old & {message["MessageId"] for message in back}
    assert back[0]["MessageAttributes"]["colour"]["StringValue"] == "blue"
    assert back[0]["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "DeadLetterQueueSourceArn" not in back[0]["Attributes"]
    ended = shop.newest()
    assert (ended["ApproximateNumberOfMessagesMoved"], ended["ApproximateNumberOfMessagesToMove"]) == (3, 3)
    assert "TaskHandle" not in ended


def test_a_rate_is_kept_and_the_task_goes_on_after_a_restart_until_it_is_cancelled(cloud: Cloud, sqs: Any) -> None:
    shop = Shop(cloud, sqs, [str(number) for number in range(9)])
    elsewhere = sqs.create_queue(QueueName="elsewhere")["QueueUrl"]
    target = "arn:aws:sqs:us-east-1:000000000000:elsewhere"
    handle = sqs.start_message_move_task(SourceArn=DEAD, DestinationArn=target, MaxNumberOfMessagesPerSecond=2)
    eventually(lambda: shop.count(elsewhere) == 2)
    assert "already a task running" in refusal(sqs.start_message_move_task, SourceArn=DEAD)
    cloud.restart()
    shop.sqs = sqs = cloud.client("sqs")
    eventually(lambda: shop.count(elsewhere) == 4)
    cloud.advance(seconds=1)
    eventually(lambda: shop.count(elsewhere) == 6)
    cancelled = sqs.cancel_message_move_task(TaskHandle=handle["TaskHandle"])
    assert cancelled["ApproximateNumberOfMessagesMoved"] == 6
    cloud.advance(seconds=5)
    assert (shop.count(elsewhere), shop.newest()["Status"]) == (6, "CANCELLED")
    assert "Only active" in refusal(sqs.cancel_message_move_task, TaskHandle=handle["TaskHandle"])


def test_a_task_without_a_rate_does_not_hurry_one_that_has_one(cloud: Cloud, sqs: Any) -> None:
    shop = Shop(cloud, sqs, [str(number) for number in range(9)])
    many = sqs.create_queue(QueueName="dead2")["QueueUrl"]
    arn = DEAD + "2"
    sqs.create_queue(
        QueueName="more", Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})}
    )
    target = sqs.create_queue(QueueName="target")["QueueUrl"]
    for _ in range(30):
        entries = [{"Id": str(number), "MessageBody": "x"} for number in range(10)]
        sqs.send_message_batch(QueueUrl=many, Entries=entries)
    sqs.start_message_move_task(SourceArn=DEAD, MaxNumberOfMessagesPerSecond=2)
    sqs.start_message_move_task(SourceArn=arn, DestinationArn=DEAD.replace("dead", "target"))
    eventually(lambda: shop.count(target) == 300)
    assert shop.count(shop.orders) == 2


def test_a_task_whose_destination_is_gone_fails_and_moves_nothing(cloud: Cloud, sqs: Any) -> None:
    shop = Shop(cloud, sqs, ["a"])
    sqs.delete_queue(QueueUrl=shop.orders)
    assert "must be configured as a Dead Letter Queue" in refusal(sqs.start_message_move_task, SourceArn=DEAD)
    policy = json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 1})
    sqs.create_queue(QueueName="another", Attributes={"RedrivePolicy": policy})
    sqs.start_message_move_task(SourceArn=DEAD)
    eventually(lambda: shop.newest()["Status"] == "FAILED")
    assert shop.count(shop.dead) == 1


def test_what_cannot_be_moved_is_told(sqs: Any) -> None:
    nowhere = "arn:aws:sqs:us-east-1:000000000000:nowhere"
    assert "SourceArn parameter doesn't exist" in refusal(sqs.start_message_move_task, SourceArn=nowhere)
    assert "TaskHandle is invalid" in refusal(sqs.cancel_message_move_task, TaskHandle="nonsense")
