"""A prepared app → a stack that runs: bundles uploaded, a change set made and executed, its events followed.

The same calls that `sam deploy` makes, through a `Cloud` that answers them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fogbank.deploy.prepare import Prepared

_POLL_S = 0.03
_BODY_BYTES_MAX = 51_200  # CloudFormation quotas: "Template body size in a request".
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


class ReleaseError(Exception):
    """The stack could not be brought to what the template says; the message gives the service's reasons."""


class Cloud(Protocol):
    def ask(self, service: str, operation: str, **request: Any) -> dict[str, Any]: ...
    def upload(self, bucket: str, key: str, content: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Release:
    stack: str
    changed: bool
    outputs: dict[str, str]


def release(
    cloud: Cloud, stack: str, prepared: Prepared, bucket: str, parameters: dict[str, str],
    on_event: Callable[[dict[str, Any]], None],
) -> Release:  # fmt: skip
    """Deploy; `on_event` is given each stack event as it happens. Raises `ReleaseError`."""
    _upload(cloud, bucket, prepared.bundles)
    changed = _deploy(cloud, stack, prepared, bucket, parameters, on_event)
    described = _describe(cloud, stack) or {}
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    return Release(stack, changed, outputs)


def functions(cloud: Cloud, stack: str) -> dict[str, str]:
    """Those of a stack: their names by their logical ids."""
    found = cloud.ask("cloudformation", "DescribeStackResources", StackName=stack)["StackResources"]
    kind = "AWS::Lambda::Function"
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found if one["ResourceType"] == kind}


def _upload(cloud: Cloud, bucket: str, bundles: dict[str, bytes]) -> None:
    """The keys are digests: what is there already is the same."""
    cloud.ask("s3", "CreateBucket", Bucket=bucket)
    there = {item["Key"] for item in cloud.ask("s3", "ListObjectsV2", Bucket=bucket).get("Contents", [])}
    for key in bundles.keys() - there:
        cloud.upload(bucket, key, bundles[key])


def _deploy(
    cloud: Cloud, stack: str, prepared: Prepared, bucket: str, parameters: dict[str, str],
    on_event: Callable[[dict[str, Any]], None],
) -> bool:  # fmt: skip
    found = _settled(cloud, stack)
    if found and found["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED"):
        _delete(cloud, stack)  # It never ran, and cannot be updated.
        found = None
    creates = found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS"
    request = {
        "StackName": stack,
        "ChangeSetName": f"fogbank-{time.time_ns():x}",
        "ChangeSetType": "CREATE" if creates else "UPDATE",
        "Capabilities": _CAPABILITIES,
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        **_template(cloud, bucket, prepared.template),
    }
    change_set = cloud.ask("cloudformation", "CreateChangeSet", **request)["Id"]
    if not _await_change_set(cloud, change_set):
        return False
    seen = {event["EventId"] for event in _events(cloud, stack)}
    cloud.ask("cloudformation", "ExecuteChangeSet", ChangeSetName=change_set)
    _follow(cloud, stack, seen, on_event)
    return True


def _template(cloud: Cloud, bucket: str, template: dict[str, Any]) -> dict[str, str]:
    body = orjson.dumps(template)
    if len(body) <= _BODY_BYTES_MAX:
        return {"TemplateBody": body.decode()}
    cloud.upload(bucket, "template.json", body)
    return {"TemplateURL": f"https://s3.amazonaws.com/{bucket}/template.json"}


def _await_change_set(cloud: Cloud, change_set: str) -> bool:
    """True when it can be executed, False when it would change nothing."""
    while True:
        described = cloud.ask("cloudformation", "DescribeChangeSet", ChangeSetName=change_set)
        if described["Status"] == "CREATE_COMPLETE":
            return True
        if described["Status"] == "FAILED":
            reason = described.get("StatusReason", "no reason given")
            cloud.ask("cloudformation", "DeleteChangeSet", ChangeSetName=change_set)
            if any(words in reason for words in _NO_CHANGES):
                return False
            raise ReleaseError(reason)
        time.sleep(_POLL_S)


def _follow(cloud: Cloud, stack: str, seen: set[str], on_event: Callable[[dict[str, Any]], None]) -> None:
    failures: list[str] = []
    why = ""
    while True:
        found = _describe(cloud, stack)  # Before the events: once it has ended, they are all there.
        status = found["StackStatus"] if found else "DELETE_COMPLETE"
        for event in reversed(list(_events(cloud, stack))):
            if event["EventId"] not in seen:
                seen.add(event["EventId"])
                on_event(event)
                if event["LogicalResourceId"] == stack:
                    why = event.get("ResourceStatusReason") or why
                elif event["ResourceStatus"].endswith("_FAILED"):
                    failures.append(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'failed')}")
        if not status.endswith("_IN_PROGRESS"):
            break
        time.sleep(_POLL_S)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        why = why.removesuffix("Rollback requested by user.").strip()
        told = "; ".join(failures) or why or f"the stack ended as {status}"
        raise ReleaseError(" ".join(told.splitlines()))


def _events(cloud: Cloud, stack: str) -> Iterator[dict[str, Any]]:
    """The newest first."""
    request: dict[str, str] = {}
    while True:
        page = cloud.ask("cloudformation", "DescribeStackEvents", StackName=stack, **request)
        yield from page.get("StackEvents", [])
        if not page.get("NextToken"):
            return
        request = {"NextToken": page["NextToken"]}


def _describe(cloud: Cloud, stack: str) -> dict[str, Any] | None:
    """None where there is no stack of this name; asking for it by name would be an error then."""
    request: dict[str, str] = {}
    while True:
        page = cloud.ask("cloudformation", "DescribeStacks", **request)
        for described in page["Stacks"]:
            if described["StackName"] == stack:
                return dict(described)
        if not page.get("NextToken"):
            return None
        request = {"NextToken": page["NextToken"]}


def _settled(cloud: Cloud, stack: str) -> dict[str, Any] | None:
    """The stack once nothing is under way for it: what a crash has cut is rolled back at the next start."""
    while True:
        found = _describe(cloud, stack)
        status = found["StackStatus"] if found else ""
        if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
            return found
        time.sleep(_POLL_S)


def _delete(cloud: Cloud, stack: str) -> None:
    cloud.ask("cloudformation", "DeleteStack", StackName=stack)
    left = _settled(cloud, stack)
    if left is not None:
        reason = left.get("StackStatusReason", left["StackStatus"])
        raise ReleaseError(f"what an earlier attempt has left cannot be deleted: {reason}")
