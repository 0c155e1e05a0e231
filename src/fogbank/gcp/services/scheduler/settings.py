"""Settings of jobs: what they may be, and what they are where nobody says."""

from __future__ import annotations

import re
from typing import Any

from fogbank.gcp.protocol import masks, targets
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.scheduler import state
from fogbank.gcp.services.scheduler.schedules import BadSchedule
from fogbank.gcp.services.scheduler.state import SCHEDULER

AGENT = "Google-Cloud-Scheduler"
_USUAL_DEADLINE_MS, _DEADLINE_MS = 180_000, (15_000, 1_800_000)
_USUAL_DOUBLINGS, _USUAL_BACKOFF_MS, _RETRIES_MAX = 5, (5_000, 3_600_000), 5
_JOB_MAX, _DESCRIPTION_MAX = 1024 * 1024, 500
_TOPIC = re.compile(r"projects/([^/]+)/topics/[^/]+")
_TOLD_BY_US = ("user_update_time", "state", "status", "schedule_time", "last_attempt_time")
_TARGETS = ("pubsub_target", "http_target", "app_engine_http_target")


def invalid(text: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, text)


def new(given: Any, now_ms: int) -> Any:
    """Raises `RpcError`."""
    job = SCHEDULER.Job()
    job.CopyFrom(given)
    for name in _TOLD_BY_US:
        job.ClearField(name)
    job.state = state.ENABLED
    return _completed(job, now_ms)


def changed(old: Any, request: Any, now_ms: int) -> Any:
    """Raises `RpcError`."""
    paths = list(request.update_mask.paths)
    job = SCHEDULER.Job()
    if not paths:
        job.CopyFrom(request.job)
        for name in (*_TOLD_BY_US, "name"):
            job.ClearField(name)
            if old.DESCRIPTOR.fields_by_name[name].message_type is None or old.HasField(name):
                _take(old, job, name)
        return _completed(job, now_ms)
    job.CopyFrom(old)
    for path in paths:
        if path.partition(".")[0] not in SCHEDULER.Job.DESCRIPTOR.fields_by_name:
            raise invalid(f"Invalid mask for Job: {path[:256]}")
    kept = [path for path in paths if path.partition(".")[0] not in (*_TOLD_BY_US, "name")]
    try:
        masks.apply(kept, request.job, job)
    except KeyError as error:
        raise invalid(f"Invalid mask for Job: {error}") from error
    return _completed(job, now_ms)


def _take(source: Any, target: Any, name: str) -> None:
    value = getattr(source, name)
    if source.DESCRIPTOR.fields_by_name[name].message_type is None:
        setattr(target, name, value)
    else:
        getattr(target, name).CopyFrom(value)


def _completed(job: Any, now_ms: int) -> Any:
    job.user_update_time.FromMilliseconds(now_ms)
    job.time_zone = job.time_zone or "UTC"
    try:
        due_ms = state.next_ms(job, now_ms)
    except BadSchedule:
        due_ms = None
    if due_ms is None:
        raise invalid("Schedule or time zone is invalid.")
    if len(job.description) > _DESCRIPTION_MAX:
        raise invalid("Job.description must not contain more than 500 characters.")
    _complete_retries(job)
    match job.WhichOneof("target"):
        case "http_target":
            _complete_http(job)
        case "pubsub_target":
            _check_pubsub(job)
        case "app_engine_http_target":
            raise RpcError(
                Code.UNIMPLEMENTED, "fogbank does not serve App Engine: app_engine_http_target cannot be set."
            )
        case _:
            raise invalid("Job.target is required: one of " + ", ".join(_TARGETS) + ".")
    if job.ByteSize() > _JOB_MAX:
        raise invalid("Job size too large")
    return job


def _complete_retries(job: Any) -> None:
    retries = job.retry_config
    if not 0 <= retries.retry_count <= _RETRIES_MAX:
        raise invalid("RetryConfig.retryCount must be between 0 and 5.")
    if retries.max_doublings < 0:
        raise invalid("RetryConfig.maxDoublings cannot be negative.")
    retries.max_doublings = retries.max_doublings or _USUAL_DOUBLINGS
    for name, usual in zip(("min_backoff_duration", "max_backoff_duration"), _USUAL_BACKOFF_MS, strict=True):
        if not retries.HasField(name):
            getattr(retries, name).FromMilliseconds(usual)
    retries.max_retry_duration.SetInParent()
    for name in ("min_backoff_duration", "max_backoff_duration", "max_retry_duration"):
        if milliseconds(getattr(retries, name)) < 0:
            raise invalid(f"RetryConfig.{name} cannot be negative.")
    if milliseconds(retries.min_backoff_duration) > milliseconds(retries.max_backoff_duration):
        raise invalid("RetryConfig.minBackoffDuration must be less than or equal to RetryConfig.maxBackoffDuration.")


def _complete_http(job: Any) -> None:
    target = job.http_target
    if not target.uri.startswith(("http://", "https://")):
        raise invalid("HttpTarget.uri must start with 'http://' or 'https://'.")
    targets.complete(target, "HttpTarget", "uri", SCHEDULER.HttpMethod, AGENT)
    if target.body and not any(name.lower() == "content-type" for name in target.headers):
        target.headers["Content-Type"] = "application/octet-stream"
    if not job.HasField("attempt_deadline"):
        job.attempt_deadline.FromMilliseconds(_USUAL_DEADLINE_MS)
    if not _DEADLINE_MS[0] <= milliseconds(job.attempt_deadline) <= _DEADLINE_MS[1]:
        raise invalid("Job.attemptDeadline must be between [15s, 30m].")


def _check_pubsub(job: Any) -> None:
    target = job.pubsub_target
    topic = _TOPIC.fullmatch(target.topic_name)
    if topic is None:
        raise invalid('PubsubTarget.topicName must be formatted: "projects/<PROJECT_ID>/topics/<TOPIC_ID>".')
    if topic[1] != job.name.split("/")[1]:
        raise invalid("PubsubTarget.topicName must be in the same project as the Cloud Scheduler job.")
    if not target.data and not target.attributes:
        raise invalid("Pubsub message must contain either non-empty data, or at least one attribute.")
