"""What a 2nd gen function is to be, from what was asked for: checked, and with what goes without saying."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions import masking, quantities
from fogbank.gcp.services.functions.state import SECOND
from fogbank.gcp.services.functions.violations import Violations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.services.functions.names import Name

# "Quotas": "Max function duration", 60 minutes for HTTP functions, 9 for event-driven ones.
_TIMEOUT_S_MAX = {"http": 3600, "event": 540}
_CONCURRENCY_MAX = 1000
_INSTANCES_MAX = 3000
_MEMORY_MB = (128, 32768)
_PUBSUB_EVENT = "google.cloud.pubsub.topic.v1.messagePublished"
# What the service says of a function, and is not told: passed over where it is given.
_OUTPUT_ONLY = ("state", "update_time", "state_messages", "environment", "url", "satisfies_pzs", "create_time")
_OUTPUT_ONLY_BUILD = ("build", "source_provenance")
_OUTPUT_ONLY_SERVICE = ("service", "uri", "revision")
_REBUILDS = ("build_config", "service_config")  # What a new revision is made for; the rest stands beside it.


def new(at: Name, asked: Any) -> Any:
    """Raises `RpcError`."""
    settings = SECOND.Function()
    settings.CopyFrom(asked)
    settings.name = str(at)
    return _complete(settings, at)


def changed(old: Any, at: Name, asked: Any, paths: Iterable[str]) -> Any:
    """Of the fields that the mask names."""
    settings = SECOND.Function()
    paths = [_snake(path) for path in paths]
    if masking.is_whole(paths):
        settings.CopyFrom(asked)
        if not settings.build_config.HasField("source"):
            settings.build_config.source.CopyFrom(old.build_config.source)
    else:
        settings.CopyFrom(old)
        masking.apply(paths, asked, settings)
    settings.name = str(at)
    return _complete(settings, at)


def rebuilds(old: Any, now: Any) -> bool:
    """Whether a new revision is needed to bring one to the other."""
    return any(getattr(old, part) != getattr(now, part) for part in _REBUILDS)


def _snake(path: str) -> str:
    """Tools name fields in either way: "eventTrigger.retryPolicy", "event_trigger.retry_policy"."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in path)


def _complete(settings: Any, at: Name) -> Any:
    for field in _OUTPUT_ONLY:
        settings.ClearField(field)
    for field in _OUTPUT_ONLY_BUILD:
        settings.build_config.ClearField(field)
    for field in _OUTPUT_ONLY_SERVICE:
        settings.service_config.ClearField(field)
    _complete_build(settings.build_config, at)
    _complete_service(settings.service_config, at)
    if settings.HasField("event_trigger"):
        _complete_trigger(settings.event_trigger, at)
    _check(settings)
    return settings


def _complete_build(build: Any, at: Name) -> None:
    build.entry_point = build.entry_point or at.id
    build.docker_registry = build.docker_registry or SECOND.BuildConfig.DockerRegistry.Value("ARTIFACT_REGISTRY")
    build.docker_repository = build.docker_repository or (
        f"projects/{at.project}/locations/{at.location}/repositories/gcf-artifacts"
    )
    account = projects.compute_account(at.project)
    build.service_account = build.service_account or f"projects/{at.project}/serviceAccounts/{account}"
    if build.WhichOneof("runtime_update_policy") is None:
        build.automatic_update_policy.SetInParent()


def _complete_service(service: Any, at: Name) -> None:
    service.timeout_seconds = service.timeout_seconds or 60
    service.available_memory = service.available_memory or "256M"
    memory_mb = quantities.megabytes(service.available_memory)
    service.available_cpu = service.available_cpu or quantities.usual_cpu(memory_mb)
    service.max_instance_count = service.max_instance_count or 100
    service.max_instance_request_concurrency = service.max_instance_request_concurrency or 1
    service.ingress_settings = service.ingress_settings or SECOND.ServiceConfig.IngressSettings.Value("ALLOW_ALL")
    service.service_account_email = service.service_account_email or projects.compute_account(at.project)
    service.all_traffic_on_latest_revision = True
    if "LOG_EXECUTION_ID" not in service.environment_variables:
        service.environment_variables["LOG_EXECUTION_ID"] = "true"


