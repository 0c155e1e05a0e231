"""The records of platform events, which telemetry and logs in JSON share.

Lambda Developer Guide, "Lambda Telemetry API Event schema reference".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fogbank.functions.model import Invocation, Version

INIT = {"initializationType": "on-demand", "phase": "init"}

How = dict[str, str]  # "status" (success, error, timeout), and of an error its "errorType".


def start(version: Version, invocation: Invocation, **more: str) -> dict[str, Any]:
    return {"requestId": invocation.request_id, **more, "version": version.qualifier}


def runtime_done(request_id: str, how: How, took_ms: float, produced_bytes: int) -> dict[str, Any]:
    metrics = {"durationMs": round(took_ms, 3), "producedBytes": produced_bytes}
    return {"requestId": request_id, **how, "metrics": metrics}


def report(
    version: Version, request_id: str, how: How, *, took_ms: float, init_ms: float, max_memory_mb: int,
    restored: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """`init_ms`: 0 where the event found its environment initialised; what the restore took of one that is
    `restored`."""
    metrics = {
        "durationMs": round(took_ms, 3),
        "billedDurationMs": billed_ms(took_ms, init_ms),
        "memorySizeMB": version.memory_mb,
        "maxMemoryUsedMB": max_memory_mb,
    }
    if init_ms:
        metrics["restoreDurationMs" if restored else "initDurationMs"] = round(init_ms, 3)
    return {"requestId": request_id, "metrics": metrics, **how}


def billed_ms(took_ms: float, init_ms: float) -> int:
    """By the millisecond, rounded up, initialisation included."""
    return math.ceil(took_ms + init_ms)


def init_report(how: How, took_ms: float) -> dict[str, Any]:
    return {**INIT, "metrics": {"durationMs": round(took_ms, 3)}, **how}
