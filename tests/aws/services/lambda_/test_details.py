"""Lambda, rule by rule, as its API reference and Developer Guide have them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from typing import Any

import pytest

from fogbank.aws.services.lambda_ import admission
from tests.support.cloud import Cloud
from tests.support.code import ROLE, call, deploy, zipped
from tests.support.refusals import refused
from tests.support.waiting import eventually

ECHO = "def handler(event, context):\n    return event\n"
EFS = "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0"
SQS = "arn:aws:sqs:us-east-1:000000000000:"


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


# -- what a function may be --


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Timeout": 1801}, "ValidationException"),
        ({"MemorySize": 10_241}, "ValidationException"),
        ({"EphemeralStorage": {"Size": 10_241}}, "ValidationException"),
        ({"Role": "admin"}, "ValidationException"),
        ({"Environment": {"Variables": {"no-dash": "x"}}}, "ValidationException"),
        ({"Layers": [f"arn:aws:lambda:us-east-1:000000000000:layer:l{n}:1" for n in range(6)]}, "five layers"),
        ({"LoggingConfig": {"LogFormat": "Text", "SystemLogLevel": "DEBUG"}}, "InvalidParameterValueException"),
        ({"FileSystemConfigs": [{"Arn": EFS, "LocalMountPath": "/mnt/x"}]}, "InvalidParameterValueException"),
        ({"CodeSigningConfigArn": "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-00000000000000000"},
         "InvalidParameterValueException"),
        ({"Tags": {f"t{n}": "x" for n in range(51)}}, "InvalidParameterValueException"),
    ],
)  # fmt: skip
def test_what_a_function_cannot_be_is_refused(functions: Any, given: Any, code: str) -> None:
    found = refused(deploy, functions=functions, name="f", source=ECHO, **given)
    assert found[0] == (code if code.endswith("Exception") else "InvalidParameterValueException")
    assert functions.list_functions()["Functions"] == []


def test_a_name_has_at_most_64_characters_and_a_zip_some_content(functions: Any) -> None:
    assert refused(deploy, functions=functions, name="f" * 65, source=ECHO)[0] == "ValidationException"
    empty = {"FunctionName": "f", "Runtime": "python3.11", "Role": ROLE, "Handler": "a.b", "Code": {"ZipFile": b""}}
    assert refused(functions.create_function, **empty)[1] == "Uploaded file must be a non-empty zip"


# -- lists --


def test_versions_and_aliases_are_listed_in_pages(functions: Any) -> None:
    deploy(functions, "f", ECHO)
    for number in range(3):
        code = zipped({"app.py": f"def handler(event, context):\n    return {number}\n"})
        functions.update_function_code(FunctionName="f", ZipFile=code, Publish=True)
        functions.create_alias(FunctionName="f", Name=f"a{number}", FunctionVersion="1")
    for operation, member, name, wanted in (
        ("list_versions_by_function", "Versions", "Version", [["$LATEST", "1"], ["2", "3"]]),
        ("list_aliases", "Aliases", "Name", [["a0", "a1"], ["a2"]]),
    ):
        pages = functions.get_paginator(operation).paginate(FunctionName="f", PaginationConfig={"PageSize": 2})
        assert [[one[name] for one in page[member]] for page in pages] == wanted


# -- aliases --


def test_an_alias_divides_calls_between_two_versions_by_weight(functions: Any) -> None:
    """Developer Guide, "Implement Lambda canary deployments using a weighted alias"."""
    deploy(functions, "f", "def handler(event, context):\n    return context.function_version\n", Publish=True)
    code = zipped({"app.py": "def handler(event, context):\n    return context.function_version + ''\n"})
    functions.update_function_code(FunctionName="f", ZipFile=code, Publish=True)
    alias = {"FunctionName": "f", "Name": "live", "FunctionVersion": "1"}
    functions.create_alias(**alias, RoutingConfig={"AdditionalVersionWeights": {"2": 1.0}})
    assert {call(functions, "f", Qualifier="live") for _ in range(5)} == {"2"}
    functions.update_alias(**alias, RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    assert {call(functions, "f", Qualifier="live") for _ in range(60)} == {"1", "2"}


@pytest.mark.parametrize("weights", [{"1": 0.5}, {"2": 0.1, "3": 0.1}, {"$LATEST": 0.5}, {"9": 0.5}])
def test_an_alias_may_lead_to_one_other_published_version(functions: Any, weights: dict[str, float]) -> None:
    deploy(functions, "f", ECHO, Publish=True)
    for number in (2, 3):
        code = zipped({"app.py": f"def handler(event, context):\n    return {number}\n"})
        functions.update_function_code(FunctionName="f", ZipFile=code, Publish=True)
    alias = {"FunctionName": "f", "Name": "live", "FunctionVersion": "1"}
    code = "ResourceNotFoundException" if "9" in weights else "InvalidParameterValueException"
    if "$LATEST" in weights:
        code = refused(functions.create_alias, **alias, RoutingConfig={"AdditionalVersionWeights": weights})[0]
        assert code in ("InvalidParameterValueException", "ValidationException")
        return
    assert refused(functions.create_alias, **alias, RoutingConfig={"AdditionalVersionWeights": weights})[0] == code


def test_provisioned_concurrency_is_of_an_alias_or_of_its_version_and_within_what_is_reserved(functions: Any) -> None:
    deploy(functions, "f", ECHO, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    put = functions.put_provisioned_concurrency_config
    want = {"FunctionName": "f", "ProvisionedConcurrentExecutions": 2}
    assert "reservedConcurrentExecution" in refused(put, **want, Qualifier="live")[1]
    put(FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=1)
    assert "Provisioned Concurrency alias" in refused(put, **want, Qualifier="1")[1]


# -- invoking --


@pytest.mark.parametrize("context", ["%%%", "bm8ganNvbg==", "A" * 3584])
def test_a_client_context_is_json_in_base64(functions: Any, context: str) -> None:
    deploy(functions, "f", ECHO)
    assert refused(functions.invoke, FunctionName="f", ClientContext=context)[0] == "InvalidRequestContentException"


def test_an_event_that_no_instance_was_free_for_in_time_goes_where_failures_go(
    cloud: Cloud, functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Developer Guide, "How Lambda handles errors and retries with asynchronous invocation"."""
    sqs = cloud.client("sqs")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("lost", "dead")}
    deploy(functions, "f", ECHO, DeadLetterConfig={"TargetArn": f"{SQS}dead"})
    functions.put_function_event_invoke_config(
        FunctionName="f", MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": f"{SQS}lost"}}
    )
    monkeypatch.setattr(admission, "ACCOUNT_CONCURRENCY", 0)
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": 7}')

    def taken(name: str) -> Any:
        cloud.advance(seconds=31)
        return sqs.receive_message(QueueUrl=urls[name], MessageAttributeNames=["All"]).get("Messages")

    [told] = eventually(lambda: taken("lost"))
    record = json.loads(told["Body"])
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert "responsePayload" not in record
    [bare] = eventually(lambda: taken("dead"))
    assert json.loads(bare["Body"]) == {"n": 7}
    assert bare["MessageAttributes"]["ErrorCode"]["StringValue"] == "429"


