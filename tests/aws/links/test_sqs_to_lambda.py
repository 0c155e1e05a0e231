"""A queue feeds a function. Lambda Developer Guide, "Using Lambda with Amazon SQS"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.code import deploy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

pytestmark = pytest.mark.shares_files
ARN = "arn:aws:sqs:us-east-1:000000000000:q"
# Works until the file is there that its messages name.
WAITS = (
    "import os, time\n"
    "def handler(event, context):\n"
    "    while not os.path.exists(event['Records'][0]['body']):\n"
    "        time.sleep(0.01)\n"
    "    print('ended', context.aws_request_id)\n"
)


def states(cloud: Cloud) -> list[str]:
    return [one["state"] for one in cloud.server.engine.status()]


def left(cloud: Cloud, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(map(int, counts.values()))


def test_no_more_instances_are_at_work_for_a_queue_than_it_may_have(cloud: Cloud, tmp_path: Any) -> None:
    """ "Configuring maximum concurrency for Amazon SQS event sources"."""
    functions, sqs = cloud.client("lambda"), cloud.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    deploy(functions, "f", WAITS, Timeout=30)
    made = functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=ARN, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2}
    )
    assert made["ScalingConfig"] == {"MaximumConcurrency": 2}
    for _ in range(5):
        sqs.send_message(QueueUrl=url, MessageBody=str(tmp_path / "go"))
    eventually(lambda: states(cloud) == ["busy", "busy"])
    (tmp_path / "go").touch()
    eventually(lambda: left(cloud, url) == 0)
    assert len(states(cloud)) == 2


def test_provisioned_pollers_are_accepted_and_bring_ten_events_each(cloud: Cloud, tmp_path: Any) -> None:
    """ "Provisioned mode"."""
    functions, sqs = cloud.client("lambda"), cloud.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    deploy(functions, "f", WAITS, Timeout=30)
    pollers = {"MinimumPollers": 1, "MaximumPollers": 1}
    made = functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=ARN, BatchSize=1, ProvisionedPollerConfig=pollers
    )
    assert made["ProvisionedPollerConfig"] == pollers
    for _ in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=str(tmp_path / "go"))
    eventually(lambda: states(cloud) == ["busy"] * 10)
    (tmp_path / "go").touch()
    eventually(lambda: left(cloud, url) == 0)
    updated = functions.update_event_source_mapping(UUID=made["UUID"], ProvisionedPollerConfig={})
    assert "ProvisionedPollerConfig" not in updated


def test_a_mapping_that_is_changed_lets_the_function_end_what_it_is_at(cloud: Cloud, tmp_path: Any) -> None:
    functions, sqs = cloud.client("lambda"), cloud.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    deploy(functions, "f", WAITS, Timeout=30)
    uuid = functions.create_event_source_mapping(FunctionName="f", EventSourceArn=ARN, BatchSize=1)["UUID"]
    sqs.send_message(QueueUrl=url, MessageBody=str(tmp_path / "one"))
    eventually(lambda: states(cloud) == ["busy"])
    functions.update_event_source_mapping(UUID=uuid, BatchSize=5)
    (tmp_path / "one").touch()
    eventually(lambda: left(cloud, url) == 0)
    assert [one["events"] for one in cloud.server.engine.status()] == [1]
    sqs.send_message(QueueUrl=url, MessageBody=str(tmp_path / "one"))
    eventually(lambda: left(cloud, url) == 0)
    functions.delete_event_source_mapping(UUID=uuid)
    sqs.send_message(QueueUrl=url, MessageBody=str(tmp_path / "one"))
    cloud.advance(seconds=60)
    assert left(cloud, url) == 1
