"""Which instance runs an event: one that is idle, one that another event gives back, or a new one.

Concurrency is admission: whoever calls says how many events of a version may run at once, and is refused beyond it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fogbank.functions import births
from fogbank.functions.births import Births
from fogbank.functions.engine import Abandoned, InitFailed, NoRuntimeError, Throttled
from fogbank.functions.http.doorway import Doorways
from fogbank.functions.http.messages import HttpResponse
from fogbank.functions.instances import Instance
from fogbank.functions.model import Invocation, Outcome
from fogbank.functions.pools import Pool
from fogbank.functions.running import Runner
from fogbank.functions.runtimes.accompanied import Accompanied
from fogbank.functions.runtimes.node.pool import NodeRuntime
from fogbank.functions.runtimes.provided.host import Host
from fogbank.functions.runtimes.provided.runtime import ProvidedRuntime
from fogbank.functions.runtimes.python.nursery import PythonRuntime
from fogbank.functions.runtimes.table import Runtimes
from fogbank.functions.runtimes.wrapped import Wrapped
from fogbank.functions.sandbox.places import TASK
from fogbank.functions.sandbox.sandbox import Sandbox
from fogbank.functions.snapshots import Snapshot
from fogbank.functions.spares import Spare
from fogbank.functions.visits import Gone, Visits
from fogbank.functions.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fogbank.functions.dialect import Dialect
    from fogbank.functions.http.messages import HttpRequest, Visit
    from fogbank.functions.model import LogSink, Version
    from fogbank.functions.runtimes.wrapped import Wrappable
    from fogbank.functions.sandbox.sandbox import Mode
    from fogbank.functions.web_dialect import HttpDialect
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.ids import Ids
    from fogbank.kernel.telemetry import Telemetry

_INIT_S = 10.0  # Lambda Developer Guide, "Lambda execution environment", init phase: limited to ten seconds.
_IDLE_S = 600.0  # An instance that nobody needed for so long is let go.
_SNAPSHOT_IDLE_S = 3600.0  # A snapshot without instances is kept for so long: each save of code may publish a version.
_REAP_EVERY_S = 30.0
# Cloud Run, "General development tips": a container listens "within 4 minutes" of its start.
_WEB_INIT_S = 240.0
# Cloud Run, "About maximum instances": requests that find all instances full wait for up to 10 seconds, or longer.
_PATIENCE_S = 10.0
_INSTANCES_TRIED = 3  # For a request that none of them hears of: they end as soon as they are there.


class InstanceEngine:
    """`functions.engine.Engine` on processes of this machine."""

    def __init__(
        self, run_dir: Path, cache_dir: Path, clock: Clock, telemetry: Telemetry, log_sink: LogSink, ids: Ids,
        *, endpoint: Callable[[], str], dialects: Mapping[str, Dialect], sandbox: Mode = "auto",
        http_dialects: Mapping[str, HttpDialect] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """`http_dialects`: of web applications, beside what `dialects` has of them."""
        self._sandbox = Sandbox(run_dir, sandbox)
        self._host = Host(run_dir, telemetry, log_sink, clock, self._sandbox)
        self._clock, self._telemetry, self._dialects, self._http_dialects = clock, telemetry, dialects, http_dialects
        self._ids, self._doorways = ids, Doorways(run_dir / "doors")
        self._pools: dict[str, Pool] = {}
        self.init_s, self.idle_s, self.snapshot_idle_s = _INIT_S, _IDLE_S, _SNAPSHOT_IDLE_S
        self.patience_s = _PATIENCE_S
        self.on_debugger: Callable[[Version, str], None] = lambda *_: None
        self._runtimes = Runtimes(
            {
                "python": self._built_in(PythonRuntime(cache_dir, telemetry, self._sandbox)),
                "nodejs": self._built_in(NodeRuntime(cache_dir, telemetry, self._sandbox, self._doorways)),
                "provided": ProvidedRuntime(self._host, self._sandbox),
            }
        )
        watch = Watch()
        self._births = Births(
            clock,
            log_sink,
            ids,
            watch,
            self._runtimes,
            dialects,
            endpoint,
            self._sandbox,
            http_dialects,
            self._doorways,
        )
        self._runner, self._visits = Runner(clock, telemetry, watch), Visits(clock, watch)
        self._reaper: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def _built_in(self, runtime: Wrappable) -> Wrapped:
        return Wrapped(runtime, Accompanied(runtime, self._host), self._host, self._sandbox)

    # -- the door --

    def begin(self, version: Version, invocation: Invocation, done: Callable[[Outcome], None]) -> bool:
        """Run one event if an instance is idle, and tell the outcome when it is there; False, and nothing done, if none
        is. Without a task: nearly every event finds an instance."""
        pool = self._pool(version)
        instance = self._take_idle(pool)
        if instance is None:
            return False
        pool.busy += 1

        self._runner.run(pool.dialect, instance, invocation, partial(self._ended_event, pool, instance, done))
        return True

    def _ended_event(
        self, pool: Pool, instance: Instance, done: Callable[[Outcome], None], result: Outcome
    ) -> None:  # fmt: skip
        pool.give_back(instance)
        self._leave(pool)
        done(result)

    async def invoke(self, version: Version, invocation: Invocation, *, limit: int | None = None) -> Outcome:
        pool = self._pool(version)
        if limit is not None and pool.busy >= limit:
            raise Throttled
        pool.busy += 1
        try:
            instance = self._take_idle(pool)
            if instance is None:
                with self._clock.aside:
                    served = await self._wait_for_one(pool, invocation)
                if isinstance(served, Outcome):
                    self._runner.tell_of(version, invocation, served)
                    return served
                instance = served
            outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            self._runner.run(
                pool.dialect, instance, invocation,
                lambda result: None if outcome.done() else outcome.set_result(result),
            )  # fmt: skip
            try:
                result = await outcome
            except BaseException:  # Nobody waits any more, and it may answer late: it must not meet another event.
                instance.kill()
                raise
            pool.give_back(instance)
            return result
        finally:
            self._leave(pool)

    async def request(self, version: Version, request: HttpRequest, *, limit: int | None = None) -> HttpResponse:
        pool, dialect = self._pool(version), self._http_dialects[version.dialect]
        visit = dialect.receive(version, request, self._clock.now_ms(), self._ids.new())
        if isinstance(visit, HttpResponse):
            return visit
        if limit is not None and not await self._admitted(pool, limit * version.concurrency):
            lines, answer = dialect.crowded(version)
            for instance in list(pool.all)[:1]:  # Its log is as good as any.
                self._visits.say(instance, lines)
            return answer
        for _ in range(_INSTANCES_TRIED):
            served = await self._room_for(pool, visit)
            if isinstance(served, Outcome):
                return dialect.unborn(version, served)
            instance = served
            try:
                return await self._visits.run(dialect, instance, visit, partial(self._left, pool, instance))
            except Gone:
                if self._pools.get(version.id) is not pool:
                    raise Abandoned from None
        return self._visits.unheard(dialect, instance, visit)

    async def _room_for(self, pool: Pool, visit: Visit) -> Instance | Outcome:
        """An instance, where the request is counted from now on; or how the birth of one failed."""
        pool.busy += 1
        served: Instance | Outcome | None = None
        try:
            served = self._take_idle(pool)
            if served is None:
                with self._clock.aside:
                    served = await self._wait_for_one(pool, Invocation(visit.execution_id, b""))
        finally:
            if not isinstance(served, Instance):
                self._leave(pool)
        return served

    async def _admitted(self, pool: Pool, most: int) -> bool:
        """Whether there is room, at once or after a wait."""
        until_s = time.perf_counter() + self.patience_s
        while pool.busy >= most:
            if not await pool.outside.wait(until_s):
                return False
            if self._pools.get(pool.version.id) is not pool:
                raise Abandoned
        return True

    def _left(self, pool: Pool, instance: Instance) -> None:
        pool.give_back(instance)
        self._leave(pool)

    async def _wait_for_one(self, pool: Pool, invocation: Invocation) -> Instance | Outcome:
        waiting = pool.queue(invocation)
        self._bring_more(pool)
        return await pool.serve(waiting)

    def _bring_more(self, pool: Pool) -> None:
        """For each event that waits there is room on its way; of a debugged version there is only one instance."""
        is_taken = pool.version.debugged and len(pool.all) + pool.coming > 0
        if pool.coming * pool.version.concurrency < len(pool.waiting) and not is_taken:
            pool.coming += 1
            task = asyncio.get_running_loop().create_task(self._bring_one(pool))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _bring_one(self, pool: Pool) -> None:
        try:
            await self._birth(pool)
        except Exception as error:  # The machine has no room for a process, say: whoever waits longest is told.
            pool.fail_with(error)
        finally:
            pool.coming -= 1

    def _leave(self, pool: Pool) -> None:
        pool.busy -= 1
        if pool.outside:
            pool.outside.call_in()
        if pool.retired and pool.busy == 0:
            self._forget(pool)

    async def prepare(self, version: Version, count: int) -> None:
        pool = self._pool(version)
        pool.provisioned = count
        await self._fill(pool)

    async def snapshot(self, version: Version) -> None:
        await self._snapshot(self._pool(version))

    async def retire(self, version_id: str) -> None:
        pool = self._pools.get(version_id)
        if pool is not None:
            pool.retired, pool.provisioned = True, 0
            if pool.busy == 0:
                self._forget(pool)

    async def abandon(self, version_id: str) -> None:
        pool = self._pools.get(version_id)
        if pool is not None:
            pool.abandon(Abandoned())
            self._forget(pool)

    def status(self) -> list[dict[str, Any]]:
        """What is there now. A test may ask from its own thread: each collection is copied in one step first."""
        pools = tuple(self._pools.values())
        there = [instance.facts() for pool in pools for instance in tuple(pool.all)]
        return there + [facts for pool in pools for facts in pool.spare.facts()]

    async def close(self) -> None:
        tasks = [task for task in (self._reaper, *self._tasks, *self._runner.ending) if task is not None]
        for task in tasks:
            task.cancel()
        for pool in list(self._pools.values()):
            self._forget(pool)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._host.close()
        await self._runtimes.close()
        self._doorways.close()
        await self._sandbox.close()

    async def task_root(self, code: Path) -> str:
        return TASK if (await self._sandbox.given()).cells else str(code)

    def protections(self) -> dict[str, str]:
        return self._sandbox.facts()

    async def warm(self, runtime: str, *, wholly: bool = True) -> None:
        """Have what every instance of a runtime needs ready before the first is asked for; `wholly`, or only what takes
        long. Raises `NoRuntimeError`."""
        await self._runtimes.of(runtime).warm(runtime, wholly=wholly)

    async def ready_debugger(self, runtime: str) -> None:
        await self._runtimes.of(runtime).ready_debugger()

    # -- instances --

    async def _snapshot(self, pool: Pool) -> None:
        instance = await pool.snapshot.take(partial(self._know, pool))
        if instance is not None:
            pool.take_in(instance, pool.version.concurrency)

    def _pool(self, version: Version) -> Pool:
        pool = self._pools.get(version.id)
        if pool is None:
            pool = self._pools[version.id] = Pool(
                version, self._dialects[version.dialect], Spare(self._births, version),
                Snapshot(self._births, version),
            )  # fmt: skip
            if self._reaper is None:
                self._reaper = asyncio.get_running_loop().create_task(self._reap())
        return pool

    def _take_idle(self, pool: Pool) -> Instance | None:
        instance = pool.take_idle()
        if instance is None:
            instance = pool.spare.take()
            if instance is not None:
                self._know(pool, instance)
                pool.take_in(instance, pool.version.concurrency - 1)
                pool.spare.make()
        return instance

    def _forget(self, pool: Pool) -> None:
        self._pools.pop(pool.version.id, None)
        while pool.outside:
            pool.outside.call_in()
        pool.provisioned = 0  # Else each that ends now would be made up for.
        pool.spare.let_go()
        for instance in list(pool.all):
            instance.kill()
        self._runtimes.of(pool.version.runtime).retire(pool.version.id)
        self._sandbox.forget(pool.version)

    async def _spawn(self, pool: Pool, *, provisioned: bool = False) -> Instance:
        return await self._births.spawn(pool.version, partial(self._know, pool), provisioned=provisioned)

    def _know(self, pool: Pool, instance: Instance) -> None:
        pool.all.add(instance)
        instance.on_debugger = partial(self.on_debugger, pool.version)
        instance.on_end = lambda gone: self._ended(pool, gone)

    def _ended(self, pool: Pool, instance: Instance) -> None:
        pool.all.discard(instance)
        kept = self._pools.get(pool.version.id) is pool
        if kept and pool.version.debugged:
            self._bring_more(pool)  # Those that waited for it.
        if kept and instance.events and len(pool.all) < pool.provisioned:  # Without an event it would only end again.
            task = asyncio.get_running_loop().create_task(self._refill(pool))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _refill(self, pool: Pool) -> None:
        try:
            await self._fill(pool)
        except InitFailed as failed:
            self._telemetry.error("provisioned instance failed", function=pool.version.name, error=str(failed))

    async def _fill(self, pool: Pool) -> None:
        async with pool.filling:
            missing = pool.provisioned - len(pool.all)
            if missing <= 0:
                return
            # The first alone: if its init fails, so would the others', and if it leaves a template they are quick.
            await self._prepare_one(pool)
            await asyncio.gather(*(self._prepare_one(pool) for _ in range(missing - 1)))

    async def _prepare_one(self, pool: Pool) -> None:
        async with pool.births:
            try:
                instance = await self._spawn(pool, provisioned=True)
            except NoRuntimeError as error:
                raise InitFailed(births.no_runtime(str(error))) from error
            limit_s = _WEB_INIT_S if pool.version.web else self.init_s
            try:
                problem = await self._births.initialise(instance, limit_s)
            except TimeoutError:
                problem = births.init_timed_out(limit_s)
        if problem is not None:
            instance.kill()
            pool.all.discard(instance)  # At once: who fills the pool next must not count it.
            raise InitFailed(problem)
        pool.take_in(instance, pool.version.concurrency)

    async def _birth(self, pool: Pool) -> None:
        """A new instance, once its init is done, for the event that waits longest; if it fails, that one is told."""
        version = pool.version
        if version.snap_start and not version.debugged:
            with suppress(InitFailed):  # Then the event's own instance is initialised, and tells what is wrong.
                await self._snapshot(pool)
        for limit_s in self._limits(pool):
            try:
                async with pool.births:
                    if not pool.waiting:  # Those before it were quick.
                        return
                    instance = await self._spawn(pool)
                    problem = await self._births.initialise(instance, limit_s)
                break
            except TimeoutError:
                continue
            except NoRuntimeError as error:
                pool.fail(partial(births.without_runtime, str(error)))
                return
        else:
            if not pool.fail(partial(self._births.too_slow, instance)):
                instance.kill()
            return
        if problem is None:
            instance.fresh = True
            pool.take_in(instance, pool.version.concurrency)
            if (instance.forked or instance.accompanied) and instance.cell is not None and len(pool.all) > 1:
                pool.spare.make()
        elif not pool.fail(partial(self._births.failed, instance, problem)):
            instance.kill()

    def _limits(self, pool: Pool) -> tuple[float, ...]:
        """How long initialisation may take, each time that it is tried."""
        # "If not all of these tasks complete within 10 seconds, Lambda retries the Init phase at the time of the first
        # function invocation with the configured function timeout." (Developer Guide, execution environment lifecycle)
        if pool.version.web and not pool.version.debugged:
            return (_WEB_INIT_S,)
        timeout_s = pool.version.timeout_ms / 1000
        if pool.version.debugged:
            return (timeout_s,)
        return (pool.snapshot.limit_s,) if pool.version.snap_start else (self.init_s, timeout_s)

    # -- idle ones --

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(_REAP_EVERY_S)
            self.reap()

    def reap(self) -> None:
        """Let go of instances that nobody needed for a while, but for the provisioned ones."""
        now_s = time.perf_counter()
        for pool in list(self._pools.values()):
            if pool.version.debugged:
                continue
            if not (pool.all or pool.busy or pool.coming) and pool.snapshot.is_older(self.snapshot_idle_s):
                self._forget(pool)
                continue
            if not pool.busy and all(now_s - one.idle_since_s > self.idle_s for one in pool.idle):
                pool.spare.let_go()
            spare = len(pool.all) - pool.provisioned
            idle = dict.fromkeys(i for i in pool.idle if not i.running and now_s - i.idle_since_s > self.idle_s)
            for instance in list(idle)[: max(spare, 0)]:
                instance.kill()
            pool.idle = [instance for instance in pool.idle if instance.state == "idle"]