def test_a_destination_that_is_gone_keeps_nothing_from_the_dead_letter_queue(cloud: Cloud, functions: Any) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    dead = {"TargetArn": f"{SQS}dead"}
    deploy(functions, "f", "def handler(event, context):\n    raise ValueError('no')\n", DeadLetterConfig=dead)
    functions.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": f"{SQS}gone"}}
    )
    functions.invoke(FunctionName="f", InvocationType="Event")
    assert eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))


def test_a_success_is_told_to_its_destination(cloud: Cloud, functions: Any) -> None:
    """Developer Guide, "Capturing records of Lambda asynchronous invocations"."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="done")["QueueUrl"]
    arn = deploy(functions, "f", ECHO)
    functions.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": f"{SQS}done"}}
    )
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": 7}')
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    record = json.loads(message["Body"])
    assert record["requestContext"].pop("requestId")
    assert record["requestContext"] == {
        "functionArn": f"{arn}:$LATEST", "condition": "Success", "approximateInvokeCount": 1,
    }  # fmt: skip
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 7}, {"n": 7})
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}


# -- event source mappings --


@pytest.mark.parametrize(
    "given",
    [{"StartingPosition": "LATEST"}, {"MaximumRetryAttempts": 1}, {"BisectBatchOnFunctionError": True},
     {"Topics": ["t"]}, {"BatchSize": 11}],
)  # fmt: skip
def test_a_queues_mapping_takes_nothing_that_is_for_streams(cloud: Cloud, functions: Any, given: Any) -> None:
    cloud.client("sqs").create_queue(QueueName="q")
    deploy(functions, "f", ECHO)
    make = functions.create_event_source_mapping
    code, _ = refused(make, FunctionName="f", EventSourceArn=f"{SQS}q", **given)
    assert code == "InvalidParameterValueException"


def test_a_fifo_queue_has_no_batching_window(cloud: Cloud, functions: Any) -> None:
    cloud.client("sqs").create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})
    deploy(functions, "f", ECHO)
    where = {"FunctionName": "f", "EventSourceArn": f"{SQS}q.fifo"}
    code, told = refused(functions.create_event_source_mapping, **where, MaximumBatchingWindowInSeconds=5)
    assert (code, told) == ("InvalidParameterValueException", "Batching window is not supported for FIFO queues")


def test_a_mapping_goes_through_its_states_and_carries_tags(cloud: Cloud, functions: Any) -> None:
    for name in ("a", "b"):
        cloud.client("sqs").create_queue(QueueName=name)
    deploy(functions, "f", ECHO)
    made = functions.create_event_source_mapping(FunctionName="f", EventSourceArn=f"{SQS}a", Tags={"team": "blue"})
    functions.create_event_source_mapping(FunctionName="f", EventSourceArn=f"{SQS}b")
    pages = functions.get_paginator("list_event_source_mappings").paginate(PaginationConfig={"PageSize": 1})
    assert [len(page["EventSourceMappings"]) for page in pages] == [1, 1]
    arn, uuid = made["EventSourceMappingArn"], made["UUID"]
    functions.tag_resource(Resource=arn, Tags={"size": "l"})
    functions.untag_resource(Resource=arn, TagKeys=["team"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"size": "l"}
    seen = [made["State"], functions.get_event_source_mapping(UUID=uuid)["State"]]
    seen += [functions.update_event_source_mapping(UUID=uuid, Enabled=False)["State"]]
    seen += [functions.get_event_source_mapping(UUID=uuid)["State"]]
    seen += [functions.delete_event_source_mapping(UUID=uuid)["State"]]
    assert seen == ["Creating", "Enabled", "Disabling", "Disabled", "Deleting"]


# -- policies --


def test_what_a_statement_is_bound_to_stands_in_it(functions: Any) -> None:
    deploy(functions, "f", ECHO)
    functions.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="*",
        PrincipalOrgID="o-1234567890", EventSourceToken="token", InvokedViaFunctionUrl=True,
    )  # fmt: skip
    [statement] = json.loads(functions.get_policy(FunctionName="f")["Policy"])["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {"aws:PrincipalOrgID": "o-1234567890", "lambda:EventSourceToken": "token"},
        "Bool": {"lambda:InvokedViaFunctionUrl": "true"},
    }


def test_a_published_version_is_a_snapshot_where_that_is_asked_for(functions: Any) -> None:
    """ "SnapStart": OptimizationStatus of a version, not of $LATEST."""
    asked = {"Runtime": "python3.12", "SnapStart": {"ApplyOn": "PublishedVersions"}}
    deploy(functions, "f", ECHO, **asked, Publish=True)
    shown = [functions.get_function_configuration(FunctionName="f", Qualifier=q)["SnapStart"] for q in ("$LATEST", "1")]
    assert [one["OptimizationStatus"] for one in shown] == ["Off", "On"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Principal": "somebody"}, "InvalidParameterValueException"),
        ({"Action": "s3:GetObject"}, "ValidationException"),
        ({"StatementId": "a b"}, "ValidationException"),
    ],
)
def test_a_statement_names_somebody_and_what_lambda_does(functions: Any, given: dict[str, str], code: str) -> None:
    deploy(functions, "f", ECHO)
    statement = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com", **given}
    assert refused(functions.add_permission, FunctionName="f", **statement)[0] == code


def test_a_mapping_rests_while_its_function_is_gone_and_goes_on_with_the_next_of_that_name(
    cloud: Cloud, functions: Any
) -> None:
    """DeleteFunction: "To delete Lambda event source mappings that invoke a function, use DeleteEventSourceMapping"."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    deploy(functions, "f", ECHO)
    made = functions.create_event_source_mapping(FunctionName="f", EventSourceArn=f"{SQS}q")
    functions.delete_function(FunctionName="f")
    assert functions.get_event_source_mapping(UUID=made["UUID"])["FunctionArn"] == made["FunctionArn"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    cloud.advance(seconds=120)
    assert counted(sqs, url) == {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "0"}
    deploy(functions, "f", ECHO)
    eventually(lambda: set(counted(sqs, url).values()) == {"0"})


def counted(sqs: Any, url: str) -> dict[str, str]:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return dict(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"])


# -- code that takes the place of other code --


def test_files_that_stay_the_same_are_not_written_again(cloud: Cloud, functions: Any) -> None:
    source = "def handler(event, context):\n    return open('data.txt').read()\n"
    deploy(functions, "f", source)
    first = zipped({"app.py": source, "data.txt": "one", "big.bin": "x" * 100_000})
    functions.update_function_code(FunctionName="f", ZipFile=first)
    assert call(functions, "f") == "one"
    second = zipped({"app.py": source, "data.txt": "two", "big.bin": "x" * 100_000})
    functions.update_function_code(FunctionName="f", ZipFile=second)
    assert call(functions, "f") == "two"
    one, two = (cloud.config.code_dir / hashlib.sha256(content).hexdigest() for content in (first, second))
    assert os.path.samefile(one / "big.bin", two / "big.bin") and (one / "data.txt").read_text() == "one"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_does_not_write_into_another_version(cloud: Cloud, functions: Any) -> None:
    deploy(functions, "f", "def handler(event, context): ...\n")
    first = zipped({"data.txt": "one"})
    functions.update_function_code(FunctionName="f", ZipFile=first)
    buffer = io.BytesIO(first)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("data.txt", "two")
    functions.update_function_code(FunctionName="f", ZipFile=buffer.getvalue())
    one, two = (cloud.config.code_dir / hashlib.sha256(it).hexdigest() for it in (first, buffer.getvalue()))
    assert ((one / "data.txt").read_text(), (two / "data.txt").read_text()) == ("one", "two")
