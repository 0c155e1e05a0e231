"""The server is killed in the middle of deploys; each stack ends in a state that its user can go on from."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.support.command import Fogbank
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS, AT_MOST = 5, 30  # Rounds go on until a creation and an update were cut, which chance decides.
ENDS_OF_CREATION = ("CREATE_COMPLETE", "ROLLBACK_COMPLETE")
ENDS_OF_UPDATE = ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "CREATE_COMPLETE")
BOTH_CUT = {"ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


def template(delay: int) -> str:
    """With names of its own, which are the trouble: what is left behind would be in the way of the next attempt."""
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "x"}}]}
    resources: dict[str, Any] = {
        "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "things", "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "Tags": [{"Key": "delay", "Value": str(delay)}],
        }},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "worker", "AssumeRolePolicyDocument": trust}},
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/things"}, "DependsOn": "Role"},
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "things"}, "DependsOn": "Table"},
    }  # fmt: skip
    for number in range(12):
        waits = {"DependsOn": f"Queue{number - 1}"} if number % 4 else {}
        properties = {"QueueName": f"things-{number}", "DelaySeconds": delay}
        resources[f"Queue{number}"] = {"Type": "AWS::SQS::Queue", "Properties": properties, **waits}
    return json.dumps({"Resources": resources})


class Killer:
    def __init__(self, folder: Path) -> None:
        self.program, self._chance = Fogbank(folder), random.Random(11)
        self._start()

    def _start(self) -> None:
        self.program.run("start", "--detach")
        self._pid = self.program.json("status")["pid"]
        self.stacks: Any = self.program.client("cloudformation")

    def cut(self, operation: str, **given: Any) -> None:
        """Ask for something, kill the server a moment later, start it again."""
        getattr(self.stacks, operation)(StackName="things", **given)
        time.sleep(self._chance.uniform(0.0, 0.06))  # The moment of the kill is what varies.
        os.kill(self._pid, signal.SIGKILL)
        self._start()

    def settled(self) -> str:
        """The stack's status once nothing is under way; nothing where there is no stack."""
        stacks = self.stacks

        def status() -> str:
            try:
                found = str(stacks.describe_stacks(StackName="things")["Stacks"][0]["StackStatus"])
            except ClientError:
                return "gone"
            return "" if found.endswith("_IN_PROGRESS") else found

        return eventually(status)

    def delete(self) -> None:
        self.stacks.delete_stack(StackName="things")
        assert self.settled() == "gone"


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_a_deploy_that_is_killed_can_be_gone_on_with(tmp_path: Path) -> None:
    killer = Killer(tmp_path)
    seen: set[str] = set()
    options = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}
    try:
        for attempt in range(AT_MOST):
            if attempt >= ROUNDS and seen >= BOTH_CUT:
                break
            killer.cut("create_stack", TemplateBody=template(attempt), **options)
            status = killer.settled()
            seen.add(status)
            assert status in ENDS_OF_CREATION
            if status != "CREATE_COMPLETE":
                killer.delete()
                killer.stacks.create_stack(StackName="things", TemplateBody=template(attempt), **options)
                assert killer.settled() == "CREATE_COMPLETE"
            killer.cut("update_stack", TemplateBody=template(attempt + 100), **options)
            status = killer.settled()
            seen.add(status)
            assert status in ENDS_OF_UPDATE
            killer.stacks.update_stack(StackName="things", TemplateBody=template(attempt + 200), **options)
            assert killer.settled() == "UPDATE_COMPLETE"
            killer.cut("delete_stack")
            assert killer.settled() == "gone"
            assert killer.program.client("dynamodb").list_tables()["TableNames"] == []
            assert killer.program.client("sqs").list_queues().get("QueueUrls", []) == []
            assert killer.program.client("iam").list_roles()["Roles"] == []
            assert killer.program.client("s3").list_buckets()["Buckets"] == []
        assert seen >= BOTH_CUT
    finally:
        killer.program.stop()
