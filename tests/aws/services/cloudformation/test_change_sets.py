"""Change sets: what would happen, before it does."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.stacks import QUEUE, Stacks, queue, template


def changes(stacks: Stacks, body: str, **options: Any) -> dict[str, dict[str, Any]]:
    made = stacks.client.create_change_set(StackName="app", ChangeSetName="next", TemplateBody=body, **options)
    found = stacks.client.describe_change_set(ChangeSetName=made["Id"])
    return {one["ResourceChange"]["LogicalResourceId"]: one["ResourceChange"] for one in found["Changes"]}


def parameters(**values: str) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def test_a_change_of_a_parameter_is_a_change_of_what_refers_to_it(stacks: Stacks) -> None:
    """API reference, ResourceChangeDetail, ChangeSource: ParameterReference."""
    body = template(
        Parameters={"Delay": {"Type": "Number"}}, Resources={"Q": queue(DelaySeconds={"Ref": "Delay"}), "R": QUEUE}
    )
    stacks.create(body, Parameters=parameters(Delay="1"))
    found = changes(stacks, body, Parameters=parameters(Delay="2"))
    assert found.keys() == {"Q"}
    [detail] = found["Q"]["Details"]
    assert (detail["ChangeSource"], detail["CausingEntity"]) == ("ParameterReference", "Delay")
    assert (detail["Target"]["BeforeValue"], detail["Target"]["AfterValue"]) == ("1", "2")


def test_what_refers_to_a_resource_that_is_replaced_changes_too(stacks: Stacks) -> None:
    """ChangeSource: ResourceAttribute; Evaluation: Dynamic."""

    def body(name: str) -> str:
        target = {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 3}
        return template(Resources={"Dead": queue(QueueName=name), "Q": queue(RedrivePolicy=target)})

    stacks.create(body("one"))
    found = changes(stacks, body("two"))
    assert (found["Dead"]["Replacement"], found["Q"]["Replacement"]) == ("True", "False")
    assert (found["Q"]["Details"][0]["Evaluation"], found["Q"]["Details"][0]["CausingEntity"]) == (
        "Dynamic",
        "Dead.Arn",
    )


def test_what_a_condition_brings_in_or_leaves_out_is_added_or_removed(stacks: Stacks) -> None:
    body = template(
        Parameters={"On": {"Type": "String"}}, Conditions={"IsOn": {"Fn::Equals": [{"Ref": "On"}, "yes"]}},
        Resources={"A": {**QUEUE, "Condition": "IsOn"}, "B": QUEUE},
    )  # fmt: skip
    stacks.create(body, Parameters=parameters(On="no"))
    assert [one["Action"] for one in changes(stacks, body, Parameters=parameters(On="yes")).values()] == ["Add"]
    stacks.client.execute_change_set(StackName="app", ChangeSetName="next")
    stacks.ended("app", "UPDATE_COMPLETE")
    stacks.client.delete_change_set(StackName="app", ChangeSetName="next")
    assert [one["Action"] for one in changes(stacks, body, Parameters=parameters(On="no")).values()] == ["Remove"]


def test_a_change_set_that_was_made_for_another_state_of_the_stack_is_gone(stacks: Stacks) -> None:
    """ExecuteChangeSet: "CloudFormation deletes all other change sets associated with the stack"."""
    stacks.create(template(Resources={"Q": QUEUE}))
    for name, delay in (("one", 1), ("two", 2)):
        body = template(Resources={"Q": queue(DelaySeconds=delay)})
        stacks.client.create_change_set(StackName="app", ChangeSetName=name, TemplateBody=body)
    stacks.client.execute_change_set(StackName="app", ChangeSetName="one")
    stacks.ended("app", "UPDATE_COMPLETE")
    with pytest.raises(ClientError, match=r"ChangeSet \[two\] does not exist"):
        stacks.client.execute_change_set(StackName="app", ChangeSetName="two")


def test_a_change_set_is_executed_once(stacks: Stacks) -> None:
    body = template(Resources={"Q": QUEUE})
    made = stacks.client.create_change_set(
        StackName="app", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=body
    )
    stacks.client.execute_change_set(ChangeSetName=made["Id"])
    stacks.ended("app", "CREATE_COMPLETE")
    with pytest.raises(ClientError) as refused:
        stacks.client.execute_change_set(ChangeSetName=made["Id"])
    assert refused.value.response["Error"]["Code"] == "InvalidChangeSetStatus"


def test_after_a_direct_update_older_change_sets_cannot_be_executed(stacks: Stacks) -> None:
    """User Guide, "Execute a change set": changed by an update, a stack invalidates its change sets."""
    stacks.create(template(Resources={"Q": QUEUE}))
    body = template(Resources={"Q": queue(DelaySeconds=1)})
    stacks.client.create_change_set(StackName="app", ChangeSetName="old", TemplateBody=body)
    stacks.update(template(Resources={"Q": queue(DelaySeconds=2)}))
    with pytest.raises(ClientError, match=r"cannot be executed in its current execution status of \[OBSOLETE\]"):
        stacks.client.execute_change_set(StackName="app", ChangeSetName="old")
