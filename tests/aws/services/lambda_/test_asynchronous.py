"""Asynchronous invocations and what is told of them.

Lambda Developer Guide, "Configuring error handling settings for Lambda asynchronous invocations", "Capturing records of
Lambda asynchronous invocations".
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.aws.protocol import lineage
from fogbank.aws.services.lambda_ import events
from fogbank.kernel.store import StoreError
from tests.support.code import call, deploy
from tests.support.refusals import refused
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

ECHO = "def handler(event, context):\n    return event\n"
FAILS = "def handler(event, context):\n    raise ValueError('no')\n"
KEEPS = "import json\ndef handler(event, context):\n    print('GOT', json.dumps(event))\n"
HERE = "us-east-1:000000000000"
SQS, FUNCTION = f"arn:aws:sqs:{HERE}:", f"arn:aws:lambda:{HERE}:function:"


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def taken(cloud: Cloud, name: str) -> Any:
    """The one message that comes to a queue."""
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    [found] = eventually(lambda: sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages"))
    return found


def logged(cloud: Cloud, function: str, text: str) -> list[str]:
    logs = cloud.client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{function}")["logGroups"]:
        return []
    found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", filterPattern=text)
    return [event["message"] for event in found["events"]]


def test_the_settings_of_a_function_a_version_and_an_alias_are_kept_apart(functions: Any) -> None:
    deploy(functions, "f", ECHO, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    for qualifier, age_s in (("$LATEST", 60), ("1", 120), ("live", 180)):
        functions.put_function_event_invoke_config(
            FunctionName="f", Qualifier=qualifier, MaximumEventAgeInSeconds=age_s, MaximumRetryAttempts=1
        )
    assert functions.get_function_event_invoke_config(FunctionName="f")["MaximumEventAgeInSeconds"] == 60
    updated = functions.update_function_event_invoke_config(FunctionName="f", Qualifier="live", MaximumRetryAttempts=0)
    assert (updated["MaximumRetryAttempts"], updated["MaximumEventAgeInSeconds"]) == (0, 180)
    put = functions.put_function_event_invoke_config(FunctionName="f", Qualifier="1", MaximumRetryAttempts=2)
    assert "MaximumEventAgeInSeconds" not in put  # Put replaces all of it.
    pages = functions.get_paginator("list_function_event_invoke_configs").paginate(
        FunctionName="f", PaginationConfig={"PageSize": 2}
    )
    arns = [one["FunctionArn"].rpartition(":")[2] for page in pages for one in page["FunctionEventInvokeConfigs"]]
    assert sorted(arns) == ["$LATEST", "1", "live"]
    functions.delete_function_event_invoke_config(FunctionName="f", Qualifier="$LATEST")
    code, told = refused(functions.get_function_event_invoke_config, FunctionName="f")
    assert (code, told) == (
        "ResourceNotFoundException", f"The function {FUNCTION}f:$LATEST doesn't have an EventInvokeConfig",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "You must specify at least one of error handling or destination setting."),
        ({"OnFailure": f"{FUNCTION}f"}, "You can't specify the function as a destination for itself."),
        ({"OnFailure": f"{FUNCTION}gone"}, f"The destination ARN {FUNCTION}gone is invalid."),
        ({"OnSuccess": "arn:aws:s3:::bucket"}, "The destination ARN arn:aws:s3:::bucket is invalid."),
        ({"OnSuccess": f"{SQS}q.fifo"}, f"The destination ARN {SQS}q.fifo is invalid."),
        ({"OnFailure": f"arn:aws:kinesis:{HERE}:stream/s"}, f"The destination ARN arn:aws:kinesis:{HERE}:stream/s is invalid."),  # noqa: E501
    ],
)  # fmt: skip
def test_what_cannot_be_a_destination_is_refused_when_it_is_set(functions: Any, given: Any, told: str) -> None:
    deploy(functions, "f", ECHO)
    chosen = {"DestinationConfig": {name: {"Destination": arn} for name, arn in given.items()}} if given else {}
    found = refused(functions.put_function_event_invoke_config, FunctionName="f", **chosen)
    assert found == ("InvalidParameterValueException", told)


def test_a_destination_of_a_service_that_is_not_served_is_refused_by_its_name(cloud: Cloud, functions: Any) -> None:
    deploy(functions, "f", ECHO)
    cloud.server.house.serves = lambda service, operation: (service, operation) != ("sns", "Publish")
    topic = f"arn:aws:sns:{HERE}:t"
    code, told = refused(
        functions.put_function_event_invoke_config, FunctionName="f",
        DestinationConfig={"OnFailure": {"Destination": topic}},
    )  # fmt: skip
    assert code == "InvalidParameterValueException"
    assert told == f"The destination ARN {topic} is invalid: sns Publish is not served here."


def test_a_failure_is_recorded_whole(cloud: Cloud, functions: Any) -> None:
    """ "Example invocation record"."""
    cloud.client("sqs").create_queue(QueueName="failed")
    deploy(functions, "f", FAILS, Publish=True)
    functions.put_function_event_invoke_config(
        FunctionName="f", Qualifier="1", MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": f"{SQS}failed"}},
    )  # fmt: skip
    asked = functions.invoke(FunctionName="f", Qualifier="1", InvocationType="Event", Payload=b'{"n": 7}')
    record = json.loads(taken(cloud, "failed")["Body"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("timestamp"))
    answered = record.pop("responsePayload")
    assert (answered["errorType"], answered["errorMessage"]) == ("ValueError", "no")
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": asked["ResponseMetadata"]["RequestId"],
            "functionArn": f"{FUNCTION}f:1",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"n": 7},
        "responseContext": {"statusCode": 200, "executedVersion": "1", "functionError": "Unhandled"},
    }


def test_a_failure_is_put_into_a_bucket_under_the_documented_name(cloud: Cloud, functions: Any) -> None:
    buckets = cloud.client("s3")
    buckets.create_bucket(Bucket="lost")
    deploy(functions, "f", FAILS)
    functions.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::lost"}}
    )
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": 7}')
    [found] = eventually(lambda: buckets.list_objects_v2(Bucket="lost").get("Contents"))
    name = r"aws/lambda/async/f/(\d{4}/\d\d/\d\d)/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}"
    assert re.fullmatch(name, found["Key"])
    record = json.loads(buckets.get_object(Bucket="lost", Key=found["Key"])["Body"].read())
    assert (record["requestPayload"], record["responseContext"]["functionError"]) == ({"n": 7}, "Unhandled")


def test_a_function_is_told_of_the_success_of_another(cloud: Cloud, functions: Any) -> None:
    """ "Lambda passes the invocation record as the payload to the function." """
    deploy(functions, "first", ECHO)
    deploy(functions, "second", KEEPS)
    functions.put_function_event_invoke_config(
        FunctionName="first", DestinationConfig={"OnSuccess": {"Destination": f"{FUNCTION}second"}}
    )
    functions.invoke(FunctionName="first", InvocationType="Event", Payload=b'{"n": 7}')
    [line] = eventually(lambda: logged(cloud, "second", "GOT"))
    record = json.loads(line.partition("GOT ")[2])
    assert record["requestContext"]["condition"] == "Success"
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 7}, {"n": 7})
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}


def test_without_reserved_concurrency_an_event_is_given_up_without_a_try(cloud: Cloud, functions: Any) -> None:
    """ "When you set reserved concurrency to zero …": no retries; it goes where failures go."""
    for name in ("failed", "dead"):
        cloud.client("sqs").create_queue(QueueName=name)
    deploy(functions, "f", ECHO, DeadLetterConfig={"TargetArn": f"{SQS}dead"})
    functions.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnFailure": {"Destination": f"{SQS}failed"}}
    )
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": 7}')
    context = json.loads(taken(cloud, "failed")["Body"])["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("ZeroReservedConcurrency", 0)
    bare = taken(cloud, "dead")
    assert json.loads(bare["Body"]) == {"n": 7}
    assert bare["MessageAttributes"]["ErrorCode"]["StringValue"] == "429"


def test_an_event_that_would_be_too_old_for_its_next_try_has_none(cloud: Cloud, functions: Any) -> None:
    cloud.client("sqs").create_queue(QueueName="failed")
    deploy(functions, "f", FAILS)
    functions.put_function_event_invoke_config(
        FunctionName="f", MaximumEventAgeInSeconds=100,
        DestinationConfig={"OnFailure": {"Destination": f"{SQS}failed"}},
    )  # fmt: skip
    functions.invoke(FunctionName="f", InvocationType="Event")
    eventually(lambda: len(logged(cloud, "f", "START")) == 1)
    cloud.advance(seconds=61)  # The second try; the third would be two minutes later.
    context = json.loads(taken(cloud, "failed")["Body"])["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("EventAgeExceeded", 2)


def test_a_versions_failures_go_to_the_dead_letter_queue_that_the_function_has_now(
    cloud: Cloud, functions: Any
) -> None:
    """ "Function versions use the same dead-letter queue settings as the unpublished version ($LATEST)." """
    cloud.client("sqs").create_queue(QueueName="dead")
    deploy(functions, "f", FAILS, Publish=True)
    functions.update_function_configuration(FunctionName="f", DeadLetterConfig={"TargetArn": f"{SQS}dead"})
    functions.put_function_event_invoke_config(FunctionName="f", Qualifier="1", MaximumRetryAttempts=0)
    functions.invoke(FunctionName="f", Qualifier="1", InvocationType="Event", Payload=b'{"n": 7}')
    found = taken(cloud, "dead")
    assert json.loads(found["Body"]) == {"n": 7}
    assert found["MessageAttributes"]["ErrorMessage"]["StringValue"] == "no"


def test_a_function_that_is_slow_holds_up_no_other(
    cloud: Cloud, functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_AT_ONCE_MAX", 2)
    slow = "import time\ndef handler(event, context):\n    time.sleep(event)\n"
    deploy(functions, "slow", slow, Timeout=60)
    deploy(functions, "quick", KEEPS)
    for _ in range(4):
        functions.invoke(FunctionName="slow", InvocationType="Event", Payload=b"2")
    functions.invoke(FunctionName="quick", InvocationType="Event", Payload=b"{}")
    eventually(lambda: logged(cloud, "quick", "GOT"))

    def at_work() -> list[int]:
        there = [one for one in cloud.server.engine.status() if one["function"] == "slow:$LATEST"]
        return [one["events"] for one in there if one["state"] != "spare"]

    eventually(lambda: at_work() == [1, 1])
    eventually(lambda: len(logged(cloud, "slow", "REPORT")) == 4)


def test_an_event_whose_end_could_not_be_kept_is_run_again(cloud: Cloud, functions: Any) -> None:
    """A full disk: the store takes nothing for a moment."""
    deploy(functions, "f", KEEPS)
    queue = cloud.server.house.share(events.EventQueue)
    ran, failures = queue._ran, [StoreError("no room")]

    def fail_once(*given: Any) -> Any:
        if failures:
            raise failures.pop()
        return ran(*given)

    queue._ran = fail_once
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")
    eventually(lambda: "asynchronous invocation failed" in cloud.log.getvalue())
    cloud.advance(seconds=2)
    eventually(lambda: len(logged(cloud, "f", "GOT")) == 2)


# -- loops --

SENDS = (
    "import boto3, json, os\n"
    "def handler(event, context):\n"
    "    print('TRACE', os.environ['_X_AMZN_TRACE_ID'])\n"
    "    for record in event['Records']:\n"
    "        boto3.client('sqs').send_message(QueueUrl=os.environ['QUEUE'], MessageBody=record['body'])\n"
)
CALLS = (
    "import boto3, json, os\n"
    "def handler(event, context):\n"
    "    try:\n"
    "        answer = boto3.client('lambda').invoke(\n"
    "            FunctionName=context.function_name, Payload=json.dumps({'n': event['n'] + 1}),\n"
    "            InvocationType=event.get('how', 'RequestResponse'))\n"
    "    except Exception as error:\n"
    "        return {'n': event['n'], 'error': type(error).__name__}\n"
    "    return json.load(answer['Payload'])\n"
)


def test_a_function_that_feeds_itself_through_a_queue_is_stopped_after_sixteen_times(
    cloud: Cloud, functions: Any
) -> None:
    """ "Use Lambda recursive loop detection to prevent infinite loops": the message goes to the dead-letter queue."""
    sqs = cloud.client("sqs")
    sqs.create_queue(QueueName="lost")
    redrive = json.dumps({"deadLetterTargetArn": f"{SQS}lost", "maxReceiveCount": 1})
    url = sqs.create_queue(QueueName="q", Attributes={"RedrivePolicy": redrive})["QueueUrl"]
    deploy(functions, "round", SENDS, Environment={"Variables": {"QUEUE": url}})
    functions.create_event_source_mapping(FunctionName="round", EventSourceArn=f"{SQS}q", BatchSize=1)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    eventually(lambda: "a recursive loop was stopped" in cloud.log.getvalue())
    cloud.advance(seconds=31)
    assert taken(cloud, "lost")["Body"] == "x"

    def counted() -> list[int]:
        found = (re.search(r";Lineage=1:[0-9a-f]{8}:(\d+)$", line.rstrip()) for line in logged(cloud, "round", "TRACE"))
        return sorted(int(one[1]) for one in found if one)

    eventually(lambda: counted() == list(range(16)))
    [line] = [json.loads(line) for line in cloud.log.getvalue().splitlines() if "recursive loop" in line]
    assert (line["function"], line["times"]) == (f"{FUNCTION}round", 16)


def test_a_function_that_invokes_itself_is_told_that_it_goes_round(functions: Any) -> None:
    deploy(functions, "round", CALLS, Timeout=60, MemorySize=512)
    assert call(functions, "round", {"n": 1}) == {"n": 16, "error": "RecursiveInvocationException"}


def test_an_event_that_goes_round_goes_where_failures_go(cloud: Cloud, functions: Any) -> None:
    cloud.client("sqs").create_queue(QueueName="failed")
    deploy(functions, "f", ECHO)
    functions.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnFailure": {"Destination": f"{SQS}failed"}}
    )
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"
    mark = lineage.grown("", f"{FUNCTION}f").split(":")[1]
    event = {"FunctionName": "f", "InvocationType": "Event", "Payload": b"7"}
    _in_trace(functions, f"{trace};Lineage=1:{mark}:15").invoke(**event)
    context = json.loads(taken(cloud, "failed")["Body"])["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RecursiveInvocation", 0)
    functions.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")
    answer = _in_trace(functions, f"{trace};Lineage=1:{mark}:999").invoke(FunctionName="f", Payload=b"7")
    assert json.load(answer["Payload"]) == 7


@pytest.mark.parametrize("way", ["", "x", "1:zz:1", "|" * 999, "1:" + "|".join(f"{n:08x}:1" for n in range(500))])
def test_a_lineage_that_somebody_made_up_harms_nobody(cloud: Cloud, functions: Any, way: str) -> None:
    deploy(functions, "f", "import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n")
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    answer = _in_trace(functions, f"{trace};Lineage={way}").invoke(FunctionName="f")
    found = json.load(answer["Payload"])
    assert found.startswith(trace) and found.count("|") < 16


def test_whether_a_function_may_go_round_is_kept(cloud: Cloud, functions: Any) -> None:
    deploy(functions, "f", ECHO)
    assert functions.get_function_recursion_config(FunctionName="f")["RecursiveLoop"] == "Terminate"
    assert functions.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")["RecursiveLoop"] == "Allow"
    cloud.restart()
    assert cloud.client("lambda").get_function_recursion_config(FunctionName="f")["RecursiveLoop"] == "Allow"


def _in_trace(client: Any, header: str) -> Any:
    client.meta.events.register("before-sign.lambda.*", lambda request, **_: _carry(request, header))
    return client


def _carry(request: Any, header: str) -> None:
    del request.headers["X-Amzn-Trace-Id"]
    request.headers["X-Amzn-Trace-Id"] = header