def _complete_trigger(trigger: Any, at: Name) -> None:
    trigger.ClearField("trigger")
    trigger.trigger_region = trigger.trigger_region or at.location
    trigger.service_account_email = trigger.service_account_email or projects.compute_account(at.project)
    policy = SECOND.EventTrigger.RetryPolicy
    trigger.retry_policy = trigger.retry_policy or policy.Value("RETRY_POLICY_DO_NOT_RETRY")


def _check(settings: Any) -> None:
    build, service, wrong = settings.build_config, settings.service_config, Violations()
    wrong.check_runtime("build_config.runtime", build.runtime)
    wrong.check_entry_point("build_config.entry_point", build.entry_point)
    wrong.check_variables("build_config.environment_variables", build.environment_variables)
    wrong.check_variables("service_config.environment_variables", service.environment_variables)
    wrong.check_secrets(
        "service_config.", service.secret_environment_variables, service.secret_volumes, service.environment_variables
    )
    wrong.check_labels(settings.labels)
    _check_source(build, wrong)
    kind = "event" if settings.HasField("event_trigger") else "http"
    wrong.check_range("service_config.timeout_seconds", service.timeout_seconds, 1, _TIMEOUT_S_MAX[kind])
    concurrency = service.max_instance_request_concurrency
    wrong.check_range("service_config.max_instance_request_concurrency", concurrency, 1, _CONCURRENCY_MAX)
    wrong.check_range("service_config.max_instance_count", service.max_instance_count, 1, _INSTANCES_MAX)
    most = service.max_instance_count
    if not 0 <= service.min_instance_count <= most:
        wrong.add("service_config.min_instance_count", "min_instance_count may not be greater than max_instance_count.")
    if quantities.read(service.available_memory) is None:
        wrong.add("service_config.available_memory", f"{service.available_memory[:64]!r} is not an amount of memory.")
    else:
        memory_mb = quantities.megabytes(service.available_memory)
        wrong.check_range("service_config.available_memory", memory_mb, *_MEMORY_MB)
    cpu = quantities.read(service.available_cpu)
    if cpu is None:
        wrong.add("service_config.available_cpu", f"{service.available_cpu[:64]!r} is not an amount of CPU.")
    elif concurrency > 1 and cpu < 1:
        told = "Total cpu < 1 is not supported with concurrency > 1."
        wrong.add("service_config.max_instance_request_concurrency", told)
    if settings.HasField("event_trigger"):
        _check_trigger(settings.event_trigger, wrong)
    wrong.raise_any()


def _check_source(build: Any, wrong: Violations) -> None:
    kind = build.source.WhichOneof("source")
    if kind in ("repo_source", "git_uri"):
        raise RpcError(
            Code.UNIMPLEMENTED, f"fogbank does not build from {kind}: upload the source, or put it in a bucket."
        )
    source = build.source.storage_source
    if kind is None or not source.bucket or not source.object:
        wrong.add("build_config.source", "The source of the function must be specified: a bucket and an object.")


def _check_trigger(trigger: Any, wrong: Violations) -> None:
    if not trigger.event_type:
        wrong.add("event_trigger.event_type", "The event type must be specified.")
    if trigger.pubsub_topic and trigger.event_type != _PUBSUB_EVENT:
        wrong.add("event_trigger.pubsub_topic", f"A topic goes with the event type {_PUBSUB_EVENT} only.")
    if trigger.event_type == _PUBSUB_EVENT and not trigger.pubsub_topic:
        wrong.add("event_trigger.pubsub_topic", f"The event type {_PUBSUB_EVENT} needs a topic.")
