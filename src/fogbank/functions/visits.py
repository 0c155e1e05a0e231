"""One HTTP request in one instance: from its first log entry to its last, and what became of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from fogbank.functions.http.connection import Body, Broken
from fogbank.functions.http.messages import HttpResponse, Left

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.functions.http.connection import Connection, Exchange
    from fogbank.functions.http.messages import Visit
    from fogbank.functions.instances import Instance
    from fogbank.functions.watch import Watch
    from fogbank.functions.web_dialect import HttpDialect
    from fogbank.kernel.clock import Clock

_GRACE_S: Final = 0.25  # By then an end is known that closed a connection; if none is, the instance lives.


class Gone(Exception):
    """The instance has ended, and never heard of the request: another may run it."""


class Visits:
    def __init__(self, clock: Clock, watch: Watch) -> None:
        self._clock, self._watch = clock, watch

    async def run(
        self, dialect: HttpDialect, instance: Instance, visit: Visit, left: Callable[[], None]
    ) -> HttpResponse:  # fmt: skip
        """The function's response, begun; or the cloud's own words on why there is none. `left` is told once the
        instance has room for another. Raises `Gone`."""
        assert instance.door is not None
        try:
            connection = await instance.door.connection()
        except OSError as error:
            instance.kill()
            left()
            raise Gone from error
        except BaseException:
            left()
            raise
        if instance.state == "dead":  # It was let go while it was connected to.
            connection.close()
            left()
            raise Gone
        self._enter(dialect, instance, visit)
        stay = _Stay(self, dialect, instance, visit, connection, left)
        try:
            return await stay.response()
        except BaseException:
            stay.leave()
            raise

    def unheard(self, dialect: HttpDialect, instance: Instance, visit: Visit) -> HttpResponse:
        """The cloud's own words where one instance after the other was `Gone`; this was the last."""
        lines, answer = dialect.broke(instance.version, visit, instance.how_ended, memory_mb=None)
        self.say(instance, lines)
        return answer

    def _enter(self, dialect: HttpDialect, instance: Instance, visit: Visit) -> None:
        instance.running += 1
        instance.events += 1
        instance.fresh = False
        instance.began_s = time.perf_counter()
        if instance.running == 1:
            self._watch.begin(instance)
        self._clock.aside.running += 1
        if instance.version.concurrency == 1:  # Else a line may be of any of them.
            instance.visit = visit
        self.say(instance, dialect.started_visit(instance.version, visit))

    def left(self, instance: Instance) -> None:
        instance.running -= 1
        instance.idle_since_s = time.perf_counter()
        self._clock.aside.running -= 1
        if instance.running == 0:
            self._watch.end(instance)

    def say(self, instance: Instance, lines: Sequence[str]) -> None:
        instance.hear_out()
        if lines:
            instance.log.say(lines, self._clock.now_ms())


class _Stay:
    """In an instance, as long as the request is being answered."""

    def __init__(
        self, visits: Visits, dialect: HttpDialect, instance: Instance, visit: Visit, connection: Connection,
        left: Callable[[], None],
    ) -> None:  # fmt: skip
        self._visits, self._dialect, self._instance, self._visit = visits, dialect, instance, visit
        self._connection, self._left = connection, left
        self._began_s = time.perf_counter()
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._overdue = False
        self._gone = False
        self._status = 0
        self._headers: list[tuple[str, str]] = []

    async def response(self) -> HttpResponse:
        version, visit = self._instance.version, self._visit
        self._exchange = exchange = self._connection.begin(visit.request)
        if not version.debugged:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(version.timeout_ms / 1000, self._take_too_long)
        try:
            await exchange.begun
        except Broken:
            return await self._failed()
        self._status, self._headers = exchange.status, exchange.headers
        headers = self._dialect.send(version, visit, exchange.headers)
        if exchange.whole is not None:
            self.leave()
            return HttpResponse(exchange.status, headers, exchange.whole)
        exchange.on_end = self.leave
        if exchange.over:  # Meanwhile.
            self.leave()
        return HttpResponse(exchange.status, headers, Body(exchange))

    def _take_too_long(self) -> None:
        self._overdue = True
        assert self._exchange is not None
        if self._status:  # It has begun to answer: that breaks off.
            self._visits.say(self._instance, self._dialect.overdue(self._instance.version, self._visit)[0])
        self._exchange.abandon()
        if self._dialect.ends_on_timeout(self._instance.version):
            self._instance.kill()

    async def _failed(self) -> HttpResponse:
        instance, version, visit = self._instance, self._instance.version, self._visit
        if self._overdue:
            lines, answer = self._dialect.overdue(version, visit)
        else:
            how = await self._how_it_ended()
            held = max(instance.peak_mb, version.memory_mb) if instance.out_of_memory else None
            lines, answer = self._dialect.broke(version, visit, how, memory_mb=held)
        self._status = answer.status
        answer.headers = self._dialect.send(version, visit, answer.headers)
        if not instance.told_of:  # Of its end; others that were in it have the same to say.
            instance.told_of = instance.state == "dead"
            self._visits.say(instance, lines)
        self.leave()
        return answer

    async def _how_it_ended(self) -> str:
        """Nothing if it lives."""
        instance = self._instance
        if instance.state != "dead":
            try:
                await asyncio.wait_for(instance.gone.wait(), _GRACE_S)
            except TimeoutError:
                return ""
        how = await instance.how()
        instance.close()
        return how

    def leave(self) -> None:
        """Only the first time counts."""
        if self._gone:
            return
        self._gone = True
        if self._timer is not None:
            self._timer.cancel()
        instance, visits = self._instance, self._visits
        if self._exchange is not None:
            self._exchange.on_end = lambda: None
            self._exchange.abandon()  # Nothing is, of one that is over.
        if instance.door is not None:
            instance.door.give_back(self._connection)
        took_ms = (time.perf_counter() - self._began_s) * 1000
        if self._status:
            size = self._exchange.body_bytes if self._exchange is not None else 0
            left = Left(self._status, took_ms, size, self._headers)
            lines = self._dialect.ended_visit(instance.version, self._visit, left)
            visits.say(instance, lines)
        visits.left(instance)
        if instance.state == "dead":
            instance.close()
        self._left()
