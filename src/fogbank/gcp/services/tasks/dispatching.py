"""What is due is sent: of each queue as many at once, and as many a second, as it may.

A task is lent while its request is under way. Its row says so in the same transaction, so that a crash repeats what was
being sent, and loses nothing; what a target has answered is in the row before the next attempt.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fogbank.gcp.protocol import retrying, targets
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.services.tasks import attempts, names, overrides, settings, state
from fogbank.gcp.services.tasks.attempts import SLACK_MS, Sent
from fogbank.gcp.services.tasks.state import QUEUES, SENDING, TASKS, TASKS_V2, Queue, Task
from fogbank.kernel.posting import Reply, Unreachable
from fogbank.kernel.store import StoreError
from fogbank.kernel.tasks import Background, end
from fogbank.primitives import leases, queues

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.service import House
    from fogbank.gcp.services.tasks.names import QueueName
    from fogbank.kernel.store import Tx

_AT_ONCE_MAX = 256  # Of one queue, on one node.
_AFTER_BUG_MS = 1_000
_DAY_MS = 86_400_000


class Dispatching:
    """A loop for each queue."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._alone = not house.config.store_url
        self._loops: dict[str, tuple[_Loop, asyncio.Task[None]]] = {}

    def backgrounds(self) -> Iterable[Background]:
        yield Background("tasks: send what is due", self._run)
        yield Background("tasks: forget used names", self._forget)

    def send_now(self, queue_id: str, name: QueueName, sent: Sent) -> None:
        """By RunTask: whatever the queue may."""
        found = self._loops.get(queue_id)
        loop = found[0] if found else _Loop(self._house, name, queue_id, alone=self._alone)
        loop.begin(sent)

    async def _run(self) -> None:
        house = self._house
        try:
            with house.signals.watch(state.CHANGED) as watch:
                while True:
                    wanted = await house.store.transact(_all_queues)
                    for queue_id in self._loops.keys() - wanted.keys():
                        self._loops.pop(queue_id)[1].cancel()
                    for queue_id in wanted.keys() - self._loops.keys():
                        loop = _Loop(house, names.queue(wanted[queue_id]), queue_id, alone=self._alone)
                        self._loops[queue_id] = loop, asyncio.ensure_future(loop.run())
                    await watch.wait()
        finally:
            loops = [task for _, task in self._loops.values()]
            self._loops.clear()
            await end(loops)

    async def _forget(self) -> None:
        while True:
            await self._house.clock.sleep(_DAY_MS)
            await self._house.store.transact(state.forget_names, self._house.clock.now_ms())


def _all_queues(tx: Tx) -> dict[str, str]:
    """Names by ids."""
    return {row.id: row.name for row in QUEUES.all(tx)}


