"""Functions that are subscribed, and queues that are not there; traces, loops and restarts.

Lambda Developer Guide, "Invoking Lambda functions with Amazon SNS notifications".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.services.sns.conftest import inbox, subscribe
from tests.aws.services.sns.test_endpoints import verify
from tests.support.cloud import ACCOUNT, REGION
from tests.support.code import deploy
from tests.support.refusals import refused
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

KEEPS = "import json\ndef handler(event, context):\n    print('GOT', json.dumps(event))\n"
TELLS = "import os\ndef handler(event, context):\n    print('TRACE', os.environ['_X_AMZN_TRACE_ID'])\n"
PUBLISHES = (
    "import boto3, os\n"
    "def handler(event, context):\n"
    "    for record in event['Records']:\n"
    "        boto3.client('sns').publish(TopicArn=os.environ['TOPIC'], Message=record['Sns']['Message'])\n"
)
ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def listen(cloud: Cloud, topic: str, name: str, source: str, *, allowed: bool = True, **settings: Any) -> str:
    """The ARN of a new function's subscription."""
    functions = cloud.client("lambda")
    arn = deploy(functions, name, source, **settings)
    if allowed:
        functions.add_permission(
            FunctionName=name, StatementId="sns", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com",
            SourceArn=topic,
        )  # fmt: skip
    made = cloud.client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    return str(made["SubscriptionArn"])


def logged(cloud: Cloud, function: str, text: str) -> list[str]:
    logs = cloud.client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{function}")["logGroups"]:
        return []
    found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", filterPattern=text)
    return [event["message"] for event in found["events"]]


def got(cloud: Cloud, function: str) -> dict[str, Any]:
    """The one event that the function has kept."""
    [line] = eventually(lambda: logged(cloud, function, "GOT"))
    return dict(json.loads(line.partition("GOT ")[2]))


def test_a_function_gets_the_documented_event(cloud: Cloud, sns: Any, topic: str) -> None:
    subscription = listen(cloud, topic, "f", KEEPS)
    attributes = {"kind": {"DataType": "String", "StringValue": "cup"}}
    sent = sns.publish(TopicArn=topic, Message="x", Subject="s", MessageAttributes=attributes)
    [record] = got(cloud, "f")["Records"]
    told = record.pop("Sns")
    assert record == {"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": subscription}
    assert told.pop("Signature") and told.pop("SigningCertUrl").endswith(".pem")
    assert told.pop("UnsubscribeUrl").endswith(f"/?Action=Unsubscribe&SubscriptionArn={subscription}")
    assert told == {
        "Type": "Notification", "MessageId": sent["MessageId"], "TopicArn": topic, "Subject": "s", "Message": "x",
        "Timestamp": "2027-01-15T08:00:00.000Z", "SignatureVersion": "1",
        "MessageAttributes": {"kind": {"Type": "String", "Value": "cup"}},
    }  # fmt: skip


def test_what_a_message_does_not_have_is_there_and_empty(cloud: Cloud, sns: Any, topic: str) -> None:
    listen(cloud, topic, "f", KEEPS)
    sns.publish(TopicArn=topic, Message="x")
    told = got(cloud, "f")["Records"][0]["Sns"]
    assert (told["Subject"], told["MessageAttributes"]) == (None, {})
    del told["Subject"]
    verify({**told, "SigningCertURL": told["SigningCertUrl"]})


def test_a_function_whose_policy_does_not_let_the_topic_in_is_not_run(cloud: Cloud, sns: Any, topic: str) -> None:
    dead = inbox(cloud, "dead")
    arn = listen(cloud, topic, "f", KEEPS, allowed=False)
    sns.set_subscription_attributes(
        SubscriptionArn=arn, AttributeName="RedrivePolicy",
        AttributeValue=json.dumps({"deadLetterTargetArn": dead.arn}),
    )  # fmt: skip
    sns.publish(TopicArn=topic, Message="lost")
    assert dead.body()["Message"] == "lost"
    assert logged(cloud, "f", "GOT") == []


def test_a_queue_that_is_gone_has_a_dead_letter_queue(cloud: Cloud, sns: Any, topic: str) -> None:
    dead, orders = inbox(cloud, "dead"), inbox(cloud, "q")
    redrive = json.dumps({"deadLetterTargetArn": dead.arn})
    attributes = {"RedrivePolicy": redrive, "RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=orders.arn, Attributes=attributes)
    cloud.client("sqs").delete_queue(QueueUrl=orders.url)
    kind = {"kind": {"DataType": "String", "StringValue": "cup"}}
    sns.publish(TopicArn=topic, Message="lost", MessageAttributes=kind)
    found = dead.next()
    assert (found["Body"], found["MessageAttributes"]) == ("lost", kind)
    cloud.client("sqs").create_queue(QueueName="q")
    sns.publish(TopicArn=topic, Message="found")
    assert orders.next()["Body"] == "found"


def test_a_raw_message_with_too_many_attributes_is_a_fault_of_the_client(cloud: Cloud, sns: Any, topic: str) -> None:
    """Developer Guide, "Amazon SNS message attributes": a raw message has ten of them at most."""
    dead, orders = inbox(cloud, "dead"), inbox(cloud, "q")
    attributes = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead.arn}), "RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=orders.arn, Attributes=attributes)
    many = {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}
    sns.publish(TopicArn=topic, Message="x", MessageAttributes=many)
    eventually(lambda: "a dead-letter queue refused a message" in cloud.log.getvalue())
    assert orders.is_empty()


