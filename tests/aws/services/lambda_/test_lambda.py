"""Lambda, told through boto3."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.cloud import Cloud
from tests.support.code import ROLE, call, deploy, zipped
from tests.support.waiting import eventually

ECHO = "def handler(event, context):\n    return {'event': event, 'arn': context.invoked_function_arn}\n"


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def test_a_function_answers_with_what_its_handler_returns(functions: Any) -> None:
    arn = deploy(functions, "echo", ECHO)
    assert call(functions, "echo", {"a": [1, None, "ä"]}) == {"event": {"a": [1, None, "ä"]}, "arn": arn}


def test_a_handler_that_raises_gives_lambdas_error_document_and_a_log_tail(functions: Any) -> None:
    deploy(functions, "fails", "def handler(event, context):\n    print('before')\n    raise ValueError('no')\n")
    answer = functions.invoke(FunctionName="fails", LogType="Tail")
    document = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert (document["errorType"], document["errorMessage"]) == ("ValueError", "no")
    log = base64.b64decode(answer["LogResult"]).decode()
    assert log.startswith("START RequestId: ") and "before\n" in log and "\tMax Memory Used: " in log


def test_versions_stay_what_they_were_and_an_alias_leads_to_one(functions: Any) -> None:
    deploy(functions, "v", "def handler(event, context):\n    return 1\n")
    assert functions.publish_version(FunctionName="v")["Version"] == "1"
    assert functions.publish_version(FunctionName="v")["Version"] == "1"  # Nothing has changed since.
    code = zipped({"app.py": "def handler(event, context):\n    return 2\n"})
    functions.update_function_code(FunctionName="v", ZipFile=code)
    functions.create_alias(FunctionName="v", Name="live", FunctionVersion="1")
    assert (call(functions, "v"), call(functions, "v:live"), call(functions, "v", Qualifier="1")) == (2, 1, 1)


def test_provisioned_instances_are_initialised_and_are_there_again_after_a_restart(
    cloud: Cloud, functions: Any
) -> None:
    deploy(functions, "p", ECHO)
    with pytest.raises(ClientError) as failure:
        functions.put_provisioned_concurrency_config(
            FunctionName="p", Qualifier="$LATEST", ProvisionedConcurrentExecutions=2
        )
    assert failure.value.response["Error"]["Code"] == "InvalidParameterValueException"
    functions.publish_version(FunctionName="p")
    answer = functions.put_provisioned_concurrency_config(
        FunctionName="p", Qualifier="1", ProvisionedConcurrentExecutions=3
    )
    assert answer["Status"] == "READY"
    assert [one["state"] for one in cloud.server.engine.status()] == ["idle"] * 3
    cloud.restart()
    eventually(lambda: [one["state"] for one in cloud.server.engine.status()] == ["idle"] * 3)


def test_a_function_with_no_reserved_concurrency_left_is_throttled(functions: Any) -> None:
    deploy(functions, "none", ECHO)
    functions.put_function_concurrency(FunctionName="none", ReservedConcurrentExecutions=0)
    with pytest.raises(functions.exceptions.TooManyRequestsException) as failure:
        call(functions, "none")
    assert failure.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_an_asynchronous_failure_is_tried_again_after_one_and_two_minutes_and_then_told(
    cloud: Cloud, functions: Any
) -> None:
    """Developer Guide, "How Lambda handles errors and retries with asynchronous invocation"."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="failed")["QueueUrl"]
    deploy(functions, "never", "def handler(event, context):\n    raise ValueError('no')\n")
    functions.put_function_event_invoke_config(
        FunctionName="never",
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:failed"}},
    )
    functions.invoke(FunctionName="never", InvocationType="Event", Payload=b'{"n": 7}')

    def runs() -> int:
        found = cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/never", filterPattern="START")
        return len(found["events"])

    def logged(count: int) -> bool:
        try:
            return runs() == count
        except ClientError:
            return False

    eventually(lambda: logged(1))
    cloud.advance(seconds=59)
    assert logged(1)
    cloud.advance(seconds=2)
    eventually(lambda: logged(2))
    cloud.advance(seconds=121)
    eventually(lambda: logged(3))
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    record = json.loads(message["Body"])
    assert record["requestPayload"] == {"n": 7}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3


def test_a_zip_that_leads_out_of_its_folder_is_refused(cloud: Cloud, functions: Any) -> None:
    with pytest.raises(ClientError) as failure:
        functions.create_function(
            FunctionName="evil", Runtime="python3.11", Role=ROLE, Handler="app.handler",
            Code={"ZipFile": zipped({"../../evil.py": "x"})},
        )  # fmt: skip
    assert "Could not unzip uploaded file" in str(failure.value)
    assert not list(cloud.config.data_dir.rglob("evil.py"))


