"""The course of a deploy: forward to what the template says, back if that fails, and away when a stack is deleted.

Where it stands is the stack's status, so it goes on from there after a crash; what that has cut in the middle of a
resource is rolled back. CloudFormation User Guide, "Stack status codes".
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from fogbank.aws.stacks import policy
from fogbank.aws.stacks.ledger import Ledger, Superseded
from fogbank.aws.stacks.steps import Steps, as_planned
from fogbank.aws.stacks.template import TemplateError
from fogbank.aws.stacks.values import Values
from fogbank.aws.stacks.walk import Failed, Stopped, backwards, walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.aws.service import House
    from fogbank.aws.stacks.plan import Planned
    from fogbank.aws.stacks.records import Resource, Stack, Wanted

# DeletionPolicy attribute: "RetainExceptOnCreate" retains but where the creation itself is rolled back.
_RETAINING = ("Retain", "RetainExceptOnCreate")
_INTERRUPTED = "The deploy was interrupted: fogbank was stopped while it was under way."
# Where a stack ends if something here has a bug.
_BROKEN = {
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
}


class Course:
    """One stack on its way to its target."""

    def __init__(self, house: House, stack: Stack, rows: Iterable[Resource]) -> None:
        self._house = house
        self._stop = asyncio.Event()
        self._cancelled = False
        self._ledger = Ledger(house, stack, rows)
        self._values = Values(house, self._ledger)
        self._steps = Steps(house, self._ledger, self._values, self._stop)

    def cancel(self) -> None:
        """Begin nothing new; an update goes back."""
        self._cancelled = True
        self._stop.set()

    async def run(self) -> None:
        try:
            await self._run()
        except Superseded:  # Whoever wanted something else sees to it.
            return

    async def _run(self) -> None:
        status, rows = self._ledger.stack.status, self._ledger.resources.values()
        if status == "DELETE_IN_PROGRESS":
            await self._delete_stack()
        elif status in ("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
            await self._roll_back()
        elif status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS":
            await self._clean_up()
        elif status == "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS":
            await self._undo()
        elif any(row.status.endswith("_IN_PROGRESS") for row in rows):
            await self._fail(_INTERRUPTED)
        else:
            await self._forward()

    async def broken(self, error: Exception) -> None:
        """After a bug: told on the stack, which must not stay in progress."""
        status = self._ledger.stack.status
        ended = _BROKEN.get(status, f"{status.removesuffix('_IN_PROGRESS')}_FAILED")
        try:
            await self._ledger.end(ended, f"Internal failure: {error!r}")
        except Superseded:
            return

    # -- forward --

    async def _forward(self) -> None:
        target = self._ledger.stack.target
        assert target is not None
        limit = asyncio.ensure_future(self._limit(target))
        try:
            wanted = await self._values.planned(target)
            self._check_removals(wanted)

            async def bring(name: str) -> None:
                await self._steps.bring(wanted[name], target)

            await walk({name: set(one.depends_on) for name, one in wanted.items()}, bring, self._stop)
            outputs = await self._values.outputs(target)
        except (Failed, TemplateError) as error:
            await self._fail(str(error))
            return
        except Stopped:
            await self._fail("User Initiated" if self._cancelled else "Stack creation time exceeded the specified timeout.")  # fmt: skip  # noqa: E501
            return
        finally:
            limit.cancel()
        problem = await self._values.keep(outputs)
        if problem:
            await self._fail(problem)
        elif self._ledger.stack.status == "CREATE_IN_PROGRESS":
            await self._ledger.end("CREATE_COMPLETE")
        else:
            await self._ledger.change(status="UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            await self._clean_up()

    async def _limit(self, target: Wanted) -> None:
        """CreateStack, TimeoutInMinutes."""
        stack = self._ledger.stack
        if target.timeout_ms and stack.status == "CREATE_IN_PROGRESS":
            await self._house.clock.sleep_until(stack.created_ms + target.timeout_ms)
            self._stop.set()

    def _check_removals(self, wanted: dict[str, Planned]) -> None:
        stack = self._ledger.stack
        for name, row in self._ledger.resources.items():
            reason = policy.denial(stack.policy_once or stack.policy, "Update:Delete", name, row.type)
            if reason and name not in wanted:
                raise Failed(reason)

    async def _clean_up(self) -> None:
        """After a success: remove what was replaced, and what the template no longer has."""
        wanted = await self._values.planned(self._ledger.stack.target)
        for row in list(self._ledger.resources.values()):
            if row.replaced:
                await self._steps.clean_up(row)
            if row.replaced or row.before is not None:
                await self._ledger.put(replace(row, replaced="", before=None, attributes_before={}), event=False)

        async def drop(name: str) -> None:
            row = self._ledger.resources[name]
            await self._steps.remove(name, keep=row.deletion in _RETAINING, quiet=True)
            await self._ledger.forget(name)

        gone = {name: set(row.depends_on) for name, row in self._ledger.resources.items() if name not in wanted}
        await walk(backwards(gone), drop, asyncio.Event())
        await self._ledger.end("UPDATE_COMPLETE")

    # -- back --

    async def _fail(self, reason: str) -> None:
        await self._mark_cut(reason)
        stack, target = self._ledger.stack, self._ledger.stack.target
        creating = stack.status == "CREATE_IN_PROGRESS"
        if creating and target is not None and target.on_failure == "DELETE":
            self._stop.clear()
            await self._ledger.change(status="DELETE_IN_PROGRESS", reason=reason)
            await self._delete_stack()
            return
        if target is not None and target.disable_rollback:
            await self._ledger.end("CREATE_FAILED" if creating else "UPDATE_FAILED", reason)
            return
        told = f"{reason} Rollback requested by user." if creating else reason
        await self._ledger.change(
            status="ROLLBACK_IN_PROGRESS" if creating else "UPDATE_ROLLBACK_IN_PROGRESS", reason=told
        )
        await self._roll_back()

    async def _mark_cut(self, reason: str) -> None:
        """Nothing stays in progress that nobody is at."""
        for row in list(self._ledger.resources.values()):
            if row.status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
                status = row.status.replace("IN_PROGRESS", "FAILED")
                await self._ledger.put(replace(row, status=status, reason=reason, lost=not row.physical_id))

    async def _roll_back(self) -> None:
        self._stop.clear()
        creating = self._ledger.stack.status == "ROLLBACK_IN_PROGRESS"
        try:
            if not creating:
                await self._put_back()
                await self._ledger.change(status="UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
            await self._undo()
        except (Failed, TemplateError) as error:
            await self._ledger.end("ROLLBACK_FAILED" if creating else "UPDATE_ROLLBACK_FAILED", str(error))
        except Stopped:  # Its deletion is wanted: that is on the stack already.
            await self._ledger.change(status=self._ledger.stack.status)

    async def _put_back(self) -> None:
        before = await self._values.planned(self._ledger.stack.current)
        changed = {
            name: set(before[name].depends_on) if name in before else set()
            for name, row in self._ledger.resources.items()
            if row.before is not None and not row.replaced
        }
        await walk(changed, self._steps.put_back, self._stop)

    async def _undo(self) -> None:
        """Remove what this deploy has made."""
        creating = self._ledger.stack.status == "ROLLBACK_IN_PROGRESS"
        before = {} if creating else await self._values.planned(self._ledger.stack.current)
        made = {
            name: set(row.depends_on)
            for name, row in self._ledger.resources.items()
            if name not in before or row.replaced
        }
        await walk(backwards(made), self._steps.remove_new, self._stop)
        for name, row in list(self._ledger.resources.items()):
            if name in before:
                await self._ledger.put(as_planned(row, before[name]), event=False)
        await self._ledger.end("ROLLBACK_COMPLETE" if creating else "UPDATE_ROLLBACK_COMPLETE")

    # -- away --

    async def _delete_stack(self) -> None:
        stack, rows = self._ledger.stack, self._ledger.resources

        async def drop(name: str) -> None:
            row = self._ledger.resources[name]
            if row.replaced:
                await self._steps.clean_up(row)
            keep = row.deletion in _RETAINING or name in stack.retained
            await self._steps.remove(name, keep=keep, quiet=stack.forced)

        try:
            await walk(backwards({name: set(row.depends_on) for name, row in rows.items()}), drop, self._stop)
        except Failed as error:
            await self._ledger.end("DELETE_FAILED", str(error))
            return
        await self._ledger.gone()
        await self._ledger.end("DELETE_COMPLETE")