def test_a_functions_url_can_be_an_endpoint(cloud: Cloud, functions: Any, sns: Any, topic: str) -> None:
    """By the name that it has on AWS, as a template would give it."""
    deploy(functions, "f", KEEPS)
    url = functions.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    functions.add_permission(
        FunctionName="f", StatementId="public", Action="lambda:InvokeFunctionUrl", Principal="*",
        FunctionUrlAuthType="NONE",
    )  # fmt: skip
    name = url.partition("://")[2].partition(".")[0]
    real = f"https://{name}.lambda-url.{REGION}.on.aws/hook"
    sns.subscribe(TopicArn=topic, Protocol="https", Endpoint=real)
    event = got(cloud, "f")
    assert event["rawPath"] == "/hook"
    asked = json.loads(event["body"])
    assert (asked["Type"], asked["TopicArn"]) == ("SubscriptionConfirmation", topic)
    here = f"http://{name}.lambda-url.{REGION}.localhost:{cloud.server.port}/"
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=here)
    eventually(lambda: len(logged(cloud, "f", "GOT")) == 2)


# -- traces and loops --


def in_trace(client: Any, header: str) -> Any:
    def carry(request: Any, **_: Any) -> None:
        del request.headers["X-Amzn-Trace-Id"]
        request.headers["X-Amzn-Trace-Id"] = header

    client.meta.events.register("before-sign.sns.*", carry)
    return client


def test_the_publishers_trace_goes_on_in_queues_and_functions(cloud: Cloud, topic: str) -> None:
    """SetTopicAttributes, TracingConfig: "the topic passes through the tracing header it receives"."""
    header = f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1"
    orders = subscribe(cloud, topic, "q")
    listen(cloud, topic, "f", TELLS)
    in_trace(cloud.client("sns"), header).publish(TopicArn=topic, Message="x")
    assert orders.next()["Attributes"]["AWSTraceHeader"] == header
    [line] = eventually(lambda: logged(cloud, "f", "TRACE"))
    assert f"TRACE {ROOT};" in line


def test_a_function_that_feeds_itself_through_a_topic_is_stopped_after_sixteen_times(
    cloud: Cloud, functions: Any, sns: Any, topic: str
) -> None:
    """Lambda Developer Guide, "Use Lambda recursive loop detection to prevent infinite loops": Amazon SNS is one of the
    services that take part."""
    failed = inbox(cloud, "failed")
    listen(cloud, topic, "round", PUBLISHES, Environment={"Variables": {"TOPIC": topic}})
    functions.put_function_event_invoke_config(
        FunctionName="round", DestinationConfig={"OnFailure": {"Destination": failed.arn}}
    )
    sns.publish(TopicArn=topic, Message="x")
    context = failed.body()["requestContext"]
    assert context["condition"] == "RecursiveInvocation"
    eventually(lambda: len(logged(cloud, "round", "REPORT")) == 16)


def test_a_loop_through_a_topic_and_a_queue_is_one_too(
    cloud: Cloud, functions: Any, sns: Any, topic: str
) -> None:  # fmt: skip
    orders = subscribe(cloud, topic, "q", RawMessageDelivery="true")
    source = PUBLISHES.replace("['Sns']['Message']", "['body']")
    deploy(functions, "round", source, Environment={"Variables": {"TOPIC": topic}})
    functions.create_event_source_mapping(FunctionName="round", EventSourceArn=orders.arn, BatchSize=1)
    sns.publish(TopicArn=topic, Message="x")
    eventually(lambda: "a recursive loop was stopped" in cloud.log.getvalue())
    eventually(lambda: len(logged(cloud, "round", "REPORT")) == 16)


# -- what Lambda tells topics --


def test_a_topic_is_told_how_asynchronous_events_end(cloud: Cloud, functions: Any, topic: str) -> None:
    """Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations"."""
    told = subscribe(cloud, topic, "q", RawMessageDelivery="true")
    deploy(functions, "f", "def handler(event, context):\n    return 1 / event\n")
    functions.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": topic}, "OnFailure": {"Destination": topic}},
    )  # fmt: skip
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b"2")
    record = told.next()["Body"]
    assert (json.loads(record)["requestContext"]["condition"], json.loads(record)["responsePayload"]) == (
        "Success", 0.5,
    )  # fmt: skip
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b"0")
    record = told.next()["Body"]
    assert json.loads(record)["requestContext"]["condition"] == "RetriesExhausted"
    assert json.loads(record)["responsePayload"]["errorType"] == "ZeroDivisionError"


