"""What the platform says of an execution environment in its telemetry: events by the documented schema.

Lambda Developer Guide, "Lambda Telemetry API Event schema reference".
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fogbank.functions.runtimes.provided import records

if TYPE_CHECKING:
    from fogbank.functions.instances import Instance
    from fogbank.functions.model import Invocation
    from fogbank.functions.runtimes.provided.extensions import Extension
    from fogbank.functions.runtimes.provided.telemetry import Telemetry

    Reply = tuple[bytes, bytes] | None


class Platform:
    def __init__(self, instance: Instance, telemetry: Telemetry) -> None:
        self._instance, self._telemetry = instance, telemetry
        self._began_s = time.perf_counter()
        self._request_id = ""
        self._runtime_done = False  # In this event, and told so.

    def init_started(self) -> None:
        version = self._instance.version
        name, _, number = version.name.partition(":")
        facts = {"functionName": name, "functionVersion": number, "instanceMaxMemory": version.memory_mb << 20}
        self._telemetry.say("platform.initStart", records.INIT | facts)

    def init_done(self, status: str, error: str = "", extensions: list[Extension] | None = None) -> None:
        how = _how(status, error)
        self._telemetry.say("platform.initRuntimeDone", records.INIT | how)
        for extension in extensions or ():
            facts = {"name": extension.name, "state": extension.state, "events": list(extension.events)}
            self._telemetry.say("platform.extension", facts)
        self._telemetry.say("platform.initReport", records.init_report(how, self._took_ms()))

    def event_started(self, invocation: Invocation) -> None:
        if not self._telemetry.wanted:
            return
        self._began_s, self._request_id, self._runtime_done = time.perf_counter(), invocation.request_id, False
        record = records.start(self._instance.version, invocation)
        if invocation.trace_header:
            record["tracing"] = {"type": "X-Amzn-Trace-Id", "value": invocation.trace_header}
        self._telemetry.say("platform.start", record)

    def runtime_done(self, reply: Reply, status: str = "success", error: str = "") -> None:
        """Once in an event, the first time."""
        if self._runtime_done or not self._telemetry.wanted:
            return
        self._runtime_done = True
        produced_bytes = len(reply[1]) if reply else 0
        record = records.runtime_done(self._request_id, _how(status, error), self._took_ms(), produced_bytes)
        self._telemetry.say("platform.runtimeDone", record)

    def event_done(self, status: str, error: str = "") -> None:
        if not self._telemetry.wanted:
            return
        instance, version = self._instance, self._instance.version
        held_mb = min(instance.memory_mb(), version.memory_mb)
        record = records.report(
            version, self._request_id, _how(status, error), took_ms=self._took_ms(),
            init_ms=instance.init_ms if instance.events == 1 else 0.0, max_memory_mb=max(instance.peak_mb, held_mb),
        )  # fmt: skip
        self._telemetry.say("platform.report", record)

    def failed(self, phase: str, error: str, reply: Reply) -> None:
        """The environment is lost in this phase."""
        if phase == "init":
            self.init_done("error", error)
        elif phase == "invoke":
            self.runtime_done(reply, "error", error)
            self.event_done("error", error)

    def _took_ms(self) -> float:
        return (time.perf_counter() - self._began_s) * 1000


def _how(status: str, error: str) -> records.How:
    return {"status": status, "errorType": error} if error else {"status": status}
