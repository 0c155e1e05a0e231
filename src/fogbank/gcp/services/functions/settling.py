"""The end of a job, in one transaction: the function as it is from now on, its operation told, its triggers known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol import hosts, longrunning
from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.service import RpcError
from fogbank.gcp.services.functions import metadata, shapes, state
from fogbank.gcp.services.functions.state import ACTIVE, BUILDS, FAILED, FUNCTIONS, JOBS, LABELS, Function, Job, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.service import House
    from fogbank.gcp.services.functions.state import Serving
    from fogbank.kernel.store import Tx

    Hook = Callable[[Tx, Callable[[], str], int, Function | None, Function | None], None]


async def settle(house: House, job: Job, serving: Serving | None, trigger: str, error: RpcError | None) -> None:
    """Unless another node was quicker."""
    settling = _Settling(house, job, serving, trigger)
    try:
        unnamed = await house.store.transact(settling.run, error)
    except RpcError as refused:  # By a link: it cannot be triggered so.
        unnamed = await house.store.transact(settling.run, refused)
    for blob in unnamed:
        house.blobs.delete(blob)


class _Settling:
    def __init__(self, house: House, job: Job, serving: Serving | None, trigger: str) -> None:
        self._house, self._job, self._serving, self._trigger = house, job, serving, trigger
        self._hooks: list[Hook] = [
            link.function_changed for link in house.links.values() if hasattr(link, "function_changed")
        ]

    def run(self, tx: Tx, error: RpcError | None) -> list[str]:
        """The zips that nobody names any more."""
        job = self._job
        before = state.get(tx, job.name, lock=True)
        if before is None or before.id != job.function_id or JOBS.get(tx, job.function_id) != job:
            return []
        JOBS.delete(tx, job.function_id)
        now_ms = self._house.clock.now_ms()
        if job.kind == "delete" and error is None:
            return self._delete(tx, before, now_ms)
        after = self._failed(before, error, now_ms) if error is not None else self._deployed(before, now_ms)
        if error is None:
            self._tell_links(tx, before, after, now_ms)
        state.put(tx, after)
        shape = shapes.second if after.generation == 2 else shapes.first
        response = None if error is not None else shape(after, self._house.endpoint())
        longrunning.finish(tx, job.operation, self._told(after, now_ms, error), response=response, error=error)
        named = {after.source, after.serving.source if after.serving else ""}
        return [blob for blob in {before.source, job.source} - named if blob]

    def _deployed(self, before: Function, now_ms: int) -> Function:
        job = self._job
        return replace(
            before, told=job.told, state=ACTIVE, source=job.source, serving=self._serving, trigger=self._trigger,
            messages=(), operation="", updated_ms=now_ms,
        )  # fmt: skip

    def _failed(self, before: Function, error: RpcError, now_ms: int) -> Function:
        """What answered before goes on to; where nothing did, the function is there and answers nobody."""
        told = (Message("ERROR", "DeploymentFailed", error.message),)
        settled = FAILED if before.serving is None else ACTIVE
        return replace(before, state=settled, messages=told, operation="", updated_ms=now_ms)

    def _delete(self, tx: Tx, before: Function, now_ms: int) -> list[str]:
        job, at = self._job, before.at
        self._tell_links(tx, before, None, now_ms)
        FUNCTIONS.delete(tx, at.project, at.location, at.id)
        if before.generation == 2:
            for label in hosts.labels(at.project, at.location, before.service):
                LABELS.delete(tx, label)
        for key, build in list(BUILDS.scan(tx, at.project, at.location)):
            if build.function == before.name:
                tx.delete(key)
        tx.emit(state.CHANGED)
        empty: Any = message("google.protobuf.Empty")()
        longrunning.finish(tx, job.operation, self._told(before, now_ms, None), response=empty)
        return [blob for blob in {before.source, before.serving.source if before.serving else ""} if blob]

    def _tell_links(self, tx: Tx, before: Function, after: Function | None, now_ms: int) -> None:
        was = before if before.serving is not None else None
        for hook in self._hooks:
            hook(tx, self._house.ids.new, now_ms, was, after)

    def _told(self, function: Function, now_ms: int, error: RpcError | None) -> Any:
        build = self._serving.build if self._serving else ""
        if function.generation == 1:
            return metadata.first(self._job, build=build, version=function.deployments, now_ms=now_ms)
        triggered = bool(function.trigger)
        stage = "done" if error is None else "BUILD"
        return metadata.second(self._job, stage=stage, build=build, now_ms=now_ms, triggered=triggered)
