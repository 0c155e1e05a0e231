"""Custom runtimes through the service: Developer Guide, "Building a custom runtime for AWS Lambda"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.provided.programs import program
from tests.support.code import ROLE, call, zipped
from tests.support.refusals import refused
from tests.support.stacks import Stacks, template
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

ECHO = program("serve(lambda event: event)")
TEXT = program("while True:\n    i, h, e = next_event(); ask('POST', RUNTIME + 'invocation/%s/response' % i, b'<ok>')")


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def create(functions: Any, name: str, bootstrap: str, **settings: Any) -> Any:
    code = {"ZipFile": zipped({"bootstrap": bootstrap}, 0o755)}
    given = {"Runtime": "provided.al2023", "Role": ROLE, "Handler": "any", **settings}
    return functions.create_function(FunctionName=name, Code=code, **given)


def lines(cloud: Cloud) -> list[str]:
    """What `f` has logged; nothing before its group is there."""
    logs, group = cloud.client("logs"), "/aws/lambda/f"
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]


@pytest.mark.parametrize("runtime", ["provided.al2", "provided.al2023"])
def test_a_zip_with_a_bootstrap_is_a_function(functions: Any, runtime: str) -> None:
    assert create(functions, "f", ECHO, Runtime=runtime)["Runtime"] == runtime
    assert call(functions, "f", {"a": "ž"}) == {"a": "ž"}


def test_a_layer_may_bring_the_bootstrap_and_an_extension(cloud: Cloud, functions: Any) -> None:
    watch = program(
        '_, me = register("watch", "INVOKE")\nwhile True: print("heard", next_of(me)["requestId"], flush=True)'
    )
    content = {"ZipFile": zipped({"bootstrap": ECHO, "extensions/watch": watch}, 0o755)}
    layer = functions.publish_layer_version(LayerName="runtime", Content=content)["LayerVersionArn"]
    functions.create_function(
        FunctionName="f", Runtime="provided.al2023", Role=ROLE, Handler="main", Layers=[layer],
        Code={"ZipFile": zipped({"main.txt": ""})},
    )  # fmt: skip
    answer = functions.invoke(FunctionName="f", Payload=b"1")
    assert answer["Payload"].read() == b"1"
    heard = f"heard {answer['ResponseMetadata']['RequestId']}\n"
    assert eventually(lambda: heard in lines(cloud))


def test_a_reply_that_is_no_json_is_handed_on_as_it_is(cloud: Cloud, functions: Any) -> None:
    create(functions, "f", TEXT)
    answer = functions.invoke(FunctionName="f")
    assert answer["Payload"].read() == b"<ok>" and "FunctionError" not in answer
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="done")["QueueUrl"]
    done = {"OnSuccess": {"Destination": "arn:aws:sqs:us-east-1:000000000000:done"}}
    functions.put_function_event_invoke_config(FunctionName="f", DestinationConfig=done)
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")
    [told] = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert json.loads(told["Body"])["responsePayload"] == "<ok>"


def test_a_reply_that_is_no_json_loses_no_message_that_it_should_have_named(cloud: Cloud, functions: Any) -> None:
    create(functions, "f", TEXT)
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="work")["QueueUrl"]
    functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn="arn:aws:sqs:us-east-1:000000000000:work",
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )  # fmt: skip
    sqs.send_message(QueueUrl=url, MessageBody="one")

    def counts() -> tuple[str, str]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return found[names[0]], found[names[1]]

    eventually(lambda: any(line.startswith("REPORT") for line in lines(cloud)))
    assert counts() == ("0", "1"), "it comes again when its visibility ends"


def test_an_error_of_any_form_reaches_the_dead_letter_queue(cloud: Cloud, functions: Any) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    dead = {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"}
    create(
        functions, "f", program("while True:\n    i, h, e = next_event(); fail(i, b'no JSON')"), DeadLetterConfig=dead
    )
    functions.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": 1}')
    [told] = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert json.loads(told["Body"]) == {"n": 1}


def test_a_template_deploys_one(cloud: Cloud) -> None:
    bucket = cloud.client("s3")
    bucket.create_bucket(Bucket="code")
    bucket.put_object(Bucket="code", Key="f.zip", Body=zipped({"bootstrap": ECHO}, 0o755))
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "Runtime": "provided.al2023", "Handler": "bootstrap", "FunctionName": "f",
            "CodeUri": {"Bucket": "code", "Key": "f.zip"},
        },
    }  # fmt: skip
    Stacks(cloud).create(
        template(Transform="AWS::Serverless-2016-10-31", Resources={"F": function}),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    assert call(cloud.client("lambda"), "f", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("runtime", "told"),
    [
        ("java21", "Use provided.al2023: build it as a native program, or start Java with "
         "aws-lambda-java-runtime-interface-client, in a file named bootstrap."),
        ("ruby3.3", "Use provided.al2023: start Ruby with the gem aws_lambda_ric, in a file named bootstrap."),
        ("dotnet8", "Use provided.al2023: publish it as a self-contained program with Amazon.Lambda.RuntimeSupport, "
         "in a file named bootstrap."),
        ("go1.x", "We recommend you use provided.al2023 while creating or updating functions: build it with "
         "aws-lambda-go, as a file named bootstrap."),
        ("provided", "We recommend you use provided.al2023 while creating or updating functions."),
    ],
)  # fmt: skip
def test_what_is_not_served_is_refused_with_the_way_that_works(functions: Any, runtime: str, told: str) -> None:
    code = {"ZipFile": zipped({"bootstrap": ECHO}, 0o755)}
    given = {"FunctionName": "f", "Runtime": runtime, "Role": ROLE, "Handler": "x", "Code": code}
    kind, message = refused(functions.create_function, **given)
    assert kind == "InvalidParameterValueException" and message.endswith(told) and runtime in message
    create(functions, "f", ECHO)
    assert refused(functions.update_function_configuration, FunctionName="f", Runtime=runtime)[1] == message


def test_an_image_is_refused_by_name(functions: Any) -> None:
    code = {"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:latest"}
    kind, message = refused(functions.create_function, FunctionName="f", Role=ROLE, PackageType="Image", Code=code)
    assert (kind, message) == (
        "InvalidParameterValueException",
        "Container images are not served by fogbank, which has no container engine; use a .zip package.",
    )
