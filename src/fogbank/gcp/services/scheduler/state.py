"""What Cloud Scheduler remembers: jobs by name, with the execution that each is at.

When a job is due next lies in `primitives.schedules`, under the job's id. While an attempt is under way the entry
stands at a moment by which it must have ended; so a crash repeats the attempt, and loses none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.scheduler import names
from fogbank.gcp.services.scheduler import schedules as languages
from fogbank.kernel.store.records import Records
from fogbank.primitives import schedules
from fogbank.primitives.schedules import Entry

if TYPE_CHECKING:
    from fogbank.gcp.services.scheduler.names import JobName
    from fogbank.kernel.store import Tx

SCHEDULER = Package("google.cloud.scheduler.v1")
KIND = "scheduler"
ENABLED, PAUSED = 1, 2  # Job.State.


class Job(msgspec.Struct, frozen=True):
    id: str  # A new one each time the name is used again.
    told: bytes  # A google.cloud.scheduler.v1.Job.
    scheduled_ms: int = 0  # The moment of the schedule that the execution is for; before the first, when it was set.
    began_ms: int = 0  # When its first attempt began; 0: there is no execution.
    failures: int = 0  # Of its attempts.
    attempt: str = ""  # The one that is under way.

    @property
    def settings(self) -> Any:
        return SCHEDULER.Job.FromString(self.told)


JOBS = Records(Job, "scheduler", "job")  # (project/location, id in its name)


def find(tx: Tx, name: JobName) -> Job:
    """Raises `RpcError`."""
    row = JOBS.get(tx, name.scope, name.id, lock=True)
    if row is None:
        raise RpcError(Code.NOT_FOUND, "Job not found.")
    return row


def put(tx: Tx, name: JobName, row: Job, told: Any) -> Job:
    kept = replace(row, told=told.SerializeToString())
    JOBS.put(tx, name.scope, name.id, row=kept)
    return kept


def plan(tx: Tx, name: JobName, row: Job, due_ms: int) -> None:
    schedules.put(tx, KIND, Entry(row.id, due_ms, {"name": str(name)}))


def forget(tx: Tx, name: JobName, row: Job) -> None:
    schedules.drop(tx, KIND, row.id)
    JOBS.delete(tx, name.scope, name.id)


def next_ms(job: Any, after_ms: int) -> int | None:
    """When its schedule is due after that. Raises `BadSchedule`."""
    return languages.parsed(job.schedule).next_ms(after_ms, languages.zone(job.time_zone))


def start_over(tx: Tx, name: JobName, row: Job, told: Any, now_ms: int) -> Any:
    """It is made, set otherwise or resumed: what was missed is not made up for."""
    at_ms = next_ms(told, now_ms)
    row = replace(row, scheduled_ms=now_ms, began_ms=0, failures=0, attempt="")
    if at_ms is None or told.state != ENABLED:
        schedules.drop(tx, KIND, row.id)
    else:
        told.schedule_time.FromMilliseconds(at_ms)
        plan(tx, name, row, at_ms)
    put(tx, name, row, told)
    return told


def named(entry: Entry) -> JobName:
    return names.job(entry.notes["name"])