def test_a_topic_may_be_where_dead_letters_go(cloud: Cloud, functions: Any, topic: str) -> None:
    """ "Adding a dead-letter queue": the event itself, and attributes that say what went wrong."""
    told = subscribe(cloud, topic, "q")
    source = "def handler(event, context):\n    raise ValueError('no')\n"
    deploy(functions, "f", source, DeadLetterConfig={"TargetArn": topic})
    functions.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    functions.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"n": 7}')
    found = told.body()
    assert json.loads(found["Message"]) == {"n": 7}
    attributes = found["MessageAttributes"]
    assert attributes["ErrorCode"] == {"Type": "Number", "Value": "200"}
    assert attributes["ErrorMessage"] == {"Type": "String", "Value": "no"}
    assert attributes["RequestID"]["Type"] == "String"


def test_a_topic_is_told_of_batches_that_were_given_up(cloud: Cloud, functions: Any, topic: str) -> None:
    """ "Retain discarded records" of an event source mapping."""
    told = subscribe(cloud, topic, "q")
    kinesis = cloud.client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
    arn = deploy(functions, "f", "def handler(event, context):\n    raise ValueError('no')\n")
    functions.create_event_source_mapping(
        FunctionName="f", EventSourceArn=stream, StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": topic}},
    )  # fmt: skip
    kinesis.put_record(StreamName="s", Data=b"x", PartitionKey="a")
    record = json.loads(told.body()["Message"])
    assert record["requestContext"]["functionArn"] == arn
    assert record["KinesisBatchInfo"]["batchSize"] == 1


def test_a_fifo_topic_is_no_destination(functions: Any, sns: Any) -> None:
    fifo = sns.create_topic(Name="t.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    deploy(functions, "f", KEEPS)
    code, told = refused(
        functions.put_function_event_invoke_config, FunctionName="f",
        DestinationConfig={"OnFailure": {"Destination": fifo}},
    )  # fmt: skip
    assert (code, told) == ("InvalidParameterValueException", f"The destination ARN {fifo} is invalid.")


# -- what became of deliveries --


def status_lines(cloud: Cloud, group: str) -> list[dict[str, Any]]:
    logs, name = cloud.client("logs"), f"sns/{REGION}/{ACCOUNT}/{group}"
    there = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    if all(one["logGroupName"] != name for one in there):
        return []
    events = logs.filter_log_events(logGroupName=name)["events"]
    return [json.loads(event["message"]) for event in events]


def test_a_topic_may_have_its_deliveries_logged(cloud: Cloud, sns: Any, topic: str) -> None:
    """Developer Guide, "Amazon SNS message delivery status"."""
    role = "arn:aws:iam::000000000000:role/logs"
    for name in ("LambdaSuccessFeedbackRoleArn", "SQSFailureFeedbackRoleArn"):
        sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=role)
    listen(cloud, topic, "f", KEEPS)
    gone = f"arn:aws:sqs:{REGION}:{ACCOUNT}:gone"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=gone)
    sent = [sns.publish(TopicArn=topic, Message="x")["MessageId"] for _ in range(2)]
    eventually(lambda: len(status_lines(cloud, "orders")) == 2)
    eventually(lambda: len(status_lines(cloud, "orders/Failure")) == 2)
    good, bad = status_lines(cloud, "orders")[0], status_lines(cloud, "orders/Failure")[0]
    assert good["notification"] == {
        "messageMD5Sum": "9dd4e461268c8034f5c8564e155c67a6", "messageId": good["notification"]["messageId"],
        "topicArn": topic, "timestamp": "2027-01-15 08:00:00.000",
    }  # fmt: skip
    assert {line["notification"]["messageId"] for line in status_lines(cloud, "orders")} == set(sent)
    assert (good["status"], good["delivery"]["statusCode"], good["delivery"]["dwellTimeMs"]) == ("SUCCESS", 202, 0)
    assert good["delivery"]["destination"].endswith(":function:f")
    assert (bad["status"], bad["delivery"]["destination"], bad["delivery"]["attempts"]) == ("FAILURE", gone, 1)


def test_of_successes_as_many_are_logged_as_are_asked_for(cloud: Cloud, sns: Any, topic: str) -> None:
    role = "arn:aws:iam::000000000000:role/logs"
    for name, value in (("SQSSuccessFeedbackRoleArn", role), ("SQSSuccessFeedbackSampleRate", "0")):
        sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
    orders = subscribe(cloud, topic, "q")
    sns.publish(TopicArn=topic, Message="x")
    assert orders.texts(1) == ["x"]
    assert status_lines(cloud, "orders") == []
