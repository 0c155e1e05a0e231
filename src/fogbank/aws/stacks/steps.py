"""One resource at a time: made, changed, replaced, put back, removed; every step recorded before the next."""

from __future__ import annotations

import asyncio
import string
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from fogbank.aws.service import ServiceError
from fogbank.aws.stacks import dynamic, intrinsics, plan, policy, resource, schemas
from fogbank.aws.stacks.records import Resource, Wanted
from fogbank.aws.stacks.resource import Place, Unfinished
from fogbank.aws.stacks.template import TemplateError
from fogbank.aws.stacks.walk import Failed

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from fogbank.aws.service import Ask, House
    from fogbank.aws.stacks.ledger import Ledger
    from fogbank.aws.stacks.plan import Planned
    from fogbank.aws.stacks.values import Values

T = TypeVar("T")
_LETTERS = string.ascii_uppercase + string.digits
_REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."
_WRONG = (ServiceError, KeyError, TypeError, ValueError, AttributeError)  # What a type's verbs raise at bad properties.


class _Cancelled(Exception):
    """What would still have been waited for is not wanted any more."""


class Steps:
    def __init__(self, house: House, ledger: Ledger, values: Values, stop: asyncio.Event) -> None:
        self._house, self._ledger, self._values, self._stop = house, ledger, values, stop
        stack = ledger.stack
        self._ask: Ask = house.caller(stack.account, stack.region, stack.principal)

    # -- forward --

    async def bring(self, wanted: Planned, target: Wanted) -> None:
        """One resource to what the template says, whatever it is now."""
        name = wanted.logical_id
        row = self._ledger.resources.get(name)
        there = row is not None and bool(row.physical_id)
        try:
            properties = intrinsics.resolve(wanted.properties, await self._values.scope(target))
        except TemplateError as error:
            raise await self._failed(wanted, "UPDATE_FAILED" if there else "CREATE_FAILED", str(error)) from error
        if row is None or not row.physical_id:
            await self._create(wanted, properties, replaced="")
        elif plan.replaces(wanted.type, row.properties, properties):
            await self._check_policy(wanted, "Update:Replace")
            await self._replace(wanted, row, properties)
        elif self._differs(row, properties) or getattr(self._type(row.type), "looks_inside", False):
            await self._check_policy(wanted, "Update:Modify")
            await self._update(wanted, row, properties)
        else:
            await self._ledger.put(as_planned(row, wanted), event=False)

    def _differs(self, row: Resource, properties: dict[str, Any]) -> bool:
        """The stack's tags are properties too, of all that can be tagged."""
        stack = self._ledger.stack
        return _tagged(row.type, row.properties, stack.current) != _tagged(row.type, properties, stack.target)

    async def _check_policy(self, wanted: Planned, action: str) -> None:
        stack = self._ledger.stack
        reason = policy.denial(stack.policy_once or stack.policy, action, wanted.logical_id, wanted.type)
        if reason:
            raise await self._failed(wanted, "UPDATE_FAILED", reason)

    async def _replace(self, wanted: Planned, row: Resource, properties: dict[str, Any]) -> None:
        """A name that the template gives can be had once only: the new one cannot stand beside the old."""
        given = schemas.given_name(wanted.type, properties)
        if given and given == schemas.given_name(wanted.type, row.properties):
            told = f"CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {given} and update the stack again."  # noqa: E501
            raise await self._failed(wanted, "UPDATE_FAILED", told)
        await self._create(wanted, properties, replaced=row.physical_id)

    async def _create(self, wanted: Planned, properties: dict[str, Any], *, replaced: str) -> None:
        before = self._ledger.resources.get(wanted.logical_id)
        row = Resource(
            wanted.logical_id, wanted.type, "UPDATE_IN_PROGRESS" if replaced else "CREATE_IN_PROGRESS",
            name=self._made_up(wanted.logical_id), properties=properties, depends_on=list(wanted.depends_on),
            deletion=wanted.deletion, replace_policy=wanted.replace_policy, replaced=replaced,
            reason=_REPLACING if replaced else "",
        )  # fmt: skip
        if before and replaced:
            row = replace(row, before=before.properties, attributes_before=before.attributes)
        row = await self._ledger.put(row)
        problem = schemas.check(wanted.logical_id, wanted.type, properties)
        if problem:
            raise await self._failed(wanted, row.status.replace("IN_PROGRESS", "FAILED"), problem)
        kind = self._kind(wanted.logical_id, wanted.type)
        try:
            row = await self._claim(kind, row)
            given = await dynamic.fetched(_tagged(wanted.type, properties, self._ledger.stack.target), self._ask)
            physical_id = await self._patiently(wanted.type, kind.create(self._ask, given, row.name))
            row = await self._ledger.put(
                replace(row, physical_id=physical_id, reason="Resource creation Initiated")
            )  # The event that AWS has too; and from here on it is known what there is.
            finish = getattr(kind, "finish", None)
            if finish is not None:
                await self._patiently(wanted.type, finish(self._ask, physical_id, given, row.name))
            attributes = await kind.read(self._ask, physical_id, properties)
        except (_Cancelled, *_WRONG) as error:
            raise await self._not_created(wanted, row, error) from error
        status = row.status.replace("IN_PROGRESS", "COMPLETE")
        await self._ledger.put(replace(row, status=status, attributes=attributes, reason=""))

    async def _claim(self, kind: Any, row: Resource) -> Resource:
        """A name that the template gives must be free; it is noted that it was, so that what a crash leaves half made
        under it can be known for ours."""
        name = schemas.given_name(row.type, row.properties)
        if not name:
            return row
        try:
            await kind.read(self._ask, name, row.properties)
        except ServiceError:
            return await self._ledger.put(replace(row, claimed=name), event=False)
        raise ServiceError("AlreadyExists", f"{name} already exists")

    async def _not_created(self, wanted: Planned, row: Resource, error: Exception) -> Failed:
        if isinstance(error, Unfinished):
            row = await self._ledger.put(replace(row, physical_id=error.physical_id), event=False)
        if (
            isinstance(error, _Cancelled) and not row.physical_id
        ):  # What it has begun outside is found by the name that was made up for it.
            row = await self._ledger.put(replace(row, physical_id=row.name), event=False)
        return await self._failed(wanted, row.status.replace("IN_PROGRESS", "FAILED"), why(error))

    async def _update(self, wanted: Planned, row: Resource, properties: dict[str, Any]) -> None:
        """The row has the new properties from the start, and the old ones beside them: a rollback has to undo whatever
        part of the way was gone."""
        stack, old = self._ledger.stack, row.properties
        again = row.before is not None  # After a failed update that was not rolled back: that one's start counts.
        row = replace(
            as_planned(row, wanted), status="UPDATE_IN_PROGRESS", reason="", properties=properties,
            before=row.before if again else old, attributes_before=row.attributes_before if again else row.attributes,
        )  # fmt: skip
        row = await self._ledger.put(row)
        problem = schemas.check(row.logical_id, row.type, properties)
        if problem:
            raise await self._failed(wanted, "UPDATE_FAILED", problem)
        kind = self._kind(row.logical_id, row.type)
        try:
            given = await dynamic.fetched(_tagged(row.type, properties, stack.target), self._ask)
            known = _tagged(row.type, old, stack.current)
            moved = await self._patiently(row.type, kind.update(self._ask, row.physical_id, given, known))
            if moved and moved != row.physical_id:
                row = await self._ledger.put(replace(row, physical_id=moved, replaced=row.physical_id), event=False)
            attributes = await kind.read(self._ask, row.physical_id, properties)
        except (_Cancelled, *_WRONG) as error:
            raise await self._failed(wanted, "UPDATE_FAILED", why(error)) from error
        await self._ledger.put(replace(row, status="UPDATE_COMPLETE", attributes=attributes))

    async def _failed(self, wanted: Planned, status: str, reason: str) -> Failed:
        row = self._ledger.resources.get(wanted.logical_id) or Resource(wanted.logical_id, wanted.type, status)
        await self._ledger.put(replace(row, status=status, reason=reason))
        verb = "create" if "CREATE" in status else "update"
        return Failed(f"The following resource(s) failed to {verb}: [{wanted.logical_id}].")

    # -- back --

    async def put_back(self, name: str) -> None:
        """What an update has changed, to what it was."""
        stack, row = self._ledger.stack, self._ledger.resources[name]
        assert row.before is not None
        kind = self._kind(name, row.type)
        row = await self._ledger.put(replace(row, status="UPDATE_IN_PROGRESS", reason=""))
        try:
            given = await dynamic.fetched(_tagged(row.type, row.before or {}, stack.current), self._ask)
            known = _tagged(row.type, row.properties, stack.target)
            change = getattr(kind, "put_back", kind.update)
            await self._patiently(row.type, change(self._ask, row.physical_id, given, known))
            attributes = await kind.read(self._ask, row.physical_id, row.before or {})
        except (_Cancelled, *_WRONG) as error:
            await self._ledger.put(replace(row, status="UPDATE_FAILED", reason=why(error)))
            raise Failed(f"The following resource(s) failed to update: [{name}].") from error
        back = replace(row, status="UPDATE_COMPLETE", properties=row.before or {}, attributes=attributes)
        await self._ledger.put(replace(back, before=None, attributes_before={}))

    async def remove_new(self, name: str) -> None:
        """What this deploy has made; where it was a replacement, the one before it is the resource again."""
        row = self._ledger.resources[name]
        if row.replaced:
            await self.remove(name, keep=row.replace_policy == "Retain", physical_id=row.physical_id, quiet=True)
            back = replace(
                row, physical_id=row.replaced, replaced="", status="UPDATE_COMPLETE", properties=row.before or {},
                before=None, attributes=row.attributes_before, attributes_before={}, reason="", claimed="",
            )  # fmt: skip
            await self._ledger.put(back)
            return
        await self.remove(name, keep=row.deletion == "Retain")  # RetainExceptOnCreate means just this moment.
        if self._ledger.stack.status != "ROLLBACK_IN_PROGRESS":
            await self._ledger.forget(name)

    # -- away --

    async def remove(self, name: str, *, keep: bool, quiet: bool = False, physical_id: str = "") -> None:
        """`quiet`: a deletion that fails is told, and hinders nothing."""
        row = self._ledger.resources[name]
        if row.status == "DELETE_COMPLETE":
            return
        if keep:
            await self._ledger.put(replace(row, status="DELETE_SKIPPED", reason=""))
            return
        unknown = row.lost or (row.status.endswith("_IN_PROGRESS") and not row.physical_id)
        at = physical_id or row.physical_id or row.claimed or row.name
        row = await self._ledger.put(replace(row, status="DELETE_IN_PROGRESS", reason=""))
        try:
            if row.physical_id or unknown:
                await self._delete(row, at)
        except (_Cancelled, *_WRONG) as error:
            if not unknown:
                await self._ledger.put(replace(row, status="DELETE_FAILED", reason=why(error)))
                if quiet:
                    return
                raise Failed(f"The following resource(s) failed to delete: [{name}].") from error
        await self._ledger.put(replace(row, status="DELETE_COMPLETE", reason=""))

    async def clean_up(self, row: Resource) -> None:
        """Remove what was replaced. As on AWS, an update is complete even where that fails."""
        old = replace(
            row, physical_id=row.replaced, properties=row.before or {}, reason="", status="DELETE_IN_PROGRESS"
        )
        if row.replace_policy == "Retain":
            await self._ledger.tell(replace(old, status="DELETE_SKIPPED"))
        else:
            await self._ledger.tell(old)
            try:
                await self._delete(old, row.replaced)
                await self._ledger.tell(replace(old, status="DELETE_COMPLETE"))
            except (_Cancelled, *_WRONG) as error:
                await self._ledger.tell(replace(old, status="DELETE_FAILED", reason=why(error)))

    async def _delete(self, row: Resource, physical_id: str) -> None:
        kind = self._kind(row.logical_id, row.type)
        await self._patiently(row.type, kind.delete(self._ask, physical_id, row.properties))

    # -- types --

    def _type(self, name: str) -> Any:
        found = resource.find(self._house.resource_types, name)
        if found is None:  # Of a stack that another version of this program has made.
            raise ServiceError("InvalidRequest", f"fogbank does not serve {name}.")
        return found

    def _kind(self, logical_id: str, type_name: str) -> Any:
        found = self._type(type_name)
        placed = getattr(found, "placed", None)
        return placed(Place(self._house, self._ledger.stack, logical_id, type_name)) if placed else found

    async def _patiently(self, type_name: str, work: Coroutine[Any, Any, T]) -> T:
        """What may wait for others is not waited for once the deploy has failed. All else comes to its end."""
        if not hasattr(self._type(type_name), "placed"):
            return await work
        task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise _Cancelled("Resource creation cancelled")
            return task.result()
        finally:
            stopped.cancel()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _made_up(self, logical_id: str) -> str:
        return f"{self._ledger.stack.name}-{logical_id}-{self._house.ids.token(12, _LETTERS)}"


