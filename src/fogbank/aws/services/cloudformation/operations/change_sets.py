"""Change sets: what a deploy would do, looked at first and executed then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.cloudformation import changes, requests, state
from fogbank.aws.services.cloudformation.requests import refused
from fogbank.aws.stacks import records
from fogbank.aws.stacks.deployer import Deployer
from fogbank.aws.stacks.records import ChangeSet, Stack, Wanted
from fogbank.aws.stacks.template import TemplateError

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


class ChangeSets(Operations):
    service: ClassVar = "cloudformation"

    async def create_change_set(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Answers once it is worked out; a transform that fails makes a FAILED change set, not an error."""
        name, kind = request["StackName"], request.get("ChangeSetType", "UPDATE")
        if kind == "IMPORT":
            raise refused("Change sets of type IMPORT are not served here.")
        before = await self.house.store.transact(records.living, call.account, call.region, _short(name))
        if kind == "UPDATE" and (before is None or before.status == "REVIEW_IN_PROGRESS"):
            raise refused(f"Stack [{name}] does not exist")
        if before is not None and kind == "CREATE" and before.status != "REVIEW_IN_PROGRESS":
            raise refused(f"Stack [{name}] already exists and cannot be created again with the changeSet [{request['ChangeSetName']}].")  # fmt: skip  # noqa: E501
        if before is not None and kind == "UPDATE":
            state.check_updatable(before)
        text = await requests.body(self.house, call, request, before)
        wanted, reason = None, ""
        try:
            wanted = await requests.wanted(self.house, call, text, request, before, macros_allowed=True)
        except TemplateError as error:
            reason = str(error)
        return await self.house.store.transact(self._create, call, request, kind, wanted, reason, text)

    def _create(
        self, tx: Tx, call: Call, request: dict[str, Any], kind: str, wanted: Wanted | None, reason: str, text: str
    ) -> dict[str, Any]:
        stack = records.living(tx, call.account, call.region, _short(request["StackName"]))
        if stack is None:
            state.check_name(request["StackName"])
            stack = state.new_stack(call, request["StackName"], "REVIEW_IN_PROGRESS", None)
            stack = replace(stack, role=request.get("RoleARN", ""))
            state.create(tx, call, stack)
        for known in records.CHANGE_SETS.all(tx, stack.id):
            if known.name == request["ChangeSetName"]:
                raise ServiceError("AlreadyExistsException", f"ChangeSet {known.id} already exists")
        if wanted is not None and "Tags" not in request and stack.current is not None:
            wanted = replace(wanted, tags=stack.current.tags)
        if wanted is not None and state.same(stack, wanted):
            reason = _NO_CHANGES
        found = changes.of(tx, stack, wanted) if wanted and not reason else []
        arn = (
            f"arn:aws:cloudformation:{call.region}:{call.account}:changeSet/{request['ChangeSetName']}/{call.new_id()}"
        )
        made = ChangeSet(
            arn, request["ChangeSetName"], stack.id, kind, "FAILED" if reason else "CREATE_COMPLETE",
            "UNAVAILABLE" if reason else "AVAILABLE", call.now_ms, reason, request.get("Description", ""),
            wanted or Wanted(text, {}, {}), found,
        )  # fmt: skip
        records.CHANGE_SETS.put(tx, stack.id, made.id, row=made)
        return {"Id": made.id, "StackId": stack.id}

    def describe_change_set(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack, found = _find(tx, call, request)
        wanted = found.wanted
        shown: dict[str, Any] = {
            **_summary(stack, found),
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": "****" if wanted and name in wanted.hidden else value}
                for name, value in (wanted.parameters if wanted else {}).items()
            ],
            "Tags": [{"Key": k, "Value": v} for k, v in (wanted.tags if wanted else {}).items()],
            "Capabilities": wanted.capabilities if wanted else [],
            "NotificationARNs": [],
            "Changes": found.changes,
            "ChangeSetType": found.kind,
        }
        return shown

    async def execute_change_set(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack_id = await self.house.store.transact(self._execute, call, request)
        self.house.share(Deployer).begin(stack_id)
        return {}

    def _execute(self, tx: Tx, call: Call, request: dict[str, Any]) -> str:
        stack, found = _find(tx, call, request)
        if found.execution != "AVAILABLE" or found.wanted is None:
            told = f"status of [{found.status}]"
            if found.status == "CREATE_COMPLETE":
                told = f"execution status of [{found.execution}]"
            raise ServiceError(
                "InvalidChangeSetStatus", f"ChangeSet [{found.id}] cannot be executed in its current {told}"
            )
        status = "CREATE_IN_PROGRESS" if found.kind == "CREATE" else "UPDATE_IN_PROGRESS"
        kept = found.wanted.disable_rollback or bool(request.get("DisableRollback"))
        target = replace(found.wanted, disable_rollback=kept)
        times = {"updated_ms": call.now_ms} if found.kind == "UPDATE" else {}
        state.start(
            tx, call, stack.id, status, request.get("ClientRequestToken", ""), _check_executable, target=target, **times
        )
        for other in records.CHANGE_SETS.all(tx, stack.id):  # The others were made for a stack that is no more.
            if other.id != found.id:
                records.CHANGE_SETS.delete(tx, stack.id, other.id)
        done = replace(found, execution="EXECUTE_COMPLETE")
        records.CHANGE_SETS.put(tx, stack.id, found.id, row=done)
        return stack.id

    def delete_change_set(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        try:
            stack, found = _find(tx, call, request)
        except ServiceError as error:
            if error.code == "ChangeSetNotFound":
                return {}
            raise
        records.CHANGE_SETS.delete(tx, stack.id, found.id)
        return {}

    def list_change_sets(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack = state.find(tx, call, request["StackName"])
        return {"Summaries": [_summary(stack, found) for found in records.CHANGE_SETS.all(tx, stack.id)]}


def _check_executable(stack: Stack) -> None:
    if stack.status != "REVIEW_IN_PROGRESS":
        state.check_updatable(stack)


def _short(name: str) -> str:
    return name.split("/")[1] if name.startswith("arn:") else name


def _find(tx: Tx, call: Call, request: dict[str, Any]) -> tuple[Stack, ChangeSet]:
    name = request["ChangeSetName"]
    if name.startswith("arn:"):
        for key, found in records.CHANGE_SETS.scan(tx):
            if found.id == name:
                stack = records.STACKS.get(tx, str(key[-2]))
                assert stack is not None
                return stack, found
    elif "StackName" in request:
        stack = state.find(tx, call, request["StackName"])
        for found in records.CHANGE_SETS.all(tx, stack.id):
            if found.name == name:
                return stack, found
    else:
        raise refused("StackName must be specified if ChangeSetName is not specified as an ARN.")
    raise ServiceError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", status=404)


def _summary(stack: Stack, found: ChangeSet) -> dict[str, Any]:
    shown = {
        "ChangeSetName": found.name,
        "ChangeSetId": found.id,
        "StackId": stack.id,
        "StackName": stack.name,
        "CreationTime": found.created_ms / 1000,
        "ExecutionStatus": found.execution,
        "Status": found.status,
    }
    optional = {"StatusReason": found.reason, "Description": found.description}
    return shown | {name: value for name, value in optional.items() if value}