def test_a_link_out_of_a_zip_is_refused(functions: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("etc")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc")
    with pytest.raises(ClientError, match="Could not unzip"):
        functions.create_function(
            FunctionName="evil", Runtime="python3.11", Role=ROLE, Handler="a.b", Code={"ZipFile": buffer.getvalue()}
        )


@pytest.mark.parametrize("runtime", ["java21", "dotnet8", "ruby3.3", "go1.x", "provided"])
def test_a_runtime_that_is_not_served_is_refused_by_name(functions: Any, runtime: str) -> None:
    with pytest.raises(ClientError, match=runtime):
        deploy(functions, "other", ECHO, Runtime=runtime)


def test_a_service_may_call_only_where_the_functions_policy_lets_it(cloud: Cloud, functions: Any) -> None:
    deploy(functions, "guarded", ECHO)
    rules = cloud.server.house.caller(
        "000000000000", "us-east-1", "events.amazonaws.com", source_arn="arn:aws:events:r"
    )
    with pytest.raises(Exception, match="not authorized to perform: lambda:InvokeFunction"):
        cloud.run(rules("lambda", "Invoke", FunctionName="guarded"))  # type: ignore[arg-type]
    functions.add_permission(
        FunctionName="guarded", StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com",
        SourceArn="arn:aws:events:*",
    )  # fmt: skip
    assert cloud.run(rules("lambda", "Invoke", FunctionName="guarded"))["StatusCode"] == 200  # type: ignore[arg-type]


def test_a_function_is_fed_from_a_queue_in_batches_and_keeps_what_it_names_as_failed(
    cloud: Cloud, functions: Any
) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
    deploy(functions, "feed", (
        "def handler(event, context):\n"
        "    bad = [r['messageId'] for r in event['Records'] if r['body'] == 'bad']\n"
        "    return {'batchItemFailures': [{'itemIdentifier': i} for i in bad]}\n"
    ))  # fmt: skip
    for body in ("good", "bad", "fine"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    mapping = functions.create_event_source_mapping(
        FunctionName="feed", EventSourceArn="arn:aws:sqs:us-east-1:000000000000:q",
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )  # fmt: skip
    assert functions.get_event_source_mapping(UUID=mapping["UUID"])["State"] == "Enabled"

    def left() -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()
        return sum(map(int, counts)) == 1

    eventually(left)


def test_a_queue_that_hides_messages_for_less_than_the_functions_timeout_is_refused(
    cloud: Cloud, functions: Any
) -> None:
    cloud.client("sqs").create_queue(QueueName="short", Attributes={"VisibilityTimeout": "2"})
    deploy(functions, "slow", ECHO, Timeout=5)
    with pytest.raises(
        ClientError, match="Queue visibility timeout: 2 seconds is less than Function timeout: 5 seconds"
    ):
        functions.create_event_source_mapping(
            FunctionName="slow", EventSourceArn="arn:aws:sqs:us-east-1:000000000000:short"
        )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ParallelizationFactor": 2}, "Unsupported ParallelizationFactor parameter"),
        ({"TumblingWindowInSeconds": 60}, "Unsupported TumblingWindowInSeconds parameter"),
        ({"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:lost"}}},
         "Unsupported DestinationConfig parameter"),
        ({"MetricsConfig": {"Metrics": ["EventCount"]}}, "MetricsConfig of event source mappings is not served here"),
        ({"ScalingConfig": {"MaximumConcurrency": 5}, "ProvisionedPollerConfig": {"MaximumPollers": 3}}, "both"),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 4, "MaximumPollers": 3}}, "MinimumPollers"),
    ],
)  # fmt: skip
def test_what_a_mapping_of_a_queue_could_not_do_is_refused_when_it_is_made(
    cloud: Cloud, functions: Any, given: Any, told: str
) -> None:
    deploy(functions, "f", ECHO)
    cloud.client("sqs").create_queue(QueueName="q")
    with pytest.raises(ClientError, match=told) as refused:
        functions.create_event_source_mapping(
            FunctionName="f", EventSourceArn="arn:aws:sqs:us-east-1:000000000000:q", **given
        )
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"


@pytest.mark.parametrize("target", ["arn:aws:s3:::lost", "arn:aws:sqs:us-east-1:000000000000:lost.fifo"])
def test_a_dead_letter_target_that_cannot_be_one_is_refused_when_it_is_set(functions: Any, target: str) -> None:
    lost = {"TargetArn": target}
    with pytest.raises(ClientError, match="is invalid"):
        deploy(functions, "f", ECHO, DeadLetterConfig=lost)
    deploy(functions, "f", ECHO, DeadLetterConfig={"TargetArn": "arn:aws:sqs:us-east-1:000000000000:lost"})
    with pytest.raises(ClientError, match="is invalid"):
        functions.update_function_configuration(FunctionName="f", DeadLetterConfig=lost)
