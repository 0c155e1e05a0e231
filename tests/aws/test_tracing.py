"""A trace follows a request through every hop, and the log has a line for each."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.cloud import ACCOUNT, REGION, Cloud
from tests.support.code import deploy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
TRACE = ROOT[2:].replace("-", "")

# Each tells its trace as its reply, and does one thing more.
TELL = "import boto3, json, os\ndef handler(event, context):\n    trace = os.environ['_X_AMZN_TRACE_ID']\n"
SEND = "    boto3.client('sqs').send_message(QueueUrl=os.environ['QUEUE'], MessageBody='x')\n    return trace\n"
WRITE = "    boto3.client('dynamodb').put_item(TableName='kept', Item={'id': {'S': 'a'}})\n"
ANNOUNCE = "    boto3.client('lambda').invoke(FunctionName='last', InvocationType='Event', Payload=b'{}')\n"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    running = Cloud(tmp_path / "data", log_level="debug")
    yield running
    running.stop()


def lines(cloud: Cloud, event: str) -> list[dict[str, Any]]:
    every = [json.loads(line) for line in cloud.log.getvalue().splitlines()]
    return [line for line in every if line["event"] == event]


def test_from_http_through_a_function_a_queue_a_stream_and_an_event_it_is_one_trace(cloud: Cloud) -> None:
    functions, sqs = cloud.client("lambda"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    stream = cloud.client("dynamodb").create_table(
        TableName="kept", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]["LatestStreamArn"]  # fmt: skip
    deploy(functions, "first", TELL + SEND, Environment={"Variables": {"QUEUE": queue}})
    deploy(functions, "second", TELL + WRITE)
    deploy(functions, "third", TELL + ANNOUNCE)
    deploy(functions, "last", TELL + "    return trace\n")
    source = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    functions.create_event_source_mapping(FunctionName="second", EventSourceArn=source)
    functions.create_event_source_mapping(FunctionName="third", EventSourceArn=stream, StartingPosition="TRIM_HORIZON")
    url = functions.create_function_url_config(FunctionName="first", AuthType="NONE")["FunctionUrl"]
    functions.add_permission(
        FunctionName="first", StatementId="p", Action="lambda:InvokeFunctionUrl", Principal="*",
        FunctionUrlAuthType="NONE",
    )  # fmt: skip
    host = httpx.URL(url).netloc.decode()
    answer = httpx.get(cloud.url, headers={"host": host, "x-amzn-trace-id": f"Root={ROOT}"})

    assert re.fullmatch(f"Root={ROOT};Parent=[0-9a-f]{{16}};Sampled=0", answer.json())
    ran = eventually(lambda: [one for one in lines(cloud, "invocation") if len(lines(cloud, "invocation")) == 4])
    assert [one["function"].partition(":")[0] for one in ran] == ["first", "second", "third", "last"]
    assert {one["trace"] for one in ran} == {TRACE}
    asked = [one["of"] for one in lines(cloud, "operation") if one.get("trace") == TRACE]
    assert asked == ["sqs.SendMessage", "dynamodb.PutItem", "lambda.Invoke"]
    assert {one["status"] for one in lines(cloud, "request") if one.get("trace") == TRACE} == {200, 202}


def test_a_sender_s_own_trace_header_goes_with_the_message(cloud: Cloud) -> None:
    functions, sqs = cloud.client("lambda"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    deploy(functions, "f", TELL)
    functions.create_event_source_mapping(FunctionName="f", EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:q")
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"}}
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageSystemAttributes=header)
    [ran] = eventually(lambda: lines(cloud, "invocation"))
    assert ran["trace"] == TRACE


def test_each_firing_of_a_schedule_begins_a_trace(cloud: Cloud) -> None:
    functions, events = cloud.client("lambda"), cloud.client("events")
    arn = deploy(functions, "f", TELL)
    functions.add_permission(
        FunctionName="f", StatementId="p", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    events.put_rule(Name="often", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="often", Targets=[{"Id": "f", "Arn": arn}])
    for count in (1, 2):
        cloud.advance(seconds=61)
        eventually(lambda count=count: len(lines(cloud, "invocation")) == count)
    first, second = (one["trace"] for one in lines(cloud, "invocation"))
    assert first and second and first != second
