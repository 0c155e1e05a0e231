"""Jobs: made, changed, paused, run at once, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import places
from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.paging import page
from fogbank.gcp.service import Call, Code, Later, RpcError, Service
from fogbank.gcp.services.scheduler import names, settings, state
from fogbank.gcp.services.scheduler.running import Running
from fogbank.gcp.services.scheduler.state import JOBS, SCHEDULER, Job

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx
    from fogbank.kernel.tasks import Background

_PAGE_MAX = 500
_DIGITS = "0123456789"


class Jobs(Service):
    service = "google.cloud.scheduler.v1.CloudScheduler"

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._running = Running(house)

    def backgrounds(self) -> Iterable[Background]:
        yield self._running.background()

    def create_job(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "If a name is not specified then the system will generate a random unique name." """
        places.scope(request.parent)
        given = request.job
        given.name = given.name or f"{request.parent}/jobs/{self.house.ids.token(20, _DIGITS)}"
        name = names.job(given.name)
        if not given.name.startswith(f"{request.parent}/"):
            raise settings.invalid(f"{given.name} must begin with {request.parent}.")
        if JOBS.get(tx, name.scope, name.id, lock=True) is not None:
            raise RpcError(Code.ALREADY_EXISTS, f"Job {name} already exists.")
        job = settings.new(given, call.now_ms)
        return state.start_over(tx, name, Job(call.new_id(), b""), job, call.now_ms)

    def get_job(self, tx: Tx, call: Call, request: Any) -> Any:
        return state.find(tx, names.job(request.name)).settings

    def list_jobs(self, tx: Tx, call: Call, request: Any) -> Any:
        rows, token = page(
            tx, JOBS, places.scope(request.parent), size=request.page_size, token=request.page_token, largest=_PAGE_MAX
        )
        return SCHEDULER.ListJobsResponse(jobs=[row.settings for _, row in rows], next_page_token=token)

    def update_job(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.job(request.job.name)
        row = state.find(tx, name)
        return state.start_over(tx, name, row, settings.changed(row.settings, request, call.now_ms), call.now_ms)

    def delete_job(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.job(request.name)
        state.forget(tx, name, state.find(tx, name))
        return message("google.protobuf.Empty")()

    def pause_job(self, tx: Tx, call: Call, request: Any) -> Any:
        return self._set_state(tx, call, request.name, state.ENABLED, state.PAUSED)

    def resume_job(self, tx: Tx, call: Call, request: Any) -> Any:
        return self._set_state(tx, call, request.name, state.PAUSED, state.ENABLED)

    def _set_state(self, tx: Tx, call: Call, text: str, before: int, wanted: int) -> Any:
        name = names.job(text)
        row = state.find(tx, name)
        job = row.settings
        if job.state != before:
            must = SCHEDULER.Job.State.Name(before)
            raise RpcError(Code.FAILED_PRECONDITION, f"Job must be in state {must}.")
        job.state = wanted
        return state.start_over(tx, name, row, job, call.now_ms)

    def run_job(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "Cloud Scheduler will dispatch the job, even if the job is already running": and if it is paused."""
        name = names.job(request.name)
        attempt = self._running.force(tx, name, state.find(tx, name), call.now_ms)
        job = state.find(tx, name).settings
        if attempt is None:
            return job

        async def send() -> Any:
            self._running.begin(attempt)
            return job

        return Later(send)
