"""How instances come about: a process is ordered, its initialisation watched; what goes wrong is told in the cloud's
words."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import orjson
from msgspec.structs import replace

from fogbank.functions.engine import NoRuntimeError, RestoreFailed
from fogbank.functions.instances import Ended, Instance
from fogbank.functions.logs import Log
from fogbank.functions.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fogbank.functions.dialect import Dialect
    from fogbank.functions.http.doorway import Doorways
    from fogbank.functions.model import Invocation, LogSink, Version
    from fogbank.functions.runtimes.table import Runtimes
    from fogbank.functions.sandbox.sandbox import Sandbox
    from fogbank.functions.watch import Watch
    from fogbank.functions.web_dialect import HttpDialect
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.ids import Ids


_RESTORE_S = 10.0  # "Restore phase": what the function does after a restore has ten seconds.


class Births:
    def __init__(
        self, clock: Clock, log_sink: LogSink, ids: Ids, watch: Watch, runtimes: Runtimes,
        dialects: Mapping[str, Dialect], endpoint: Callable[[], str], sandbox: Sandbox,
        http_dialects: Mapping[str, HttpDialect], doorways: Doorways,
    ) -> None:  # fmt: skip
        self._sandbox, self._http_dialects, self._doorways = sandbox, http_dialects, doorways
        self._clock, self._log_sink, self._ids, self._watch = clock, log_sink, ids, watch
        self._runtimes, self._dialects, self._endpoint = runtimes, dialects, endpoint
        self.restore_s = _RESTORE_S

    async def spawn(
        self, version: Version, told: Callable[[Instance], None], *, provisioned: bool = False, snapshot: bool = False,
        spare: bool = False,
    ) -> Instance:  # fmt: skip
        """A process is on its way; it says `ready` when its init is done. `told` hears of the instance before there is
        a process. `snapshot`: it is initialised to be kept; `spare`: no event waits for it. Raises what its runtime
        raises; then the instance has ended."""
        dialect = self._dialects[version.dialect]
        stream = f"{time.strftime('%Y/%m/%d', time.gmtime(self._clock.now_ms() / 1000))}/{version.log_stream_prefix}"
        stream += self._ids.new().replace("-", "")
        task_root = (await self._sandbox.places(version)).code
        given = dialect.environment(version, stream, self._endpoint(), task_root=task_root, provisioned=provisioned)
        read_end, write_end = os.pipe()
        log = Log(read_end, version, stream, self._log_sink, self._clock, dialect.line_filter(version))
        instance = Instance(version, log)
        instance.is_snapshot, instance.is_spare = snapshot, spare
        told(instance)
        if version.web:
            self._furnish(instance, stream)
        try:
            await self._runtimes.of(version.runtime).spawn(version, instance, version.environment | given, write_end)
        except BaseException as error:
            if isinstance(error, NoRuntimeError):
                instance.log.note(str(error))
            instance.kill()
            instance.on_end(instance)
            raise
        finally:
            instance.handed_over()
        if version.snap_start:  # What the process writes is not read before this function returns.
            now_ms = self._clock.now_ms()
            lines = dialect.initialising(version, now_ms, restoring=instance.forked)
            log.say(lines, now_ms, after=False)
        return instance

    def _furnish(self, instance: Instance, stream: str) -> None:
        """What a web application has beside other functions: a socket to be spoken to, and a log of each output."""
        version, dialect = instance.version, self._http_dialects[instance.version.dialect]
        instance.id = self._ids.new().replace("-", "")
        read_end, instance.errors_end = os.pipe()
        instance.errors = Log(read_end, version, stream, self._log_sink, self._clock)
        for log, output in ((instance.log, "stdout"), (instance.errors, "stderr")):
            log.form = dialect.form(version, instance, output)
        instance.door = self._doorways.open()

    def too_slow(self, instance: Instance, invocation: Invocation) -> Outcome:
        version = instance.version
        lines, document = self._dialects[version.dialect].timed_out(version, invocation, self._clock.now_ms())
        return self._stillborn(instance, invocation, document, lines, timed_out=True)

    def failed(self, instance: Instance, problem: bytes, invocation: Invocation) -> Outcome:
        return self._stillborn(instance, invocation, _with_request_id(problem, invocation.request_id), ())

    def _stillborn(
        self, instance: Instance, invocation: Invocation, document: bytes, lines: Sequence[str],
        *, timed_out: bool = False,
    ) -> Outcome:  # fmt: skip
        """What an event gets whose instance's init failed."""
        version, log = instance.version, instance.log
        dialect = self._dialects[version.dialect]
        failed = Outcome(
            document, "Unhandled", cold=True, timed_out=timed_out, init_ms=instance.init_ms,
            max_memory_mb=instance.peak_mb,
        )  # fmt: skip
        now_ms = self._clock.now_ms()
        ended = dialect.ended(version, invocation, failed, now_ms)
        log.say([*dialect.started(version, invocation, now_ms), *lines, *ended], now_ms)
        tail = log.tail()
        instance.kill()
        return replace(failed, log_tail=tail)

    async def initialise(self, instance: Instance, limit_s: float) -> bytes | None:
        """None once it is initialised; else the error document, with its log lines written. Raises `TimeoutError`, and
        `RestoreFailed` of one that begins with a snapshot that was asked for."""
        if instance.version.snap_start and instance.forked:
            await self._restore(instance)
            return None
        version, began = instance.version, time.perf_counter()
        dialect = self._dialects[version.dialect]
        self._watch.begin(instance)
        timed_out = False
        try:
            problem = await instance.ready(limit_s)
        except TimeoutError:
            timed_out, problem = True, init_timed_out(limit_s)
            instance.end()
            raise
        except Ended:
            how = await instance.how()
            told = "without providing a reason" if how == "exit status 0" else f"with error: {how}"
            text = f"Error: Runtime exited {told}"
            problem = orjson.dumps({"errorType": "Runtime.ExitError", "errorMessage": text})
        except BaseException:
            problem = None
            instance.kill()
            raise
        finally:
            self._watch.end(instance)
            if problem is not None:
                instance.init_ms, now_ms = (time.perf_counter() - began) * 1000, self._clock.now_ms()
                instance.hear_out()
                failed = dialect.init_failed(version, problem, instance.init_ms, now_ms, timed_out=timed_out)
                instance.log.say(failed, now_ms)
        if problem is None:
            self._say_initialised(instance)
        return problem

    async def _restore(self, instance: Instance) -> None:
        began, problem, timed_out = time.perf_counter(), False, False
        self._watch.begin(instance)
        try:
            problem = await instance.ready(self.restore_s) is not None
        except TimeoutError:
            problem = timed_out = True
        except Ended:
            problem = True
        except BaseException:
            instance.kill()
            raise
        finally:
            self._watch.end(instance)
        if not problem:
            self._say_initialised(instance)
            return
        version, took_ms, now_ms = instance.version, (time.perf_counter() - began) * 1000, self._clock.now_ms()
        dialect = self._dialects[version.dialect]
        instance.log.say(dialect.restore_failed(version, took_ms, now_ms, timed_out=timed_out), now_ms)
        instance.kill()
        raise RestoreFailed(timed_out=timed_out)

    def _say_initialised(self, instance: Instance) -> None:
        version, now_ms = instance.version, self._clock.now_ms()
        dialect = self._dialects[version.dialect]
        lines = dialect.initialised(version, instance.init_ms, now_ms, restored=instance.restored)
        if lines:
            instance.log.say(lines, now_ms)


def without_runtime(why: str, _: Invocation) -> Outcome:
    return Outcome(no_runtime(why), "Unhandled", log_tail=f"fogbank: {why}\n".encode(), cold=True)


def no_runtime(why: str) -> bytes:
    return orjson.dumps({"errorType": "Runtime.Unavailable", "errorMessage": why})


def init_timed_out(limit_s: float) -> bytes:
    text = f"Error: Task timed out after {limit_s:.2f} seconds"
    return orjson.dumps({"errorType": "Sandbox.Timedout", "errorMessage": text})


def _with_request_id(document: bytes, request_id: str) -> bytes:
    """The id of the request that met the failed init, where the document has a place for it."""
    found = orjson.loads(document)
    if "requestId" in found:
        found["requestId"] = request_id
    message = found.get("errorMessage", "")
    if message.startswith("RequestId: {}"):
        found["errorMessage"] = message.replace("{}", request_id, 1)
    elif found.get("errorType") in ("Runtime.ExitError", "Sandbox.Timedout"):
        found["errorMessage"] = f"RequestId: {request_id} {message}"
    return orjson.dumps(found)
