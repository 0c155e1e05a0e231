"""What a service has promised to carry to others: a durable queue, in which each thing stays until it has arrived or is
given up.

Things of one group are carried one after the other; all others side by side, so that a slow receiver holds up nobody.
A crash repeats what was being carried at that moment, and loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.kernel.store import StoreError
from fogbank.kernel.tasks import end
from fogbank.primitives import leases, queues
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

_AT_ONCE_MAX = 64
_LEND_MS = 300_000  # Longer than carrying all that is lent of a group may take.
_AFTER_BUG_MS = 1_000


@dataclass(frozen=True, slots=True)
class Again:
    """It has not arrived, and is to be tried once more."""

    due_ms: int
    notes: dict[str, Any]  # In place of those it had.


Carry = Callable[[Message], Awaitable[Again | None]]  # None: it is done with.


class Deliveries:
    """The loop that carries what is in the queue of that name."""

    def __init__(self, house: House, queue: str, carry: Carry) -> None:
        self._house, self._queue, self._carry = house, queue, carry
        self._alone = not house.config.store_url
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        house, queue = self._house, self._queue
        if self._alone:  # Who had something in work is gone.
            await house.store.transact(queues.release, queue, house.clock.now_ms())
        try:
            with house.signals.watch(queues.DUE, (queue,)) as watch:
                while True:
                    room = _AT_ONCE_MAX - len(self._working)
                    lent, next_ms = await house.store.transact(self._take, room, house.clock.now_ms())
                    for row in _in_rows(lent):
                        self._begin(row)
                    if not lent:
                        await watch.wait(next_ms)
        finally:
            await end(self._working)

    def _take(self, tx: Tx, room: int, now_ms: int) -> tuple[list[Message], int | None]:
        if room <= 0:
            return [], None
        lend_ms = leases.ALONE_MS if self._alone else _LEND_MS
        lent = queues.receive(tx, self._queue, limit=room, now_ms=now_ms, lend_ms=lend_ms)
        # What is due and was not lent waits for what stands before it in its group.
        return lent, queues.next_due_ms(tx, self._queue, after_ms=now_ms)

    def _begin(self, row: list[Message]) -> None:
        task = asyncio.get_running_loop().create_task(self._carry_all(row))
        self._working.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if len(self._working) >= _AT_ONCE_MAX:  # There may be some that had to wait.
            self._house.signals.wake(queues.DUE, (self._queue,))
        self._working.discard(task)

    async def _carry_all(self, row: list[Message]) -> None:
        """In their order, up to one that is to be tried again."""
        for at, message in enumerate(row):
            try:
                again = await self._carry(message)
                if again is not None:
                    await self._house.store.transact(self._put_back, row[at:], again)
                    return
                await self._house.store.transact(queues.delete, self._queue, message.receipt)
            except Exception as error:  # One that cannot be carried must not end the others.
                self._house.telemetry.error("a delivery failed", queue=self._queue, error=repr(error))
                await self._give_back(row[at:])
                return

    async def _give_back(self, left: list[Message]) -> None:
        """It could not be seen to its end: a full disk, say. It is due again when it can be said to be."""
        house = self._house
        while True:
            await house.clock.sleep(_AFTER_BUG_MS)
            try:
                await house.store.transact(self._put_back, left, Again(house.clock.now_ms(), left[0].notes))
                return
            except StoreError as error:
                house.telemetry.error("a delivery could not be given back", queue=self._queue, error=str(error))

    def _put_back(self, tx: Tx, left: list[Message], again: Again) -> None:
        """The first as it is told, and what stood behind it in its group with it."""
        for message in left:
            if queues.delete(tx, self._queue, message.receipt):
                notes = again.notes if message is left[0] else message.notes
                queues.send(tx, self._queue, Message(
                    message.id, message.body, again.due_ms, message.sent_ms, group=message.group, notes=notes
                ))  # fmt: skip


def _in_rows(lent: list[Message]) -> list[list[Message]]:
    """What is to be carried one after the other."""
    alone = [[message] for message in lent if not message.group]
    groups: dict[str, list[Message]] = {}
    for message in lent:
        if message.group:
            groups.setdefault(message.group, []).append(message)
    return [*alone, *groups.values()]
