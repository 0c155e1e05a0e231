"""Settings of queues and tasks: what they may be, and what they are where nobody says."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fogbank.gcp.protocol import masks, targets
from fogbank.gcp.protocol.times import is_moment, milliseconds
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.tasks import state
from fogbank.gcp.services.tasks.state import TASKS_V2

_USUAL_RATE, _USUAL_CONCURRENT, _RATE_MAX, _CONCURRENT_MAX = 500.0, 1000, 500, 5000
_USUAL_ATTEMPTS, _USUAL_DOUBLINGS, _USUAL_BACKOFF_MS = 100, 16, (100, 3_600_000)
_BURST_LEAST, _BURST_OF_RATE = 10, 5  # What queues have been seen with: 500 a second has 100, 1 a second has 10.
_USUAL_DEADLINE_MS, _DEADLINE_MS = 600_000, (15_000, 1_800_000)
_AHEAD_MAX_MS = 720 * 3_600_000
_TASK_MAX = 100 * 1024
_MUTABLE = ("rate_limits", "retry_config", "stackdriver_logging_config", "app_engine_routing_override")
_TOLD_IN = ZoneInfo("America/Los_Angeles")  # In which the service tells a time that is too far off.
AGENT = "Google-Cloud-Tasks"


def invalid(text: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, text)


def new_queue(given: Any) -> Any:
    """Raises `RpcError`."""
    queue = TASKS_V2.Queue()
    queue.CopyFrom(given)
    queue.state = state.RUNNING
    queue.ClearField("purge_time")
    return _completed(queue)


def changed_queue(old: Any, request: Any) -> Any:
    """ "If empty, then all fields will be updated." """
    queue = TASKS_V2.Queue()
    queue.CopyFrom(old)
    paths = list(request.update_mask.paths) or list(_MUTABLE)
    for path in paths:
        top = path.partition(".")[0]
        if top not in TASKS_V2.Queue.DESCRIPTOR.fields_by_name:
            raise invalid(f"Invalid mask for Queue: {path[:256]}")
    try:
        masks.apply([path for path in paths if path.partition(".")[0] in _MUTABLE], request.queue, queue)
    except KeyError as error:
        raise invalid(f"Invalid mask for Queue: {error}") from error
    return _completed(queue)


def _completed(queue: Any) -> Any:
    if queue.HasField("app_engine_routing_override"):
        raise _app_engine("app_engine_routing_override")
    rates, retries = queue.rate_limits, queue.retry_config
    _check_rates(rates)
    rates.max_dispatches_per_second = rates.max_dispatches_per_second or _USUAL_RATE
    rates.max_concurrent_dispatches = rates.max_concurrent_dispatches or _USUAL_CONCURRENT
    rates.max_burst_size = max(_BURST_LEAST, int(rates.max_dispatches_per_second / _BURST_OF_RATE))
    _check_retries(retries)
    retries.max_attempts = retries.max_attempts or _USUAL_ATTEMPTS
    retries.max_doublings = retries.max_doublings or _USUAL_DOUBLINGS
    for name, usual in zip(("min_backoff", "max_backoff"), _USUAL_BACKOFF_MS, strict=True):
        if not retries.HasField(name):
            getattr(retries, name).FromMilliseconds(usual)
    if milliseconds(retries.min_backoff) > milliseconds(retries.max_backoff):
        raise invalid("RetryConfig.minBackoff must be less than or equal to RetryConfig.maxBackoff.")
    if not 0 <= queue.stackdriver_logging_config.sampling_ratio <= 1:
        raise invalid("StackdriverLoggingConfig.samplingRatio must be between 0.0 and 1.0.")
    return queue


def _check_rates(rates: Any) -> None:
    if rates.max_dispatches_per_second < 0:
        raise invalid("RateLimits.maxDispatchesPerSecond cannot be negative.")
    if not rates.max_dispatches_per_second <= _RATE_MAX:
        raise invalid("RateLimits.maxDispatchesPerSecond must be less than or equal to 500.")
    if rates.max_concurrent_dispatches < 0:
        raise invalid("RateLimits.maxConcurrentDispatches cannot be negative.")
    if rates.max_concurrent_dispatches > _CONCURRENT_MAX:
        raise invalid("RateLimits.maxConcurrentDispatches must be less than or equal to 5000.")


def _check_retries(retries: Any) -> None:
    if retries.max_attempts < -1:
        raise invalid("RetryConfig.maxAttempts must be greater or equal to -1.")
    if retries.max_doublings < 0:
        raise invalid("RetryConfig.maxDoublings cannot be negative.")
    for name, told in (("min_backoff", "minBackoff"), ("max_backoff", "maxBackoff"),
                       ("max_retry_duration", "maxRetryDuration")):  # fmt: skip
        if milliseconds(getattr(retries, name)) < 0:
            raise invalid(f"RetryConfig.{told} cannot be negative.")


def new_task(given: Any, now_ms: int) -> Any:
    """Raises `RpcError`."""
    if given.ByteSize() > _TASK_MAX:
        raise invalid("Task size too large")
    task = TASKS_V2.Task()
    task.CopyFrom(given)
    for unsaid in ("create_time", "dispatch_count", "response_count", "first_attempt", "last_attempt", "view"):
        task.ClearField(unsaid)
    match task.WhichOneof("message_type"):
        case "app_engine_http_request":
            raise _app_engine("app_engine_http_request")
        case None:
            raise invalid("Task.message_type is required.")
    _check_request(task.http_request)
    _check_times(task, now_ms)
    task.create_time.FromMilliseconds(now_ms // 1000 * 1000)
    return task


def _check_request(request: Any) -> None:
    if not request.url:
        raise invalid("HttpRequest.url is required.")
    if not request.url.startswith(("http://", "https://")):
        raise invalid("HttpTarget.url must start with 'http://' or 'https://'.")
    targets.complete(request, "HttpRequest", "url", TASKS_V2.HttpMethod, AGENT)
    if request.WhichOneof("authorization_header") == "oidc_token":
        request.oidc_token.audience = request.oidc_token.audience or request.url


def _check_times(task: Any, now_ms: int) -> None:
    if task.HasField("dispatch_deadline"):
        if not _DEADLINE_MS[0] <= milliseconds(task.dispatch_deadline) <= _DEADLINE_MS[1]:
            raise invalid("Task.dispatchDeadline must be between [15s, 30m].")
    else:
        task.dispatch_deadline.FromMilliseconds(_USUAL_DEADLINE_MS)
    if not task.HasField("schedule_time") or milliseconds(task.schedule_time) < now_ms:
        task.schedule_time.FromMilliseconds(now_ms)
    if not is_moment(task.schedule_time):
        raise invalid("Task.scheduleTime is not a valid time.")
    if milliseconds(task.schedule_time) > now_ms + _AHEAD_MAX_MS:
        told = datetime.fromtimestamp(task.schedule_time.seconds, _TOLD_IN).isoformat()
        raise invalid(
            f"The Task.scheduleTime, {told}, is too far in the future. Schedule time must be no more than 720h in the "
            "future."
        )


def _app_engine(name: str) -> RpcError:
    return RpcError(Code.UNIMPLEMENTED, f"fogbank does not serve App Engine: {name} cannot be set.")