def as_planned(row: Resource, wanted: Planned) -> Resource:
    return replace(
        row, depends_on=list(wanted.depends_on), deletion=wanted.deletion, replace_policy=wanted.replace_policy
    )


def why(error: Exception) -> str:
    if isinstance(error, ServiceError):
        return f"{error.message} (Service: fogbank, Status Code: {error.status}, Error Code: {error.code})"
    if isinstance(error, KeyError):
        return f"Required property {error} is missing"
    if isinstance(error, _Cancelled):
        return str(error)
    return f"Invalid request: {error}"


def _tagged(type_name: str, properties: dict[str, Any], wanted: Wanted | None) -> dict[str, Any]:
    """The stack's tags go to each resource that takes tags, in the form that its type has for them."""
    tags = wanted.tags if wanted else {}
    member, form = schemas.tags_of(type_name)
    if not tags or not member:
        return properties
    given = properties.get(member)
    if form == "object" and isinstance(given, dict | None):
        return {**properties, member: {**tags, **(given or {})}}
    if form == "array" and isinstance(given, list | None):
        own = {tag.get("Key") for tag in given or () if isinstance(tag, dict)}
        return {**properties, member: [*(given or ()), *({"Key": k, "Value": v} for k, v in tags.items() if k not in own)]}  # noqa: E501  # fmt: skip
    return properties
