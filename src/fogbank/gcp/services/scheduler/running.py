"""Jobs run when they are due: a message is published in the very transaction, a request is sent and its answer kept.

Of one job there is one execution at a time. Its attempts follow each other until one succeeds, they are used up, or the
schedule is due again; after that comes the next moment of the schedule. What has been missed meanwhile (the server was
off, an attempt took long) is made up for once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol import retrying, targets
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.scheduler import names, settings, state
from fogbank.gcp.services.scheduler import schedules as languages
from fogbank.gcp.services.scheduler.state import JOBS, KIND, SCHEDULER
from fogbank.kernel.posting import Unreachable
from fogbank.kernel.store import StoreError
from fogbank.kernel.tasks import Background, end
from fogbank.primitives import leases, schedules

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.scheduler.names import JobName
    from fogbank.gcp.services.scheduler.state import Job
    from fogbank.kernel.store import Tx
    from fogbank.primitives.schedules import Entry

_SLACK_MS = 60_000
_AFTER_BUG_MS = 1_000


@dataclass(frozen=True, slots=True)
class Attempt:
    id: str
    name: JobName
    row: Job
    forced: bool = False  # By RunJob: it is no part of an execution.


class Running:
    def __init__(self, house: House) -> None:
        self._house = house
        self._alone = not house.config.store_url
        self._working: dict[str, asyncio.Task[None]] = {}  # By the attempt's id.

    def background(self) -> Background:
        return Background("scheduler: run jobs", self._run)

    async def _run(self) -> None:
        house = self._house
        try:
            if self._alone:
                await house.store.transact(self._take_back)
            with house.signals.watch(schedules.CHANGED, (KIND,)) as watch:
                while True:
                    now_ms = house.clock.now_ms()
                    with house.clock.aside:
                        attempts, next_ms = await house.store.transact(self._take, now_ms)
                    for attempt in attempts:
                        self.begin(attempt)
                    if next_ms is None or next_ms > now_ms:
                        await watch.wait(next_ms)
        finally:
            await end(self._working.values())

    def _take_back(self, tx: Tx) -> None:
        """Whoever was at an attempt is gone."""
        for key, row in list(JOBS.scan(tx)):
            if row.attempt:
                name = names.job(row.settings.name)
                JOBS.put(tx, str(key[-2]), str(key[-1]), row=replace(row, attempt=""))
                state.plan(tx, name, row, milliseconds(row.settings.schedule_time))

    def _take(self, tx: Tx, now_ms: int) -> tuple[list[Attempt], int | None]:
        attempts = [self._due(tx, entry, now_ms) for entry in schedules.due(tx, KIND, now_ms)]
        return [one for one in attempts if one is not None], schedules.next_due_ms(tx, KIND)

    def _due(self, tx: Tx, entry: Entry, now_ms: int) -> Attempt | None:
        name = state.named(entry)
        row = JOBS.get(tx, name.scope, name.id, lock=True)
        if row is None or row.id != entry.id or row.settings.state != state.ENABLED:
            schedules.drop(tx, KIND, entry.id)
            return None
        told = row.settings
        lend_ms = leases.ALONE_MS if self._alone else milliseconds(told.attempt_deadline) + _SLACK_MS
        if row.attempt in self._working:  # The clock was moved past the end of its time; here it is still at it.
            state.plan(tx, name, row, now_ms + lend_ms)
            return None
        if not row.failures:  # The execution begins.
            row = replace(row, scheduled_ms=milliseconds(told.schedule_time), began_ms=now_ms)
        attempt = self._attempt(tx, name, row, told, now_ms)
        state.plan(tx, name, row, now_ms + lend_ms)
        if told.WhichOneof("target") == "pubsub_target":
            self._settle(tx, attempt, self._publish(tx, told, now_ms), now_ms)
            return None
        return attempt

    def _attempt(
        self, tx: Tx, name: JobName, row: Job, told: Any, now_ms: int, *, forced: bool = False
    ) -> Attempt:  # fmt: skip
        told.last_attempt_time.FromMilliseconds(now_ms)
        attempt_id = self._house.ids.new()
        kept = state.put(tx, name, row if forced else replace(row, attempt=attempt_id), told)
        return Attempt(attempt_id, name, kept, forced)

    def force(self, tx: Tx, name: JobName, row: Job, now_ms: int) -> Attempt | None:
        """By RunJob; None if that was all of it."""
        told = row.settings
        attempt = self._attempt(tx, name, row, told, now_ms, forced=True)
        if told.WhichOneof("target") == "pubsub_target":
            self._settle(tx, attempt, self._publish(tx, told, now_ms), now_ms)
            return None
        return attempt

    def begin(self, attempt: Attempt) -> None:
        task = self._working[attempt.id] = asyncio.ensure_future(self._send(attempt))
        task.add_done_callback(lambda _: self._working.pop(attempt.id, None))

    def _publish(self, tx: Tx, told: Any, now_ms: int) -> int:
        """The status's code."""
        target = told.pubsub_target
        for link in self._house.links.values():
            if hasattr(link, "job_due"):
                try:
                    link.job_due(
                        tx, target.topic_name, target.data, dict(target.attributes), now_ms, self._house.ids.new
                    )
                except RpcError as error:
                    return int(error.code)
        return int(Code.OK)

    async def _send(self, attempt: Attempt) -> None:
        house = self._house
        with house.clock.aside:  # A moving clock waits until the next run is planned.
            try:
                code = await self._answer(attempt)
            except Exception as error:  # One that cannot be sent must not end the others: it has failed.
                house.telemetry.error("a job could not be run", job=str(attempt.name), error=repr(error))
                code = int(Code.INTERNAL)
            while True:
                try:
                    await house.store.transact(self._settle, attempt, code, house.clock.now_ms())
                    house.signals.wake(schedules.CHANGED, (KIND,))  # At once, wherever the store's own sign has to go.
                    return
                except StoreError as error:  # A full disk, say: it is kept once it can be.
                    house.telemetry.error("a job's answer could not be kept", job=str(attempt.name), error=str(error))
                    await asyncio.sleep(_AFTER_BUG_MS / 1000)

    async def _answer(self, attempt: Attempt) -> int:
        told = attempt.row.settings
        http = told.http_target
        target = targets.read(http.uri, SCHEDULER.HttpMethod.Name(http.http_method), http)
        headers = {"X-CloudScheduler": "true", "X-CloudScheduler-JobName": attempt.name.id}
        if languages.parsed(told.schedule).is_cron:
            headers["X-CloudScheduler-ScheduleTime"] = self._schedule_time(attempt, told)
        try:
            reply = await targets.send(
                self._house, settings.AGENT, milliseconds(told.attempt_deadline) / 1000, target, headers
            )
        except Unreachable as error:
            return int(Code.DEADLINE_EXCEEDED if "no answer within" in str(error) else Code.UNAVAILABLE)
        return targets.status(reply)[0]

    def _schedule_time(self, attempt: Attempt, told: Any) -> str:
        if attempt.forced:
            return str(told.last_attempt_time.ToJsonString())
        at = type(told.schedule_time)()
        at.FromMilliseconds(attempt.row.scheduled_ms)
        return str(at.ToJsonString())

    def _settle(self, tx: Tx, attempt: Attempt, code: int, now_ms: int) -> None:
        name = attempt.name
        row = JOBS.get(tx, name.scope, name.id, lock=True)
        if row is None or row.id != attempt.row.id:
            return
        told = row.settings
        told.status.SetInParent()
        told.status.code = code
        if attempt.forced:
            state.put(tx, name, row, told)
            return
        if row.attempt != attempt.id:
            return  # It was set otherwise meanwhile, or taken over.
        # The last moment that counts as past: the schedule's own, or, if it came late, when it began.
        regular_ms = state.next_ms(told, max(row.scheduled_ms, row.began_ms) if _is_late(row) else row.scheduled_ms)
        due_ms = _retry_ms(row, told.retry_config, regular_ms, now_ms) if code else None
        failures = row.failures + 1 if due_ms is not None else 0
        due_ms = due_ms if due_ms is not None else regular_ms
        row = replace(row, attempt="", failures=failures)
        if due_ms is None:
            schedules.drop(tx, KIND, row.id)
        else:
            told.schedule_time.FromMilliseconds(due_ms)
            state.plan(tx, name, row, due_ms)
        state.put(tx, name, row, told)


def _is_late(row: Job) -> bool:
    return row.began_ms - row.scheduled_ms >= 60_000


def _retry_ms(row: Job, retries: Any, regular_ms: int | None, now_ms: int) -> int | None:
    """When it is tried again; None: not before the schedule is due. "If specified with `retry_count`, the job will be
    retried until both limits are reached"; without one it is not retried."""
    limit_ms = milliseconds(retries.max_retry_duration)
    failures = row.failures + 1
    used_up = failures > retries.retry_count and (limit_ms == 0 or now_ms - row.began_ms >= limit_ms)
    if retries.retry_count == 0 or used_up:
        return None
    due_ms = now_ms + retrying.pause_ms(
        failures, least_ms=milliseconds(retries.min_backoff_duration),
        most_ms=milliseconds(retries.max_backoff_duration), doublings=retries.max_doublings,
    )  # fmt: skip
    return None if regular_ms is not None and due_ms >= regular_ms else due_ms
