"""What a kill -9 leaves: everything, and what was under way goes on."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.code import ROLE, deploy
from tests.support.command import Fogbank
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOW = "import time\ndef handler(event, context):\n    print('began')\n    time.sleep(event.get('s', 0))\n"
SLOW += "    print('ended')\n"
PASSWORD = "Correct-Horse-1"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Fogbank]:
    running = Fogbank(tmp_path)
    running.run("start", "--detach")
    yield running
    running.stop()


def kill_and_start(program: Fogbank) -> None:
    status = program.json("status")
    os.kill(status["pid"], signal.SIGKILL)
    program.run("start", "--detach", "--port", status["url"].rpartition(":")[2])


def test_messages_keep_their_times_and_receive_counts(program: Fogbank) -> None:
    sqs = program.client("sqs")
    queue = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    for body in ("lent", "waiting"):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    sqs.send_message(QueueUrl=queue, MessageBody="delayed", DelaySeconds=300)
    [lent] = sqs.receive_message(QueueUrl=queue)["Messages"]
    kill_and_start(program)

    def seen() -> dict[str, str]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"]).get("Messages", [])
        return {one["Body"]: one["Attributes"]["ApproximateReceiveCount"] for one in found}

    assert seen() == {"waiting": "1"}
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=lent["ReceiptHandle"], VisibilityTimeout=0)
    assert seen() == {"lent": "2"}
    program.run("clock", "advance", "5m")
    assert seen() == {"lent": "3", "waiting": "2", "delayed": "1"}


def test_users_and_their_tokens_are_as_good_as_before(program: Fogbank) -> None:
    idp = program.client("cognito-idp")
    pool = idp.create_user_pool(PoolName="people")["UserPool"]["Id"]
    client = idp.create_user_pool_client(
        UserPoolId=pool, ClientName="app", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    )["UserPoolClient"]["ClientId"]
    idp.admin_create_user(UserPoolId=pool, Username="ann", MessageAction="SUPPRESS")
    idp.admin_set_user_password(UserPoolId=pool, Username="ann", Password=PASSWORD, Permanent=True)

    def sign_in(flow: str, **given: str) -> Any:
        return idp.initiate_auth(ClientId=client, AuthFlow=flow, AuthParameters=given)["AuthenticationResult"]

    before = sign_in("USER_PASSWORD_AUTH", USERNAME="ann", PASSWORD=PASSWORD)
    kill_and_start(program)
    assert idp.get_user(AccessToken=before["AccessToken"])["Username"] == "ann"  # The keys are the same.
    assert sign_in("REFRESH_TOKEN_AUTH", REFRESH_TOKEN=before["RefreshToken"])["IdToken"]
    assert sign_in("USER_PASSWORD_AUTH", USERNAME="ann", PASSWORD=PASSWORD)["IdToken"]


def test_an_asynchronous_event_that_was_in_work_is_run_again_at_once(program: Fogbank) -> None:
    functions = program.client("lambda")
    deploy(functions, "slow", SLOW, Timeout=600)
    functions.invoke(FunctionName="slow", InvocationType="Event", Payload=json.dumps({"s": 300}))
    functions.invoke(FunctionName="slow", InvocationType="Event", Payload=json.dumps({"s": 300}))
    eventually(lambda: program.run("logs", "slow").stdout.count("began") == 2)
    kill_and_start(program)
    eventually(lambda: program.run("logs", "slow").stdout.count("began") == 4)


def test_a_schedule_goes_on_firing(program: Fogbank) -> None:
    functions, events = program.client("lambda"), program.client("events")
    arn = deploy(functions, "tidy", SLOW)
    functions.add_permission(
        FunctionName="tidy", StatementId="p", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    events.put_rule(Name="daily", ScheduleExpression="rate(1 day)")
    events.put_targets(Rule="daily", Targets=[{"Id": "tidy", "Arn": arn}])
    program.run("clock", "advance", "23h")
    kill_and_start(program)
    program.run("clock", "advance", "1h")
    eventually(lambda: program.run("logs", "tidy").stdout.count("ended") == 1)


def test_a_deploy_that_was_under_way_is_rolled_back_and_can_be_made_again(program: Fogbank) -> None:
    stacks = program.client("cloudformation")
    code = "import time\ntime.sleep(8)\ndef handler(event, context): return 1\n"
    function = {"Code": {"ZipFile": code}, "Handler": "index.handler", "Runtime": "python3.11", "Role": ROLE}
    ready = {"FunctionName": {"Ref": "F"}, "FunctionVersion": {"Fn::GetAtt": ["V", "Version"]}, "Name": "live",
             "ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 1}}  # fmt: skip
    resources = {
        "Q": {"Type": "AWS::SQS::Queue"},
        "F": {"Type": "AWS::Lambda::Function", "Properties": function},
        "V": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "F"}}},
        "A": {"Type": "AWS::Lambda::Alias", "Properties": ready},
    }
    stacks.create_stack(StackName="app", TemplateBody=json.dumps({"Resources": resources}))

    def status() -> str:
        return str(stacks.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"])

    eventually(lambda: "A" in {one["LogicalResourceId"] for one in
                               stacks.describe_stack_resources(StackName="app")["StackResources"]})  # fmt: skip
    assert status() == "CREATE_IN_PROGRESS"
    kill_and_start(program)
    eventually(lambda: status() == "ROLLBACK_COMPLETE")
    reasons = [one.get("ResourceStatusReason", "") for one in
               stacks.describe_stack_events(StackName="app")["StackEvents"]]  # fmt: skip
    assert any("The deploy was interrupted" in reason for reason in reasons)
    assert program.client("lambda").list_functions()["Functions"] == []
    stacks.delete_stack(StackName="app")
    stacks.get_waiter("stack_delete_complete").wait(StackName="app", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    del resources["A"]
    stacks.create_stack(StackName="app", TemplateBody=json.dumps({"Resources": resources}))
    eventually(lambda: status() == "CREATE_COMPLETE")


def test_a_stream_is_read_on_where_it_was_and_only_the_batch_in_work_comes_twice(program: Fogbank) -> None:
    table = program.client("dynamodb")
    stream = table.create_table(
        TableName="items", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )["TableDescription"]["LatestStreamArn"]  # fmt: skip
    functions = program.client("lambda")
    source = "import time\ndef handler(event, context):\n"
    source += "    [one] = [record['dynamodb']['Keys']['id']['S'] for record in event['Records']]\n"
    source += "    print('began', one)\n    time.sleep(4 if one == 'slow' else 0)\n    print('ended', one)\n"
    deploy(functions, "reader", source, Timeout=60)
    functions.create_event_source_mapping(
        FunctionName="reader", EventSourceArn=stream, StartingPosition="TRIM_HORIZON", BatchSize=1
    )
    for name in ("first", "slow", "last"):
        table.put_item(TableName="items", Item={"id": {"S": name}})

    def written() -> str:
        return str(program.run("logs", "reader", ok=None).stdout)

    eventually(lambda: "began slow" in written())
    kill_and_start(program)
    eventually(lambda: "ended last" in written())
    lines = [line for name in ("first", "slow", "last") for line in (f"began {name}", f"ended {name}")]
    assert [written().count(line) for line in lines] == [1, 1, 2, 1, 1, 1]


def test_what_was_published_reaches_its_subscribers(program: Fogbank) -> None:
    """The endpoint does not answer until after the kill; a FIFO topic's messages keep their order."""
    sns, sqs = program.client("sns"), program.client("sqs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    fifo = sns.create_topic(Name="t.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    queue = sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    sns.subscribe(
        TopicArn=fifo, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:q.fifo",
        Attributes={"RawMessageDelivery": "true"},
    )  # fmt: skip
    with Receiver() as hook:
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=hook.url)
        [asked] = eventually(lambda: hook.requests)
        sns.confirm_subscription(TopicArn=topic, Token=json.loads(asked.body)["Token"])
        killed = threading.Event()
        hook.answer = lambda _: 200 if killed.wait(60) else 500
        messages = [sns.publish(TopicArn=topic, Message=str(n))["MessageId"] for n in range(5)]
        eventually(lambda: len(hook.requests) == 6)
        for n in range(20):
            sns.publish(TopicArn=fifo, Message=str(n), MessageGroupId="g", MessageDeduplicationId=str(n))
        kill_and_start(program)
        killed.set()
        # One asked to confirm, five were on their way when the end came; all come again.
        eventually(lambda: len(hook.requests) >= 11)
        assert {one.headers["x-amz-sns-message-id"] for one in hook.requests[6:]} == set(messages)
    found: list[str] = []

    def take() -> bool:
        for one in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            found.append(one["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return len(found) >= 20

    eventually(take)
    assert found == [str(n) for n in range(20)]
