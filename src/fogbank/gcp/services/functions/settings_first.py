"""What a 1st gen function is to be, from what was asked for: checked, and with what goes without saying."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions import masking
from fogbank.gcp.services.functions.state import FIRST
from fogbank.gcp.services.functions.violations import Violations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.services.functions.names import Name

_TIMEOUT_S_MAX = 540  # "Quotas": "Max function duration", 9 minutes.
_MEMORIES_MB = (128, 256, 512, 1024, 2048, 4096, 8192)
_INSTANCES_MAX = 3000
_OUTPUT_ONLY = ("status", "update_time", "version_id", "build_id", "build_name")
# What a new version is made for; the rest stands beside it.
_REBUILDS = (
    "source_archive_url", "source_upload_url", "entry_point", "runtime", "timeout", "available_memory_mb",
    "environment_variables", "build_environment_variables", "max_instances", "min_instances", "https_trigger",
    "event_trigger", "secret_environment_variables", "secret_volumes", "service_account_email",
)  # fmt: skip


def new(at: Name, asked: Any) -> Any:
    """Raises `RpcError`."""
    settings = FIRST.CloudFunction()
    settings.CopyFrom(asked)
    settings.name = str(at)
    return _complete(settings, at)


def changed(old: Any, at: Name, asked: Any, paths: Iterable[str]) -> Any:
    settings = FIRST.CloudFunction()
    paths = list(paths)
    if masking.is_whole(paths):
        settings.CopyFrom(asked)
        if settings.WhichOneof("source_code") is None:
            settings.source_upload_url = old.source_upload_url
    else:
        settings.CopyFrom(old)
        paths = [path for path in paths if path.partition(".")[0] not in _OUTPUT_ONLY]
        masking.apply(sorted(paths, key=lambda path: asked.WhichOneof("trigger") == path), asked, settings)
    settings.name = str(at)
    return _complete(settings, at)


def rebuilds(old: Any, now: Any) -> bool:
    return any(getattr(old, part) != getattr(now, part) for part in _REBUILDS)


def _complete(settings: Any, at: Name) -> Any:
    for field in _OUTPUT_ONLY:
        settings.ClearField(field)
    if settings.WhichOneof("source_code") == "source_repository":
        raise RpcError(Code.UNIMPLEMENTED, "fogbank does not build from a repository: upload the source.")
    settings.entry_point = settings.entry_point or at.id
    if not settings.HasField("timeout"):
        settings.timeout.seconds = 60
    settings.available_memory_mb = settings.available_memory_mb or 256
    settings.service_account_email = settings.service_account_email or projects.appspot_account(at.project)
    settings.ingress_settings = settings.ingress_settings or FIRST.CloudFunction.IngressSettings.Value("ALLOW_ALL")
    settings.docker_registry = settings.docker_registry or FIRST.CloudFunction.DockerRegistry.Value("ARTIFACT_REGISTRY")
    if settings.WhichOneof("runtime_update_policy") is None:
        settings.automatic_update_policy.SetInParent()
    if settings.WhichOneof("trigger") == "https_trigger":
        level = FIRST.HttpsTrigger.SecurityLevel
        settings.https_trigger.security_level = settings.https_trigger.security_level or level.Value("SECURE_OPTIONAL")
        settings.https_trigger.ClearField("url")
    _check(settings)
    return settings


def _check(settings: Any) -> None:
    wrong = Violations()
    wrong.check_runtime("runtime", settings.runtime)
    wrong.check_entry_point("entry_point", settings.entry_point)
    wrong.check_variables("environment_variables", settings.environment_variables)
    wrong.check_variables("build_environment_variables", settings.build_environment_variables)
    wrong.check_secrets(
        "", settings.secret_environment_variables, settings.secret_volumes, settings.environment_variables
    )
    wrong.check_labels(settings.labels)
    if settings.WhichOneof("source_code") is None:
        wrong.add(
            "source_code", "Invalid source code specified: a function needs source_archive_url or source_upload_url."
        )
    if settings.WhichOneof("trigger") is None:
        wrong.add("trigger", "Function must have a trigger: https_trigger or event_trigger.")
    if not 0 < milliseconds(settings.timeout) <= _TIMEOUT_S_MAX * 1000:
        wrong.add("timeout", f"Timeout must be between 1s and {_TIMEOUT_S_MAX}s.")
    if settings.available_memory_mb not in _MEMORIES_MB:
        told = f"Invalid memory of {settings.available_memory_mb} MB: it must be one of {list(_MEMORIES_MB)}."
        wrong.add("available_memory_mb", told)
    wrong.check_range("max_instances", settings.max_instances, 0, _INSTANCES_MAX)
    if settings.min_instances < 0 or 0 < settings.max_instances < settings.min_instances:
        wrong.add("min_instances", "min_instances may not be greater than max_instances.")
    if settings.HasField("event_trigger"):
        if not settings.event_trigger.event_type:
            wrong.add("event_trigger.event_type", "The event type must be specified.")
        if not settings.event_trigger.resource:
            wrong.add("event_trigger.resource", "The resource must be specified.")
    wrong.raise_any()
