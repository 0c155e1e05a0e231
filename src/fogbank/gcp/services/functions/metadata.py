"""What an operation on a function tells of itself, in the words of either generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.services.functions import names
from fogbank.gcp.services.functions.state import FIRST, SECOND

if TYPE_CHECKING:
    from fogbank.gcp.services.functions.state import Job

_VERBS = {"create": "CREATE_FUNCTION", "update": "UPDATE_FUNCTION", "delete": "DELETE_FUNCTION"}
STAGES = ("BUILD", "SERVICE", "TRIGGER")
_NOT_STARTED, _IN_PROGRESS, _COMPLETE = "NOT_STARTED", "IN_PROGRESS", "COMPLETE"


def second(job: Job, *, stage: str = "", build: str = "", now_ms: int = 0, triggered: bool = False) -> Any:
    """google.cloud.functions.v2.OperationMetadata. `stage` is under way; "": none has begun; "done": all are over."""
    told = SECOND.OperationMetadata(target=job.name, verb=job.kind, api_version="v2")
    told.create_time.FromMilliseconds(job.begun_ms)
    if now_ms:
        told.end_time.FromMilliseconds(now_ms)
    told.request_resource.ParseFromString(job.request)
    told.operation_type = SECOND.OperationType.Value(_VERBS[job.kind])
    if job.kind == "delete":
        return told
    stages = STAGES if triggered else STAGES[:-1]
    reached = len(stages) if stage == "done" else stages.index(stage) if stage else -1
    for index, name in enumerate(stages):
        state = _COMPLETE if index < reached else _IN_PROGRESS if index == reached else _NOT_STARTED
        made = told.stages.add(
            name=SECOND.Stage.Name.Value(name), state=SECOND.Stage.State.Value(state), message=_MESSAGES[name, state]
        )
        _add_resource(made, name, job, build)
    if build:
        told.build_name = _build_name(job, build)
    return told


def first(job: Job, *, build: str = "", version: int = 0, now_ms: int = 0) -> Any:
    """google.cloud.functions.v1.OperationMetadataV1."""
    told = FIRST.OperationMetadataV1(target=job.name, type=FIRST.OperationType.Value(_VERBS[job.kind]))
    told.request.ParseFromString(job.request)
    told.version_id = version
    told.update_time.FromMilliseconds(now_ms or job.begun_ms)
    if build:
        told.build_id, told.build_name = build, _build_name(job, build)
    return told


_MESSAGES = {
    (name, state): f"{words} {ending}".strip()
    for name, words in zip(STAGES, ("Build", "Cloud Run service", "Eventarc trigger"), strict=True)
    for state, ending in ((_NOT_STARTED, ""), (_IN_PROGRESS, "in progress"), (_COMPLETE, "finished"))
}


def _build_name(job: Job, build: str) -> str:
    at = names.read(job.name)
    return f"projects/{projects.number(at.project)}/locations/{at.location}/builds/{build}"


def _add_resource(stage: Any, name: str, job: Job, build: str) -> None:
    at = names.read(job.name)
    if name == "BUILD" and build:
        stage.resource = _build_name(job, build)
        stage.resource_uri = logs_url(at, build)
    elif name == "SERVICE":
        stage.resource = f"projects/{at.project}/locations/{at.location}/services/{names.service_id(at.id)}"


def logs_url(at: names.Name, build: str) -> str:
    number = projects.number(at.project)
    return f"https://console.cloud.google.com/cloud-build/builds;region={at.location}/{build}?project={number}"
