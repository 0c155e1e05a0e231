"""A stack's records while it is worked on: each row is durable before anything relies on it.

Who asks for something else meanwhile (its deletion) writes that to the stack's own row; what is written here after
that would undo it, and is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from fogbank.aws.stacks import records
from fogbank.aws.stacks.records import Event, Resource, Stack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

STACK_TYPE = "AWS::CloudFormation::Stack"
_REACHED = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


class Superseded(Exception):
    """The stack is meant to be something else by now."""


class Ledger:
    def __init__(self, house: House, stack: Stack, rows: Iterable[Resource]) -> None:
        self._house, self.stack = house, stack
        self.resources = {row.logical_id: row for row in rows}

    async def put(self, row: Resource, *, event: bool = True) -> Resource:
        row = replace(row, modified_ms=self._house.clock.now_ms())
        self.resources[row.logical_id] = row
        await self._house.store.transact(self._put, row, event)
        return row

    def _put(self, tx: Tx, row: Resource, event: bool) -> None:  # noqa: FBT001
        records.RESOURCES.put(tx, self.stack.id, row.logical_id, row=row)
        if event:
            self._note(tx, row)

    async def tell(self, row: Resource) -> None:
        """An event of something that has no row any more: what a replacement has taken the place of."""
        await self._house.store.transact(self._note, replace(row, modified_ms=self._house.clock.now_ms()))

    def _note(self, tx: Tx, row: Resource) -> None:
        properties = orjson.dumps(row.properties, default=str).decode()
        made = Event(
            self._house.ids.new(), row.modified_ms, row.logical_id, row.physical_id, row.type, row.status,
            row.reason, properties, self.stack.token,
        )  # fmt: skip
        records.note(tx, self.stack, made)

    async def forget(self, name: str) -> None:
        self.resources.pop(name, None)
        await self._house.store.transact(records.RESOURCES.delete, self.stack.id, name)

    async def change(self, *, status: str, reason: str = "") -> None:
        self.stack = await self._house.store.transact(self._change, status, reason)

    def _change(self, tx: Tx, status: str, reason: str) -> Stack:
        changed = replace(self.fresh(tx), status=status, reason=reason)
        self._keep(tx, changed)
        return changed

    async def end(self, status: str, reason: str = "") -> None:
        """The work is over: the target is what the stack is now, or is forgotten."""
        self.stack = await self._house.store.transact(self._end, status, reason)

    def _end(self, tx: Tx, status: str, reason: str) -> Stack:
        stack = self.fresh(tx)
        current = stack.target if status in _REACHED or stack.current is None else stack.current
        deleted_ms = self._house.clock.now_ms() if status == "DELETE_COMPLETE" else 0
        previous = stack.current if stack.parent and status == "UPDATE_COMPLETE" else stack.previous
        ended = replace(
            stack, status=status, reason=reason, current=current, target=None, deleted_ms=deleted_ms, policy_once="",
            previous=previous,
        )  # fmt: skip
        self._keep(tx, ended)
        tx.emit(records.ENDED, (stack.id,))
        return ended

    def fresh(self, tx: Tx) -> Stack:
        """The stack's row as others have left it. Raises `Superseded`."""
        found = records.STACKS.get(tx, self.stack.id, lock=True)
        if found is None or found.status != self.stack.status:
            raise Superseded
        return found

    def _keep(self, tx: Tx, stack: Stack) -> None:
        records.put(tx, stack)
        event = Event(
            self._house.ids.new(), self._house.clock.now_ms(), stack.name, stack.id, STACK_TYPE, stack.status,
            stack.reason, "", stack.token,
        )  # fmt: skip
        records.note(tx, stack, event)

    async def gone(self) -> None:
        """Nothing of the stack is left: its name and its exports are free."""
        self.stack = await self._house.store.transact(self._gone)

    def _gone(self, tx: Tx) -> Stack:
        stack = records.set_imports(tx, self.fresh(tx), set())
        records.put(tx, stack)
        records.NAMES.delete(tx, stack.account, stack.region, stack.name)
        for output in stack.outputs:
            if "ExportName" in output:
                records.EXPORTS.delete(tx, stack.account, stack.region, output["ExportName"])
                records.EXPORTERS.delete(tx, stack.account, stack.region, output["ExportName"])
        return stack
