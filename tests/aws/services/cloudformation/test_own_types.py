"""CloudFormation's own types: nested stacks, custom resources, wait conditions."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.support.cloud import Cloud
from tests.support.code import deploy
from tests.support.stacks import QUEUE, Stacks, queue, template
from tests.support.waiting import eventually

RESPONDER = """
import json, urllib.request
import os

def handler(event, context):
    kind, wanted = event["RequestType"], event["ResourceProperties"]
    if wanted.get("Silent") == kind:
        return
    answer = {"Status": "SUCCESS", "PhysicalResourceId": wanted.get("Id", "thing-1"), "StackId": event["StackId"],
              "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"],
              "Data": {"Seen": json.dumps({key: event[key] for key in event if key != "ResponseURL"})}}
    if wanted.get("Fail") == kind:
        answer |= {"Status": "FAILED", "Reason": "no luck"}
    print(kind, event.get("PhysicalResourceId", "-"), json.dumps(wanted))
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
"""


class Custom:
    """A function that answers custom resources, and what it was asked."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.arn = deploy(cloud.client("lambda"), "responder", RESPONDER)

    def body(self, **properties: Any) -> str:
        resource = {"Type": "Custom::Thing", "Properties": {"ServiceToken": self.arn, **properties}}
        seen = {"Value": {"Fn::GetAtt": ["Thing", "Seen"]}}
        return template(Resources={"Thing": resource}, Outputs={"Seen": seen, "Id": {"Value": {"Ref": "Thing"}}})

    def asked(self) -> list[str]:
        """Request type and physical id of each request, as the function has logged it; in the order of the alphabet, as
        the clock stands still."""
        self.cloud.run(self.cloud.server.logs.flush())
        found = self.cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/responder")["events"]
        lines = [event["message"] for event in found]
        return sorted(line.partition(" {")[0] for line in lines if line.startswith(("Create", "Update", "Delete")))


def test_a_custom_resource_is_made_changed_and_deleted_by_its_function(cloud: Cloud, stacks: Stacks) -> None:
    """User Guide, "Custom resource request and response reference"."""
    custom = Custom(cloud)
    stacks.create(custom.body(Size=3, Nested={"On": True}))
    seen = json.loads(stacks.outputs()["Seen"])
    assert (seen["RequestType"], seen["ResourceType"], seen["LogicalResourceId"]) == (
        "Create",
        "Custom::Thing",
        "Thing",
    )
    assert seen["ResourceProperties"] == {"ServiceToken": custom.arn, "Size": "3", "Nested": {"On": "true"}}
    assert stacks.outputs()["Id"] == "thing-1"
    stacks.update(custom.body(Size=4))
    seen = json.loads(stacks.outputs()["Seen"])
    assert (seen["RequestType"], seen["PhysicalResourceId"]) == ("Update", "thing-1")
    assert seen["OldResourceProperties"]["Size"] == "3" and seen["ResourceProperties"]["Size"] == "4"
    stacks.delete()
    eventually(lambda: custom.asked() == ["Create -", "Delete thing-1", "Update thing-1"])


PYTHON = """
import cfnresponse
def handler(event, context):
    got = event["ResourceProperties"]["Want"]
    cfnresponse.send(event, context, cfnresponse.SUCCESS, {"Got": got}, "phys")
"""
NODE = """
const response = require('cfn-response');
exports.handler = (event, context) => {
  response.send(event, context, response.SUCCESS, { Got: event.ResourceProperties.Want }, 'phys');
};
"""
NODE_BY_HAND = """
const https = require('https');
exports.handler = (event) => new Promise((resolve, reject) => {
  const { StackId, RequestId, LogicalResourceId } = event;
  const told = { Status: 'SUCCESS', PhysicalResourceId: 'phys', Data: { Got: event.ResourceProperties.Want } };
  const body = JSON.stringify({ ...told, StackId, RequestId, LogicalResourceId });
  const url = new URL(event.ResponseURL);
  const options = { hostname: url.hostname, port: 443, path: url.pathname + url.search, method: 'PUT',
    headers: { 'content-type': '', 'content-length': body.length } };
  https.request(options, resolve).on('error', reject).end(body);
});
"""


@pytest.mark.parametrize(
    ("runtime", "source"),
    [("python3.11", PYTHON), ("nodejs22.x", NODE), ("nodejs22.x", NODE_BY_HAND)],
    ids=["cfnresponse", "cfn-response", "by hand on port 443"],
)
def test_helpers_that_answer_custom_resources_work(stacks: Stacks, runtime: str, source: str) -> None:
    """User Guide, "cfn-response module"."""
    function = {"Type": "AWS::Lambda::Function", "Properties": {
        "Runtime": runtime, "Handler": "index.handler", "Role": "arn:aws:iam::000000000000:role/any",
        "Code": {"ZipFile": source},
    }}  # fmt: skip
    thing = {
        "Type": "AWS::CloudFormation::CustomResource",
        "Properties": {"ServiceToken": {"Fn::GetAtt": ["F", "Arn"]}, "Want": "this"},
    }
    body = template(Resources={"F": function, "T": thing}, Outputs={"Got": {"Value": {"Fn::GetAtt": ["T", "Got"]}}})
    stacks.create(body)
    assert stacks.outputs() == {"Got": "this"}
    stacks.delete()


