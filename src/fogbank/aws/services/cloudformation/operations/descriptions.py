"""Stacks as they are shown: described, listed, with their events, resources, templates, exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Call, Operations
from fogbank.aws.services.cloudformation import requests
from fogbank.aws.services.cloudformation.requests import refused
from fogbank.aws.services.cloudformation.state import find
from fogbank.aws.stacks import plan, records, transforms
from fogbank.aws.stacks.records import Event, Stack, Wanted
from fogbank.aws.stacks.resource import find as find_type
from fogbank.aws.stacks.template import TemplateError, parse

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PAGE = 100
_UNCHECKED = {"StackResourceDriftStatus": "NOT_CHECKED"}


class Descriptions(Operations):
    service: ClassVar = "cloudformation"

    def describe_stacks(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if "StackName" in request:
            return {"Stacks": [described(find(tx, call, request["StackName"], deleted=True))]}
        every = records.STACKS.all(tx)
        own = [
            s for s in every if (s.account, s.region) == (call.account, call.region) and s.status != "DELETE_COMPLETE"
        ]
        return {"Stacks": [described(stack) for stack in own]}

    def list_stacks(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        wanted = set(request.get("StackStatusFilter", ()))
        own = [s for s in records.STACKS.all(tx) if (s.account, s.region) == (call.account, call.region)]
        return {"StackSummaries": [_summary(stack) for stack in own if not wanted or stack.status in wanted]}

    def describe_stack_events(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack = find(tx, call, request["StackName"], deleted=True)
        after = records.EVENTS.key(stack.id, request["NextToken"]) if "NextToken" in request else None
        page = list(records.EVENTS.scan(tx, stack.id, after=after, limit=_PAGE, reverse=True))
        shown = [_event(stack, event) for _, event in page]
        return {"StackEvents": shown, **({"NextToken": page[-1][1].id} if len(page) == _PAGE else {})}

    def describe_stack_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack = find(tx, call, request["StackName"], deleted=True)
        row = records.RESOURCES.get(tx, stack.id, request["LogicalResourceId"])
        if row is None:
            raise refused(f"Resource {request['LogicalResourceId']} does not exist for stack {stack.name}")
        resources = _current(stack).template.get("Resources", {})
        metadata = resources.get(row.logical_id, {}).get("Metadata", {})
        shown = _resource(stack, row, "LastUpdatedTimestamp")
        return {
            "StackResourceDetail": {
                **shown,
                "Metadata": orjson.dumps(metadata).decode(),
                "DriftInformation": _UNCHECKED,
            }
        }

    def describe_stack_resources(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack = self._by_name_or_physical_id(tx, call, request)
        wanted = request.get("LogicalResourceId")
        rows = [row for row in records.RESOURCES.all(tx, stack.id) if wanted in (None, row.logical_id)]
        return {"StackResources": [_resource(stack, row, "Timestamp") for row in rows]}

    def list_stack_resources(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack = find(tx, call, request["StackName"], deleted=True)
        rows = [_resource(stack, row, "LastUpdatedTimestamp") for row in records.RESOURCES.all(tx, stack.id)]
        return {"StackResourceSummaries": [{**row, "DriftInformation": _UNCHECKED} for row in rows]}

    def get_template(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        wanted = _current(find(tx, call, request["StackName"], deleted=True))
        processed = request.get("TemplateStage") == "Processed"
        text = orjson.dumps(wanted.template).decode() if processed else wanted.body
        return {"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]}

    async def get_template_summary(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if "StackName" in request:
            text = _current(await self.house.store.transact(find, call, request["StackName"])).body
        else:
            text = await requests.body(self.house, call, request)
        try:
            return _template_summary(parse(text))
        except TemplateError as error:
            raise refused(str(error)) from error

    async def validate_template(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        text = await requests.body(self.house, call, request)
        try:
            document = parse(text)
            if not transforms.names(document):
                plan.check(document, lambda name: find_type(self.house.resource_types, name) is not None)
                plan.order(plan.depends(document, document["Resources"]))
        except TemplateError as error:
            raise refused(str(error)) from error
        shown = _template_summary(document)
        shown["Parameters"] = [
            {
                "ParameterKey": one["ParameterKey"],
                "NoEcho": one["NoEcho"],
                **({"DefaultValue": one["DefaultValue"]} if "DefaultValue" in one else {}),
            }
            for one in shown["Parameters"]
        ]
        known = ("Parameters", "Description", "Capabilities", "CapabilitiesReason", "DeclaredTransforms")
        return {name: value for name, value in shown.items() if name in known}

    def list_exports(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rows = records.EXPORTS.scan(tx, call.account, call.region)
        shown = [
            {
                "Name": str(key[-1]),
                "Value": value,
                "ExportingStackId": records.EXPORTERS.get(tx, call.account, call.region, str(key[-1])),
            }
            for key, value in rows
        ]
        return {"Exports": shown}

    def list_imports(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ExportName"]
        if records.EXPORTS.get(tx, call.account, call.region, name) is None:
            raise refused(f"Export '{name}' does not exist.")
        users = records.IMPORTS.all(tx, call.account, call.region, name)
        if not users:
            raise refused(f"Export '{name}' is not imported by any stack.")
        return {"Imports": users}

    def _by_name_or_physical_id(self, tx: Tx, call: Call, request: dict[str, Any]) -> Stack:
        if "StackName" in request:
            return find(tx, call, request["StackName"], deleted=True)
        wanted = request.get("PhysicalResourceId")
        for stack in records.STACKS.all(tx):
            if any(row.physical_id == wanted for row in records.RESOURCES.all(tx, stack.id)):
                return stack
        raise refused(f"Stack for {wanted} does not exist")


def _current(stack: Stack) -> Wanted:
    wanted = stack.current or stack.target
    if wanted is None:
        raise refused(f"Stack with id {stack.name} does not exist")
    return wanted


def described(stack: Stack) -> dict[str, Any]:
    wanted = stack.target or stack.current
    shown: dict[str, Any] = {
        "StackId": stack.id,
        "StackName": stack.name,
        "CreationTime": stack.created_ms / 1000,
        "StackStatus": stack.status,
        "RollbackConfiguration": {},
        "DisableRollback": bool(wanted and wanted.disable_rollback),
        "NotificationARNs": [],
        "Tags": [{"Key": k, "Value": v} for k, v in (wanted.tags if wanted else {}).items()],
        "EnableTerminationProtection": stack.protected,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        "Outputs": stack.outputs,
    }
    if wanted is not None:
        shown["Description"] = wanted.template.get("Description")
        shown["Capabilities"] = wanted.capabilities
        shown["Parameters"] = [
            {
                "ParameterKey": name,
                "ParameterValue": "****" if name in wanted.hidden else value,
                **({"ResolvedValue": wanted.fetched[name]} if name in wanted.fetched else {}),
            }
            for name, value in wanted.parameters.items()
        ]
    optional = {"StackStatusReason": stack.reason or None, "LastUpdatedTime": stack.updated_ms / 1000 or None,
                "DeletionTime": stack.deleted_ms / 1000 or None, "RoleARN": stack.role or None,
                "ParentId": stack.parent or None, "RootId": stack.root or None}  # fmt: skip
    return shown | {name: value for name, value in optional.items() if value is not None}


def _summary(stack: Stack) -> dict[str, Any]:
    full = described(stack)
    hidden = ("RollbackConfiguration", "DisableRollback", "NotificationARNs", "Tags", "EnableTerminationProtection",
              "Outputs", "Description", "Capabilities", "Parameters", "RoleARN")  # fmt: skip
    shown = {name: value for name, value in full.items() if name not in hidden}
    return shown | ({"TemplateDescription": full["Description"]} if full.get("Description") else {})


def _event(stack: Stack, event: Event) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "StackId": stack.id,
        "EventId": event.id,
        "StackName": stack.name,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.type,
        "Timestamp": event.at_ms / 1000,
        "ResourceStatus": event.status,
    }
    optional = {
        "ResourceStatusReason": event.reason,
        "ResourceProperties": event.properties,
        "ClientRequestToken": event.token,
    }
    return shown | {name: value for name, value in optional.items() if value}


def _resource(stack: Stack, row: records.Resource, time_name: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "LogicalResourceId": row.logical_id,
        "PhysicalResourceId": row.physical_id,
        "ResourceType": row.type,
        time_name: row.modified_ms / 1000,
        "ResourceStatus": row.status,
        "StackName": stack.name,
        "StackId": stack.id,
    }
    return shown | ({"ResourceStatusReason": row.reason} if row.reason else {})


def _template_summary(document: dict[str, Any]) -> dict[str, Any]:
    resources = document.get("Resources") or {}
    types = sorted({str(one.get("Type")) for one in resources.values() if isinstance(one, dict)})
    names = transforms.names(document)
    shown: dict[str, Any] = {
        "Parameters": [_parameter(name, facts) for name, facts in (document.get("Parameters") or {}).items()],
        "Description": document.get("Description"),
        "ResourceTypes": types,
        "Version": document.get("AWSTemplateFormatVersion"),
        "DeclaredTransforms": names,
    }
    if names:
        shown["Capabilities"] = ["CAPABILITY_AUTO_EXPAND"]
        shown["CapabilitiesReason"] = f"The following resource(s) require capabilities: [{', '.join(names)}]"
    return shown


def _parameter(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "ParameterKey": name,
        "ParameterType": facts.get("Type", "String"),
        "NoEcho": str(facts.get("NoEcho", "")).lower() == "true",
        "ParameterConstraints": {"AllowedValues": [str(value) for value in facts.get("AllowedValues", [])]},
    }
    optional = {"DefaultValue": facts.get("Default"), "Description": facts.get("Description")}
    return shown | {name: str(value) for name, value in optional.items() if value is not None}