class _Loop:
    """What sends the tasks of one queue."""

    def __init__(self, house: House, name: QueueName, queue_id: str, *, alone: bool) -> None:
        self._house, self._name, self._id, self._alone = house, name, queue_id, alone
        self._working: dict[str, asyncio.Task[None]] = {}  # By the attempts' ids.

    async def run(self) -> None:
        house = self._house
        try:
            if self._alone:
                await house.store.transact(self._take_back)
            with house.signals.watch(queues.DUE, (self._id,)) as watch:
                while True:
                    try:
                        sent, next_ms = await house.store.transact(self._take, house.clock.now_ms())
                    except StoreError as error:
                        house.telemetry.error("no tasks could be taken", queue=str(self._name), error=str(error))
                        await house.clock.sleep(_AFTER_BUG_MS)
                        continue
                    for one in sent:
                        self.begin(one)
                    if not sent:
                        await watch.wait(next_ms)
        finally:
            await end(self._working.values())

    def begin(self, sent: Sent) -> None:
        task = self._working[sent.row.attempt] = asyncio.ensure_future(self._send(sent))
        task.add_done_callback(lambda _: self._ended(sent.row.attempt))

    def _ended(self, attempt: str) -> None:
        self._working.pop(attempt, None)
        self._house.signals.wake(queues.DUE, (self._id,))  # There is room.

    def _take_back(self, tx: Tx) -> None:
        """Whoever was sending is gone."""
        row = QUEUES.get(tx, self._name.scope, self._name.id)
        if row is None or row.id != self._id:
            return
        for key, _ in list(SENDING.scan(tx, self._id)):
            task_id = str(key[-1])
            found = TASKS.get(tx, self._id, task_id, lock=True)
            SENDING.delete(tx, self._id, task_id)
            if found is not None:
                queues.delete(tx, self._id, found.receipt)
                state.plan(tx, row, task_id, found, milliseconds(found.settings.schedule_time), self._house.ids.new)

    def _take(self, tx: Tx, now_ms: int) -> tuple[list[Sent], int | None]:
        """What is sent now, and when to look again."""
        row = QUEUES.get(tx, self._name.scope, self._name.id, lock=True)
        if row is None or row.id != self._id or row.settings.state != state.RUNNING:
            return [], None
        rates = row.settings.rate_limits
        due_ms = queues.next_due_ms(tx, self._id)
        if due_ms is None or due_ms > now_ms:
            return [], due_ms
        tokens = min(
            rates.max_burst_size, row.tokens + (now_ms - row.filled_ms) * rates.max_dispatches_per_second / 1000
        )
        room = min(rates.max_concurrent_dispatches - self._under_way(tx, now_ms), _AT_ONCE_MAX - len(self._working))
        if room <= 0:
            return [], None  # Who ends wakes us.
        if tokens < 1:
            return [], now_ms + max(1, round(min(_DAY_MS, (1 - tokens) * 1000 / rates.max_dispatches_per_second)))
        lent = queues.receive(tx, self._id, limit=min(room, int(tokens)), now_ms=now_ms, lend_ms=leases.ALONE_MS)
        QUEUES.put(tx, self._name.scope, self._name.id, row=replace(row, tokens=tokens - len(lent), filled_ms=now_ms))
        sent = [one for message in lent if (one := self._lend(tx, row, message, now_ms)) is not None]
        return sent, queues.next_due_ms(tx, self._id)

    def _under_way(self, tx: Tx, now_ms: int) -> int:
        """On all nodes."""
        if self._alone:
            return len(self._working)
        return sum(1 for _, until_ms in SENDING.scan(tx, self._id) if until_ms > now_ms)

    def _lend(self, tx: Tx, row: Queue, message: queues.Message, now_ms: int) -> Sent | None:
        found = TASKS.get(tx, self._id, message.body, lock=True)
        if found is None:
            queues.delete(tx, self._id, message.receipt)
            return None
        found = replace(found, receipt=message.receipt)
        if found.attempt in self._working:  # The clock was moved past the end of its time; here it is still being sent.
            queues.hide(tx, self._id, message.receipt, due_ms=self._until_ms(found, now_ms), now_ms=now_ms)
            SENDING.put(tx, self._id, message.body, row=self._until_ms(found, now_ms))
            TASKS.put(tx, self._id, message.body, row=found)
            return None
        if found.created_ms + state.LIVES_MS <= now_ms:
            state.forget_task(tx, row, message.body, found, now_ms)
            return None
        if not self._alone:  # Another node takes it over if this one is gone.
            queues.hide(tx, self._id, message.receipt, due_ms=self._until_ms(found, now_ms), now_ms=now_ms)
        return attempts.begun(tx, row, message.body, replace(found, attempt=self._house.ids.new()), now_ms)

    def _until_ms(self, row: Task, now_ms: int) -> int:
        return now_ms + state.deadline_ms(row.settings) + SLACK_MS

    async def _send(self, sent: Sent) -> None:
        house = self._house
        try:
            reply = await self._reply(sent)
        except Exception as error:  # One that cannot be sent must not end the others: it counts as not answered.
            house.telemetry.error("a task could not be sent", queue=str(self._name), error=repr(error))
            reply = None
        while True:
            try:
                await house.store.transact(self._settle, sent, reply, house.clock.now_ms())
                return
            except StoreError as error:  # A full disk, say: what has become of it is kept once it can be.
                house.telemetry.error("a task's answer could not be kept", queue=str(self._name), error=str(error))
                await house.clock.sleep(_AFTER_BUG_MS)

    async def _reply(self, sent: Sent) -> Reply | None:
        """None: there was no answer in time, or none that is one."""
        task = sent.row.settings
        request = task.http_request
        target = targets.read(request.url, TASKS_V2.HttpMethod.Name(request.http_method), request)
        target = overrides.applied(target, sent.http_target)
        try:
            return await targets.send(
                self._house,
                settings.AGENT,
                state.deadline_ms(task) / 1000,
                target,
                attempts.headers(self._name.id, sent),
            )
        except Unreachable:
            return None

    def _settle(self, tx: Tx, sent: Sent, reply: Reply | None, now_ms: int) -> None:
        queue = QUEUES.get(tx, self._name.scope, self._name.id)
        found = TASKS.get(tx, self._id, sent.task_id, lock=True)
        if queue is None or queue.id != self._id or found is None or found.attempt != sent.row.attempt:
            return  # It is deleted, or has been taken over.
        if reply is not None and 200 <= reply.status < 300:
            state.forget_task(tx, queue, sent.task_id, found, now_ms)
            return
        task = attempts.failed(found.settings, reply, now_ms)
        retries = queue.settings.retry_config
        if attempts.is_used_up(task, retries, now_ms):
            state.forget_task(tx, queue, sent.task_id, found, now_ms)
            return
        pause_ms = max(attempts.retry_after_ms(reply), retrying.pause_ms(
            task.dispatch_count, least_ms=milliseconds(retries.min_backoff), most_ms=milliseconds(retries.max_backoff),
            doublings=retries.max_doublings,
        ))  # fmt: skip
        due_ms = (sent.began_ms if sent.forced else now_ms) + pause_ms
        task.schedule_time.FromMilliseconds(due_ms)
        status = reply.status if reply is not None else 0
        ran = reply is not None and status < 500
        state.unplan(tx, queue, sent.task_id, found)
        kept = replace(
            found,
            told=task.SerializeToString(),
            answers=found.answers + ran,
            previous=status or found.previous,
            attempt="",
        )
        state.plan(tx, queue, sent.task_id, kept, due_ms, self._house.ids.new)