def test_a_custom_resource_that_changes_its_id_is_a_replacement(cloud: Cloud, stacks: Stacks) -> None:
    """User Guide, "Custom resource response objects", PhysicalResourceId."""
    custom = Custom(cloud)
    stacks.create(custom.body())
    stacks.update(custom.body(Id="thing-2"))
    assert stacks.ids() == {"Thing": "thing-2"}
    eventually(lambda: custom.asked() == ["Create -", "Delete thing-1", "Update thing-1"])


def test_a_custom_resource_that_fails_says_why_and_is_told_to_go(cloud: Cloud, stacks: Stacks) -> None:
    custom = Custom(cloud)
    stacks.create(custom.body(Fail="Create"), ends="ROLLBACK_COMPLETE")
    assert any("Received response status [FAILED] from custom resource. Message returned: no luck" in reason
               for reason in stacks.reasons())  # fmt: skip
    eventually(lambda: custom.asked() == ["Create -", "Delete thing-1"])


def test_a_custom_resource_that_fails_to_change_is_changed_back(cloud: Cloud, stacks: Stacks) -> None:
    custom = Custom(cloud)
    stacks.create(custom.body(Size=1))
    stacks.update(custom.body(Size=2, Fail="Update"), ends="UPDATE_ROLLBACK_COMPLETE")
    eventually(lambda: custom.asked() == ["Create -", "Update thing-1", "Update thing-1"])


def test_a_custom_resource_whose_function_never_answers_fails_in_an_hour(cloud: Cloud, stacks: Stacks) -> None:
    """AWS::CloudFormation::CustomResource, ServiceTimeout: "The default value is 3600 seconds"."""
    custom = Custom(cloud)
    stacks.client.create_stack(StackName="app", TemplateBody=custom.body(Silent="Create"))
    eventually(lambda: cloud.client("logs").describe_log_groups()["logGroups"])
    assert stacks.described()["StackStatus"] == "CREATE_IN_PROGRESS"
    cloud.advance(seconds=3601)
    stacks.ended("app", "ROLLBACK_COMPLETE")
    assert any("did not receive a response from your Custom Resource" in reason for reason in stacks.reasons())


def test_nobody_can_answer_for_a_function_without_the_url_it_was_given(cloud: Cloud, stacks: Stacks) -> None:
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    stacks.create(template(Resources={"Handle": handle}, Outputs={"Url": {"Value": {"Ref": "Handle"}}}))
    url = stacks.outputs()["Url"].partition("Signature=")[0] + "Signature=guess"
    request = urllib.request.Request(url, b"{}", method="PUT")
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        assert error.code == 403
    else:
        raise AssertionError("it was let in")


def test_what_else_is_in_the_making_is_not_waited_for_once_something_fails(cloud: Cloud, stacks: Stacks) -> None:
    custom = Custom(cloud)
    silent = {"Type": "Custom::Thing", "Properties": {"ServiceToken": custom.arn, "Silent": "Create"}}
    stacks.create(template(Resources={"Thing": silent, "Bad": queue(DelaySeconds=901)}), ends="ROLLBACK_COMPLETE")
    assert "Resource creation cancelled" in stacks.reasons()


def waiting(count: int = 2) -> str:
    condition = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "600", "Count": count},
    }
    return template(
        Resources={"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}, "Condition": condition},
        Outputs={"Data": {"Value": {"Fn::GetAtt": ["Condition", "Data"]}}},
    )


def signal(url: str, **told: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(told).encode(), method="PUT"))


def test_a_wait_condition_waits_for_its_signals(stacks: Stacks) -> None:
    """User Guide, "Create wait conditions in a CloudFormation template"."""
    stacks.client.create_stack(StackName="app", TemplateBody=waiting())
    url = eventually(lambda: stacks.ids().get("Handle"))
    signal(url, Status="SUCCESS", UniqueId="1", Data="one", Reason="ready")
    signal(url, Status="SUCCESS", UniqueId="1", Data="one", Reason="again")
    assert stacks.described()["StackStatus"] == "CREATE_IN_PROGRESS"
    signal(url, Status="SUCCESS", UniqueId="2", Data="two", Reason="ready")
    stacks.ended("app", "CREATE_COMPLETE")
    assert json.loads(stacks.outputs()["Data"]) == {"1": "one", "2": "two"}


