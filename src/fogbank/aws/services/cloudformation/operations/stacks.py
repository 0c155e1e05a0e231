"""Stacks: created, updated, deleted; stopped and taken back; protected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.cloudformation import mailboxes, requests, state
from fogbank.aws.services.cloudformation.requests import refused
from fogbank.aws.services.cloudformation.state import find
from fogbank.aws.stacks import policy, records
from fogbank.aws.stacks.deployer import Deployer
from fogbank.aws.stacks.records import Stack, Wanted
from fogbank.aws.stacks.template import TemplateError

if TYPE_CHECKING:
    from fogbank.kernel.gateway.messages import Route
    from fogbank.kernel.store import Tx

_POLICY_BYTES_MAX = 16_384
# Whose deletion may begin before they have come to an end: a creation stops for it.
_DELETABLE_IN_PROGRESS = ("REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")


class Stacks(Operations):
    service: ClassVar = "cloudformation"

    def backgrounds(self) -> list[Background]:
        return [Background("cloudformation: finish what was interrupted", self.house.share(Deployer).resume)]

    def routes(self) -> list[Route]:
        return mailboxes.routes(self.house)

    async def create_stack(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name, token = request["StackName"], request.get("ClientRequestToken", "")
        state.check_name(name)
        known = await self.house.store.transact(records.living, call.account, call.region, name)
        if known is not None and token and known.token == token:
            return {"StackId": known.id}  # The same request, sent again.
        if known is not None:
            raise ServiceError("AlreadyExistsException", f"Stack [{name}] already exists")
        held = await self._policy(call, request, "StackPolicy")
        text = await requests.body(self.house, call, request)
        wanted = await self._wanted(call, text, request, None)
        stack = replace(
            state.new_stack(call, name, "CREATE_IN_PROGRESS", wanted, token), policy=held,
            protected=bool(request.get("EnableTerminationProtection")), role=request.get("RoleARN", ""),
        )  # fmt: skip
        await self.house.store.transact(state.create, call, stack)
        self.house.share(Deployer).begin(stack.id)
        return {"StackId": stack.id}

    async def update_stack(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack = await self.house.store.transact(find, call, request["StackName"])
        state.check_updatable(stack)
        held = await self._policy(call, request, "StackPolicy")
        once = await self._policy(call, request, "StackPolicyDuringUpdate")
        text = await requests.body(self.house, call, request, stack)
        wanted = await self._wanted(call, text, request, stack)
        if "Tags" not in request and stack.current:
            wanted = replace(wanted, tags=stack.current.tags)
        if state.same(stack, wanted):
            raise refused("No updates are to be performed.")

        def check(now: Stack) -> None:
            state.check_updatable(now)
            if now.current != stack.current:  # What this update was worked out against is no more.
                raise refused(f"Stack:{stack.id} has been changed meanwhile and can not be updated.")

        token = request.get("ClientRequestToken", "")
        changed = {"role": request.get("RoleARN", stack.role), "policy": held or stack.policy, "policy_once": once}
        await self.house.store.transact(self._update, call, stack.id, token, check, wanted, changed)
        self.house.share(Deployer).begin(stack.id)
        return {"StackId": stack.id}

    def _update(
        self, tx: Tx, call: Call, stack_id: str, token: str, check: Any, wanted: Wanted, changed: dict[str, Any]
    ) -> None:
        state.start(
            tx, call, stack_id, "UPDATE_IN_PROGRESS", token, check, target=wanted, updated_ms=call.now_ms, **changed
        )
        for known in records.CHANGE_SETS.all(tx, stack_id):  # They were made for a stack that is no more.
            if known.execution == "AVAILABLE":
                records.CHANGE_SETS.put(tx, stack_id, known.id, row=replace(known, execution="OBSOLETE"))

    async def delete_stack(self, call: Call, request: dict[str, Any]) -> None:
        if await self.house.store.transact(self._delete, call, request):
            stack_id = await self.house.store.transact(find, call, request["StackName"])
            self.house.share(Deployer).begin(stack_id.id)

    def _delete(self, tx: Tx, call: Call, request: dict[str, Any]) -> bool:
        try:
            stack = find(tx, call, request["StackName"])
        except ServiceError:
            return False  # As AWS: deleting what is not there is done already.
        if stack.status == "DELETE_IN_PROGRESS":
            return False
        _check_imports(tx, stack)
        retained = list(request.get("RetainResources", []))
        if retained and stack.status != "DELETE_FAILED":
            raise refused("Invalid operation on stack [" + stack.id + "]. When you delete a stack, specify which resources to retain only when the stack is in the DELETE_FAILED state.")  # fmt: skip  # noqa: E501
        forced = request.get("DeletionMode") == "FORCE_DELETE_STACK"
        if forced and stack.status != "DELETE_FAILED":
            raise refused("Invalid operation on stack [" + stack.id + "]. FORCE_DELETE_STACK is only for a stack in the DELETE_FAILED state.")  # fmt: skip  # noqa: E501
        token = request.get("ClientRequestToken", "")
        state.start(tx, call, stack.id, "DELETE_IN_PROGRESS", token, _check_deletable, retained=retained, forced=forced)
        return True

    async def cancel_update_stack(self, call: Call, request: dict[str, Any]) -> None:
        stack = await self.house.store.transact(find, call, request["StackName"])
        if stack.status != "UPDATE_IN_PROGRESS":
            raise refused("CancelUpdateStack cannot be called from current stack status")
        self.house.share(Deployer).cancel(stack.id)

    async def continue_update_rollback(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack = await self.house.store.transact(find, call, request["StackName"])
        await self.house.store.transact(self._continue, call, request, stack.id)
        self.house.share(Deployer).begin(stack.id)
        return {}

    def _continue(self, tx: Tx, call: Call, request: dict[str, Any], stack_id: str) -> None:
        def check(now: Stack) -> None:
            if now.status != "UPDATE_ROLLBACK_FAILED":
                raise refused(f"Stack:{now.id} is in {now.status} state and can not be continued to rollback.")

        token = request.get("ClientRequestToken", "")
        state.start(tx, call, stack_id, "UPDATE_ROLLBACK_IN_PROGRESS", token, check)
        for name in request.get("ResourcesToSkip", []):
            row = records.RESOURCES.get(tx, stack_id, name)
            if row is None or row.status != "UPDATE_FAILED":
                raise refused(f"Resource(s) [{name}] in ResourcesToSkip are not in the UPDATE_FAILED state.")
            skipped = replace(row, status="UPDATE_COMPLETE", before=None, attributes_before={}, reason="")
            records.RESOURCES.put(tx, stack_id, name, row=skipped)

    async def rollback_stack(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """After a failure that was left as it was (DisableRollback)."""
        stack = await self.house.store.transact(find, call, request["StackName"])
        following = {"CREATE_FAILED": "ROLLBACK_IN_PROGRESS", "UPDATE_FAILED": "UPDATE_ROLLBACK_IN_PROGRESS"}

        def check(now: Stack) -> None:
            if now.status not in following:
                raise refused(f"Stack:{now.id} is in {now.status} state and can not be rolled back.")

        status = following.get(stack.status, "")
        await self.house.store.transact(
            state.start, call, stack.id, status, request.get("ClientRequestToken", ""), check
        )
        self.house.share(Deployer).begin(stack.id)
        return {"StackId": stack.id}

    def update_termination_protection(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stack = find(tx, call, request["StackName"])
        if stack.parent:
            raise refused("Termination protection of a nested stack is that of its root: " + stack.root)
        records.put(tx, replace(stack, protected=request["EnableTerminationProtection"]))
        return {"StackId": stack.id}

    # -- stack policies --

    def get_stack_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        held = find(tx, call, request["StackName"]).policy
        return {"StackPolicyBody": held} if held else {}

    async def set_stack_policy(self, call: Call, request: dict[str, Any]) -> None:
        held = await self._policy(call, request, "StackPolicy")
        await self.house.store.transact(self._set_policy, call, request, held)

    def _set_policy(self, tx: Tx, call: Call, request: dict[str, Any], held: str) -> None:
        records.put(tx, replace(find(tx, call, request["StackName"]), policy=held))

    async def _policy(self, call: Call, request: dict[str, Any], member: str) -> str:
        text = str(request.get(f"{member}Body", ""))
        if f"{member}URL" in request:
            text = await requests.fetch(self.house, call, request[f"{member}URL"])
        problem = policy.check(text) if text else ""
        if len(text.encode()) > _POLICY_BYTES_MAX:
            problem = f"Error validating stack policy: it may have {_POLICY_BYTES_MAX} bytes at most"
        if problem:
            raise refused(problem)
        return text

    async def _wanted(self, call: Call, text: str, request: dict[str, Any], before: Stack | None) -> Wanted:
        try:
            return await requests.wanted(self.house, call, text, request, before)
        except TemplateError as error:
            raise refused(str(error)) from error


def _check_deletable(stack: Stack) -> None:
    if stack.protected:
        raise refused(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
    if stack.status.endswith("_IN_PROGRESS") and stack.status not in _DELETABLE_IN_PROGRESS:
        raise refused(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")


def _check_imports(tx: Tx, stack: Stack) -> None:
    for output in stack.outputs:
        name = output.get("ExportName")
        users = records.IMPORTS.all(tx, stack.account, stack.region, name) if name else []
        if users:
            raise refused(f"Export {name} cannot be deleted as it is in use by {' and '.join(users)}")
