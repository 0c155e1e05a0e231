"""Stacks made, changed and looked at in a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

QUEUE: dict[str, Any] = {"Type": "AWS::SQS::Queue"}


def template(**sections: Any) -> str:
    return json.dumps(sections)


def queue(**properties: Any) -> dict[str, Any]:
    return {**QUEUE, "Properties": properties}


class Stacks:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.client = cloud, cloud.client("cloudformation")

    def create(self, body: str, name: str = "app", ends: str = "CREATE_COMPLETE", **options: Any) -> dict[str, Any]:
        self.client.create_stack(StackName=name, TemplateBody=body, **options)
        return self.ended(name, ends)

    def update(self, body: str, name: str = "app", ends: str = "UPDATE_COMPLETE", **options: Any) -> dict[str, Any]:
        self.client.update_stack(StackName=name, TemplateBody=body, **options)
        return self.ended(name, ends)

    def delete(self, name: str = "app", **options: Any) -> None:
        stack_id = self.described(name)["StackId"]
        self.client.delete_stack(StackName=name, **options)
        self.ended(stack_id, "DELETE_COMPLETE")

    def described(self, name: str = "app") -> dict[str, Any]:
        return dict(self.client.describe_stacks(StackName=name)["Stacks"][0])

    def ended(self, name: str, status: str) -> dict[str, Any]:
        eventually(lambda: not self.described(name)["StackStatus"].endswith("_IN_PROGRESS"))
        found = self.described(name)
        assert found["StackStatus"] == status, self.reasons(name)
        return found

    def outputs(self, name: str = "app") -> dict[str, str]:
        return {one["OutputKey"]: one["OutputValue"] for one in self.described(name).get("Outputs", [])}

    def ids(self, name: str = "app") -> dict[str, str]:
        rows = self.client.describe_stack_resources(StackName=name)["StackResources"]
        return {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}

    def events(self, name: str = "app") -> list[tuple[str, str]]:
        """(logical id, status), the oldest first."""
        found = self.client.describe_stack_events(StackName=name)["StackEvents"]
        return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(found)]

    def reasons(self, name: str = "app") -> list[str]:
        found = self.client.describe_stack_events(StackName=name)["StackEvents"]
        return [event["ResourceStatusReason"] for event in reversed(found) if "ResourceStatusReason" in event]