def test_a_wait_condition_times_out(cloud: Cloud, stacks: Stacks) -> None:
    stacks.client.create_stack(StackName="app", TemplateBody=waiting())
    eventually(lambda: ("Condition", "CREATE_IN_PROGRESS") in stacks.events())

    def over() -> bool:
        cloud.advance(seconds=601)  # As often as needed: its time may have begun after the last step.
        return not stacks.described()["StackStatus"].endswith("_IN_PROGRESS")

    eventually(over)
    stacks.ended("app", "ROLLBACK_COMPLETE")
    assert any("WaitCondition timed out. Received 0 conditions when expecting 2" in one for one in stacks.reasons())


class Nested:
    """A template in a bucket, and one whose only resource it is."""

    def __init__(self, cloud: Cloud) -> None:
        self.s3 = cloud.client("s3")
        self.s3.create_bucket(Bucket="templates")

    def put(self, **sections: Any) -> None:
        self.s3.put_object(Bucket="templates", Key="child.json", Body=template(**sections).encode())

    def body(self, **resources: Any) -> str:
        child = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": "https://s3.amazonaws.com/templates/child.json", "Parameters": {"Delay": 7}},
        }
        return template(
            Resources={"Child": child, **resources},
            Outputs={"Url": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Url"]}}},
        )


def child(**properties: Any) -> dict[str, Any]:
    return {
        "Parameters": {"Delay": {"Type": "Number"}},
        "Resources": {"Q": queue(DelaySeconds={"Ref": "Delay"}, **properties)},
        "Outputs": {"Url": {"Value": {"Ref": "Q"}}},
    }


def test_a_nested_stack_is_made_changed_and_deleted_with_its_parent(cloud: Cloud, stacks: Stacks) -> None:
    """User Guide, "Split a template into reusable pieces using nested stacks"."""
    nested, sqs = Nested(cloud), cloud.client("sqs")
    nested.put(**child())
    parent = stacks.create(nested.body())
    child_id = stacks.ids()["Child"]
    assert stacks.described(child_id)["ParentId"] == stacks.described(child_id)["RootId"] == parent["StackId"]
    url = stacks.outputs()["Url"]
    names = ["DelaySeconds", "VisibilityTimeout"]
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["DelaySeconds"] == "7"
    nested.put(**child(VisibilityTimeout=9))  # The same address, another content: any update of the parent looks.
    stacks.update(nested.body(More=QUEUE))
    assert stacks.ids()["Child"] == child_id
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["VisibilityTimeout"] == "9"
    stacks.delete()
    assert stacks.described(child_id)["StackStatus"] == "DELETE_COMPLETE"
    assert "QueueUrls" not in sqs.list_queues()


def test_a_nested_stack_that_fails_takes_its_parent_back_and_says_why(cloud: Cloud, stacks: Stacks) -> None:
    nested = Nested(cloud)
    nested.put(**child(VisibilityTimeout=99_999))
    stacks.create(nested.body(), ends="ROLLBACK_COMPLETE")
    assert any("was not successfully created: The following resource(s) failed to create: [Q]." in reason
               for reason in stacks.reasons())  # fmt: skip
    assert "QueueUrls" not in cloud.client("sqs").list_queues()
    living = [s for s in stacks.client.list_stacks()["StackSummaries"] if s["StackStatus"] != "DELETE_COMPLETE"]
    assert [one["StackName"] for one in living] == ["app"]


def test_an_update_that_fails_takes_a_nested_stack_back_too(cloud: Cloud, stacks: Stacks) -> None:
    nested = Nested(cloud)
    nested.put(**child())
    stacks.create(nested.body())
    child_id = stacks.ids()["Child"]
    nested.put(**child(VisibilityTimeout=99_999))
    stacks.update(nested.body(More=QUEUE), ends="UPDATE_ROLLBACK_COMPLETE")
    assert stacks.described(child_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_an_update_that_fails_elsewhere_gives_a_nested_stack_the_template_it_had(cloud: Cloud, stacks: Stacks) -> None:
    nested, sqs = Nested(cloud), cloud.client("sqs")
    nested.put(**child())
    stacks.create(nested.body())
    nested.put(**child(VisibilityTimeout=9))
    bad = {**queue(DelaySeconds=901), "DependsOn": "Child"}
    stacks.update(nested.body(Bad=bad), ends="UPDATE_ROLLBACK_COMPLETE")
    attributes = sqs.get_queue_attributes(QueueUrl=stacks.outputs()["Url"], AttributeNames=["VisibilityTimeout"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "30"


def test_a_nested_stack_in_the_making_is_deleted_when_its_parent_is(cloud: Cloud, stacks: Stacks) -> None:
    nested = Nested(cloud)
    nested.put(**{**json.loads(waiting()), "Parameters": {"Delay": {"Type": "Number"}}, "Outputs": {}})
    stacks.client.create_stack(StackName="app", TemplateBody=nested.body())
    eventually(lambda: len(stacks.client.list_stacks()["StackSummaries"]) == 2)
    stacks.delete()
    assert {one["StackStatus"] for one in stacks.client.list_stacks()["StackSummaries"]} == {"DELETE_COMPLETE"}
