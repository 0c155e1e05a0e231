"""Applies plans: resources made, changed and removed in dependency order, every step recorded before the next.

A step's record is durable before its effect is relied on, so a deploy that a crash has cut is rolled back at the next
start, and no stack stays in progress for ever.
"""

from __future__ import annotations

import asyncio
import string
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks import dynamic, intrinsics, plan, records, schemas
from fogbank.aws.stacks.records import Event, Resource, Stack, Wanted
from fogbank.aws.stacks.template import TemplateError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from fogbank.aws.service import Ask, House
    from fogbank.aws.stacks.plan import Planned
    from fogbank.kernel.store import Tx

_LETTERS = string.ascii_uppercase + string.digits
# DeletionPolicy attribute: "RetainExceptOnCreate" retains but where the creation itself is rolled back.
_RETAINING = ("Retain", "RetainExceptOnCreate")
STACK_TYPE = "AWS::CloudFormation::Stack"


class Failed(Exception):
    """A step could not be done; the message is the reason that its event gives."""


class Deployer:
    """One for each server: it runs the deploys that are under way."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._running: dict[str, asyncio.Task[None]] = {}

    def begin(self, stack_id: str) -> None:
        """Bring a stack to its target, in the background."""
        task = asyncio.get_running_loop().create_task(self._run(stack_id))
        self._running[stack_id] = task
        task.add_done_callback(lambda _: self._running.pop(stack_id, None))

    async def resume(self) -> None:
        """After a start: what was under way when the last server ended is rolled back, or deleted to the end."""
        for stack in await self._house.store.transact(records.STACKS.all):
            if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
                self.begin(stack.id)

    async def stop(self) -> None:
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _run(self, stack_id: str) -> None:
        stack = await self._house.store.transact(records.STACKS.get, stack_id)
        assert stack is not None
        work = _Deploy(self._house, stack)
        try:
            await work.run()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # A bug in a type's code: told on the stack, which must not stay in progress.
            self._house.telemetry.error("deploy failed", stack=stack.name, error=repr(error))
            await work.end(f"{work.stack.status.removesuffix('_IN_PROGRESS')}_FAILED", f"Internal failure: {error!r}")


class _Deploy:
    """One stack on its way to its target."""

    def __init__(self, house: House, stack: Stack) -> None:
        self._house, self.stack = house, stack
        self._ask: Ask = house.caller(stack.account, stack.region, stack.principal)
        self._resources: dict[str, Resource] = {}
        self._imported: set[str] = set()  # Exports that this deploy has used.

    async def run(self) -> None:
        rows = await self._house.store.transact(records.RESOURCES.all, self.stack.id)
        self._resources = {row.logical_id: row for row in rows}
        status = self.stack.status
        if status == "DELETE_IN_PROGRESS":
            await self._delete_stack()
        elif status in ("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
            await self._roll_back()
        elif status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS":
            await self._clean_up()
        elif any(row.status.endswith("_IN_PROGRESS") for row in rows):
            await self._fail("The deploy was interrupted: fogbank was stopped while it was under way.")
        else:
            await self._forward()

    # -- forward --

    async def _forward(self) -> None:
        target = self.stack.target
        assert target is not None
        try:
            wanted = plan.planned(target.template, await self._scope(target))
            await self._each(wanted, {name: set(one.depends_on) for name, one in wanted.items()}, self._bring)
            outputs = await self._outputs(target)
        except (Failed, TemplateError) as error:
            await self._fail(str(error))
            return
        problem = await self._house.store.transact(self._keep_outputs, outputs)
        if problem:
            await self._fail(problem)
            return
        if self.stack.status == "CREATE_IN_PROGRESS":
            await self.end("CREATE_COMPLETE")
        else:
            await self._change(status="UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            await self._clean_up()

    async def _each(
        self, items: Iterable[str], waits: dict[str, set[str]], work: Callable[[str, Any], Awaitable[None]]
    ) -> None:
        """Work on all, each once what it waits for is done, as many at a time as can be. The first failure stops it."""
        names = dict(items) if isinstance(items, dict) else dict.fromkeys(items)
        done: dict[str, asyncio.Event] = {name: asyncio.Event() for name in names}

        async def one(name: str) -> None:
            for target in waits.get(name, ()):
                if target in done:
                    await done[target].wait()
            await work(name, names[name])
            done[name].set()

        tasks = [asyncio.get_running_loop().create_task(one(name)) for name in names]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _bring(self, name: str, wanted: Planned) -> None:
        """One resource to what the template says, whatever it is now."""
        target = self.stack.target
        assert target is not None
        try:
            properties = intrinsics.resolve(wanted.properties, await self._scope(target))
        except TemplateError as error:
            raise await self._failed(name, wanted, "CREATE_FAILED", str(error)) from error
        row = self._resources.get(name)
        if row is None or not row.physical_id:
            await self._create(wanted, properties, replaced="")
        elif row.type != wanted.type or plan.replaces(wanted.type, row.properties, properties):
            await self._create(wanted, properties, replaced=row.physical_id)
        elif row.properties != properties:
            await self._update(wanted, row, properties)
        else:
            same = replace(
                row, depends_on=list(wanted.depends_on), deletion=wanted.deletion, replace_policy=wanted.replace_policy
            )
            await self._put(same, event=False)

    async def _create(self, wanted: Planned, properties: dict[str, Any], *, replaced: str) -> None:
        before = self._resources.get(wanted.logical_id)
        row = Resource(
            wanted.logical_id, wanted.type, "UPDATE_IN_PROGRESS" if replaced else "CREATE_IN_PROGRESS",
            name=self._made_up(wanted.logical_id), properties=properties, depends_on=list(wanted.depends_on),
            deletion=wanted.deletion, replace_policy=wanted.replace_policy, replaced=replaced,
            before=before.properties if before and replaced else None,
        )  # fmt: skip
        reason = (
            "Requested update requires the creation of a new physical resource; hence creating one." if replaced else ""
        )
        await self._put(replace(row, reason=reason), event=True)
        problem = schemas.check(wanted.logical_id, wanted.type, properties)
        if problem:
            raise await self._failed(wanted.logical_id, wanted, "CREATE_FAILED", problem)
        kind = self._house.resource_types[wanted.type]
        try:
            given = await dynamic.fetched(_with_tags(wanted.type, properties, self._tags()), self._ask)
            physical_id = await kind.create(self._ask, given, row.name)
            row = replace(row, physical_id=physical_id)
            await self._put(replace(row, reason="Resource creation Initiated"), event=True)
            finish = getattr(kind, "finish", None)
            if finish is not None:
                await finish(self._ask, physical_id, given, row.name)
            attributes = await kind.read(self._ask, physical_id, properties)
        except (ServiceError, KeyError, TypeError, ValueError) as error:
            raise await self._failed(
                wanted.logical_id, wanted, row.status.replace("IN_PROGRESS", "FAILED"), _why(error)
            ) from error
        status = row.status.replace("IN_PROGRESS", "COMPLETE")
        await self._put(replace(row, status=status, attributes=attributes, reason=""), event=True)

    async def _update(self, wanted: Planned, row: Resource, properties: dict[str, Any]) -> None:
        row = replace(
            row, status="UPDATE_IN_PROGRESS", reason="", before=row.properties, depends_on=list(wanted.depends_on),
            deletion=wanted.deletion, replace_policy=wanted.replace_policy,
        )  # fmt: skip
        await self._put(row, event=True)
        kind = self._house.resource_types[row.type]
        try:
            new, old = (_with_tags(row.type, given, self._tags()) for given in (properties, row.properties))
            await kind.update(self._ask, row.physical_id, await dynamic.fetched(new, self._ask), old)
            attributes = await kind.read(self._ask, row.physical_id, properties)
        except (ServiceError, KeyError, TypeError, ValueError) as error:
            raise await self._failed(row.logical_id, wanted, "UPDATE_FAILED", _why(error)) from error
        row = replace(row, status="UPDATE_COMPLETE", properties=properties, attributes=attributes)
        await self._put(row, event=True)

    async def _failed(self, name: str, wanted: Planned, status: str, reason: str) -> Failed:
        row = self._resources.get(name) or Resource(name, wanted.type, status)
        await self._put(replace(row, status=status, reason=reason), event=True)
        return Failed(f"The following resource(s) failed to {'create' if 'CREATE' in status else 'update'}: [{name}].")

    # -- after a failure --

    async def _fail(self, reason: str) -> None:
        creating = self.stack.status == "CREATE_IN_PROGRESS"
        target = self.stack.target
        if target is not None and target.disable_rollback:
            await self.end("CREATE_FAILED" if creating else "UPDATE_FAILED", reason)
            return
        verb = "Rollback requested by user." if creating else ""
        status = "ROLLBACK_IN_PROGRESS" if creating else "UPDATE_ROLLBACK_IN_PROGRESS"
        await self._change(status=status, reason=f"{reason} {verb}".strip())
        await self._roll_back()

    async def _roll_back(self) -> None:
        creating = self.stack.status == "ROLLBACK_IN_PROGRESS"
        try:
            if not creating:
                for row in list(self._resources.values()):
                    if row.before is not None and not row.replaced:
                        await self._put_back(row)
            made = {r.logical_id: r for r in self._resources.values() if creating or _is_new(r, self.stack)}
            await self._each(made, _reversed(made), self._remove_new)
        except Failed as error:
            await self.end("ROLLBACK_FAILED" if creating else "UPDATE_ROLLBACK_FAILED", str(error))
            return
        await self.end("ROLLBACK_COMPLETE" if creating else "UPDATE_ROLLBACK_COMPLETE")

    async def _put_back(self, row: Resource) -> None:
        assert row.before is not None
        kind = self._house.resource_types[row.type]
        await self._put(replace(row, status="UPDATE_IN_PROGRESS"), event=True)
        try:
            await kind.update(self._ask, row.physical_id, await dynamic.fetched(row.before, self._ask), row.properties)
            attributes = await kind.read(self._ask, row.physical_id, row.before)
        except (ServiceError, KeyError, TypeError, ValueError) as error:
            await self._put(replace(row, status="UPDATE_FAILED", reason=_why(error)), event=True)
            raise Failed(f"The following resource(s) failed to update: [{row.logical_id}].") from error
        back = replace(
            row, status="UPDATE_COMPLETE", properties=row.before, attributes=attributes, before=None, reason=""
        )
        await self._put(back, event=True)

    async def _remove_new(self, name: str, row: Resource) -> None:
        """What this deploy made; where it was a replacement, the one before it is the resource again."""
        await self._remove(row, keep=row.deletion == "Retain")  # RetainExceptOnCreate means just this moment.
        if row.replaced:
            kind = self._house.resource_types[row.type]
            attributes = await kind.read(self._ask, row.replaced, row.before or {})
            back = replace(
                row, physical_id=row.replaced, replaced="", status="UPDATE_COMPLETE", properties=row.before or {},
                before=None, attributes=attributes, reason="",
            )  # fmt: skip
            await self._put(back, event=True)
        elif self.stack.status != "ROLLBACK_IN_PROGRESS":
            await self._forget(name)

    # -- after a success --

    async def _clean_up(self) -> None:
        """Remove what was replaced, and what the template no longer has."""
        target = self.stack.target
        assert target is not None
        wanted = plan.planned(target.template, await self._scope(target))
        for row in list(self._resources.values()):
            if row.replaced:
                old = replace(row, physical_id=row.replaced, properties=row.before or row.properties)
                if row.replace_policy != "Retain":
                    await self._try_delete(old)
            if row.replaced or row.before is not None:
                await self._put(replace(row, replaced="", before=None), event=False)
        gone = {name: row for name, row in self._resources.items() if name not in wanted}

        async def drop(name: str, row: Resource) -> None:
            await self._remove(row, keep=row.deletion in _RETAINING, quiet=True)
            await self._forget(name)

        await self._each(gone, _reversed(gone), drop)
        await self.end("UPDATE_COMPLETE")

    async def _try_delete(self, row: Resource) -> None:
        try:
            await self._house.resource_types[row.type].delete(self._ask, row.physical_id, row.properties)
        except (ServiceError, KeyError, TypeError, ValueError) as error:  # As AWS: a failed clean-up fails no update.
            self._house.telemetry.error("clean-up failed", resource=row.logical_id, error=_why(error))

    async def _delete_stack(self) -> None:
        rows = dict(self._resources)

        async def drop(name: str, row: Resource) -> None:
            await self._remove(row, keep=row.deletion in _RETAINING or name in self.stack.retained)

        try:
            await self._each(rows, _reversed(rows), drop)
        except Failed as error:
            await self.end("DELETE_FAILED", str(error))
            return
        await self._house.store.transact(self._gone)
        await self.end("DELETE_COMPLETE")

    async def _remove(self, row: Resource, *, keep: bool, quiet: bool = False) -> None:
        if row.status == "DELETE_COMPLETE":
            return
        if keep:
            await self._put(replace(row, status="DELETE_SKIPPED", reason=""), event=True)
            return
        physical_id = row.physical_id or row.name
        await self._put(replace(row, status="DELETE_IN_PROGRESS", reason=""), event=True)
        try:
            if row.physical_id or row.status == "CREATE_IN_PROGRESS":
                await self._house.resource_types[row.type].delete(self._ask, physical_id, row.properties)
        except (ServiceError, KeyError, TypeError, ValueError) as error:
            if row.physical_id and not quiet:
                await self._put(replace(row, status="DELETE_FAILED", reason=_why(error)), event=True)
                raise Failed(f"The following resource(s) failed to delete: [{row.logical_id}].") from error
        await self._put(replace(row, status="DELETE_COMPLETE", reason=""), event=True)

    # -- values --

    async def _scope(self, wanted: Wanted) -> intrinsics.Scope:
        stack, template = self.stack, wanted.template
        values = plan.parameter_values(template, wanted.parameters)
        exports = await self._house.store.transact(_exports, stack.account, stack.region)
        return intrinsics.Scope(
            parameters={**values, **pseudo(stack)},
            conditions=template.get("Conditions", {}) or {},
            mappings=template.get("Mappings", {}) or {},
            resource=self._ref,
            attribute=self._attribute,
            exported=lambda name: self._import(exports, name),
        )

    def _import(self, exports: dict[str, str], name: str) -> str:
        if name not in exports:
            raise TemplateError(f"No export named {name} found.")
        self._imported.add(name)
        return exports[name]

    def _ref(self, name: str) -> Any:
        row = self._resources.get(name)
        if row is None or not row.physical_id:
            raise TemplateError(f"Template error: resource {name} does not exist, or not yet")
        return row.physical_id

    def _attribute(self, name: str, attribute: str) -> Any:
        row = self._resources.get(name)
        if row is None or not row.physical_id:
            raise TemplateError(f"Template error: instance of Fn::GetAtt references undefined resource {name}")
        if attribute not in row.attributes:
            raise TemplateError(
                f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt"
            )
        return row.attributes[attribute]

    async def _outputs(self, wanted: Wanted) -> list[dict[str, str]]:
        scope = await self._scope(wanted)
        outputs = []
        for name, facts in (wanted.template.get("Outputs") or {}).items():
            if "Condition" in facts and not scope.holds(facts["Condition"]):
                continue
            output = {"OutputKey": name, "OutputValue": str(intrinsics.resolve(facts["Value"], scope))}
            if "Description" in facts:
                output["Description"] = str(facts["Description"])
            if "Export" in facts:
                output["ExportName"] = str(intrinsics.resolve(facts["Export"]["Name"], scope))
            outputs.append(output)
        return outputs

    def _keep_outputs(self, tx: Tx, outputs: list[dict[str, str]]) -> str:
        """Outputs and exports together; the answer is why not, if an export belongs to another stack or is in use."""
        stack = self.stack
        place = (stack.account, stack.region)
        for name in self._imported:
            if records.EXPORTS.get(tx, *place, name) is None:  # Its stack was deleted meanwhile.
                return f"No export named {name} found."
        new = {output["ExportName"]: output["OutputValue"] for output in outputs if "ExportName" in output}
        for name, value in new.items():
            owner = records.EXPORTERS.get(tx, *place, name)
            if owner not in (None, stack.id):
                return f"Export with name {name} is already exported by stack {(owner or '').split('/')[1]}."
            users = records.IMPORTS.all(tx, *place, name)
            if users and records.EXPORTS.get(tx, *place, name) not in (None, value):
                return f"Export {name} cannot be updated as it is in use by {' and '.join(users)}"
        for output in stack.outputs:
            name = output.get("ExportName", "")
            if name and name not in new:
                users = records.IMPORTS.all(tx, *place, name)
                if users:
                    return f"Export {name} cannot be deleted as it is in use by {' and '.join(users)}"
                records.EXPORTS.delete(tx, *place, name)
                records.EXPORTERS.delete(tx, *place, name)
        for name, value in new.items():
            records.EXPORTS.put(tx, *place, name, row=value)
            records.EXPORTERS.put(tx, *place, name, row=stack.id)
        self.stack = replace(records.set_imports(tx, stack, self._imported), outputs=outputs)
        records.put(tx, self.stack)
        return ""

    def _tags(self) -> dict[str, str]:
        target = self.stack.target or self.stack.current
        return target.tags if target else {}

    def _made_up(self, logical_id: str) -> str:
        random = self._house.ids.token(12, _LETTERS)
        return f"{self.stack.name}-{logical_id}-{random}"

    # -- records --

    async def _put(self, row: Resource, *, event: bool) -> None:
        row = replace(row, modified_ms=self._house.clock.now_ms())
        self._resources[row.logical_id] = row
        await self._house.store.transact(self._record, row, event)

    def _record(self, tx: Tx, row: Resource, event: bool) -> None:  # noqa: FBT001
        records.RESOURCES.put(tx, self.stack.id, row.logical_id, row=row)
        if event:
            properties = orjson.dumps(row.properties, default=str).decode()
            made = Event(
                self._house.ids.new(), row.modified_ms, row.logical_id, row.physical_id, row.type, row.status,
                row.reason, properties,
            )  # fmt: skip
            records.note(tx, self.stack, made)

    async def _forget(self, name: str) -> None:
        self._resources.pop(name, None)
        await self._house.store.transact(records.RESOURCES.delete, self.stack.id, name)

    async def _change(self, *, status: str, reason: str = "") -> None:
        self.stack = replace(self.stack, status=status, reason=reason)
        await self._house.store.transact(self._record_stack, status, reason)

    async def end(self, status: str, reason: str = "") -> None:
        """The deploy is over: the target is what the stack is now, or is forgotten."""
        stack, now_ms = self.stack, self._house.clock.now_ms()
        reached = status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        current = stack.target if reached or stack.current is None else stack.current
        deleted_ms = now_ms if status == "DELETE_COMPLETE" else 0
        self.stack = replace(stack, status=status, reason=reason, current=current, target=None, deleted_ms=deleted_ms)
        await self._house.store.transact(self._record_stack, status, reason)

    def _record_stack(self, tx: Tx, status: str, reason: str) -> None:
        stack = self.stack
        records.put(tx, stack)
        event = Event(
            self._house.ids.new(), self._house.clock.now_ms(), stack.name, stack.id, STACK_TYPE, status, reason
        )
        records.note(tx, stack, event)

    def _gone(self, tx: Tx) -> None:
        stack = self.stack
        records.NAMES.delete(tx, stack.account, stack.region, stack.name)
        self.stack = records.set_imports(tx, stack, set())
        for output in stack.outputs:
            if "ExportName" in output:
                records.EXPORTS.delete(tx, stack.account, stack.region, output["ExportName"])
                records.EXPORTERS.delete(tx, stack.account, stack.region, output["ExportName"])


def pseudo(stack: Stack) -> dict[str, Any]:
    return {
        "AWS::AccountId": stack.account,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": stack.region,
        "AWS::StackId": stack.id,
        "AWS::StackName": stack.name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def _exports(tx: Tx, account: str, region: str) -> dict[str, str]:
    return {str(key[-1]): value for key, value in records.EXPORTS.scan(tx, account, region)}


def _is_new(row: Resource, stack: Stack) -> bool:
    """Was it made by the update that is being rolled back?"""
    if row.replaced:
        return True
    before = stack.current.template.get("Resources", {}) if stack.current else {}
    return row.logical_id not in before


def _reversed(rows: dict[str, Resource]) -> dict[str, set[str]]:
    """Whom each must wait for when they go: those that depend on it."""
    waits: dict[str, set[str]] = {name: set() for name in rows}
    for name, row in rows.items():
        for target in row.depends_on:
            if target in waits:
                waits[target].add(name)
    return waits


def _why(error: Exception) -> str:
    if isinstance(error, ServiceError):
        return f"{error.message} (Service: fogbank, Status Code: {error.status}, Error Code: {error.code})"
    if isinstance(error, KeyError):
        return f"Required property {error} is missing"
    return f"Invalid request: {error}"


def _with_tags(type_name: str, properties: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    """The stack's tags go to each resource that takes tags as a list of Key and Value."""
    schema = schemas.find(type_name)
    given = properties.get("Tags", [])
    if not tags or schema is None or "Tags" not in schema.properties or not isinstance(given, list):
        return properties
    own = {tag.get("Key") for tag in given if isinstance(tag, dict)}
    return {**properties, "Tags": [*given, *({"Key": k, "Value": v} for k, v in tags.items() if k not in own)]}
