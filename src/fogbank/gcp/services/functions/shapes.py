"""A function as each API shows it: its settings, and what is true of it at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol import hosts
from fogbank.gcp.services.functions.state import DELETING, DEPLOYING, FAILED, FIRST, SECOND

if TYPE_CHECKING:
    from fogbank.gcp.services.functions.state import Function

_STATUSES = {DEPLOYING: "DEPLOY_IN_PROGRESS", DELETING: "DELETE_IN_PROGRESS", FAILED: "OFFLINE"}


def first(function: Function, endpoint: str) -> Any:
    """As the v1 API shows one of the 1st gen."""
    shown = FIRST.CloudFunction()
    shown.CopyFrom(function.first)
    at = function.at
    shown.status = FIRST.CloudFunctionStatus.Value(_STATUSES.get(function.state, function.state))
    shown.update_time.FromMilliseconds(function.updated_ms)
    shown.version_id = function.serving.number if function.serving else function.deployments
    if function.serving:
        shown.build_id = function.serving.build
        shown.build_name = build_name(function, function.serving.build)
    if shown.WhichOneof("trigger") == "https_trigger":
        shown.https_trigger.url = f"{endpoint}/{hosts.functions_host(at.project, at.location)}/{at.id}"
    return shown


def second(function: Function, endpoint: str) -> Any:
    """As the v2 API shows one of either."""
    shown = SECOND.Function()
    if function.generation == 2:
        shown.CopyFrom(function.second)
        _add_service(shown, function, endpoint)
        shown.environment = SECOND.Environment.Value("GEN_2")
    else:
        _from_first(shown, function, endpoint)
        shown.environment = SECOND.Environment.Value("GEN_1")
    at = function.at
    shown.url = f"{endpoint}/{hosts.functions_host(at.project, at.location)}/{at.id}"
    shown.state = SECOND.Function.State.Value(function.state)
    shown.create_time.FromMilliseconds(function.created_ms)
    shown.update_time.FromMilliseconds(function.updated_ms)
    for one in function.messages:
        severity = SECOND.StateMessage.Severity.Value(one.severity)
        shown.state_messages.add(severity=severity, type=one.type, message=one.text)
    if function.serving:
        shown.build_config.build = build_name(function, function.serving.build)
    return shown


def build_name(function: Function, build: str) -> str:
    at = function.at
    return f"projects/{projects.number(at.project)}/locations/{at.location}/builds/{build}"


def service_name(function: Function) -> str:
    at = function.at
    return f"projects/{at.project}/locations/{at.location}/services/{function.service}"


def uri(function: Function, endpoint: str) -> str:
    at = function.at
    return f"{endpoint}/{hosts.service_host(at.project, at.location, function.service)}"


def _add_service(shown: Any, function: Function, endpoint: str) -> None:
    source = shown.build_config.source_provenance.resolved_storage_source
    source.CopyFrom(shown.build_config.source.storage_source)
    shown.service_config.service = service_name(function)
    if function.serving:
        shown.service_config.uri = uri(function, endpoint)
        shown.service_config.revision = function.serving.revision
    if function.trigger:
        shown.event_trigger.trigger = function.trigger


def _from_first(shown: Any, function: Function, endpoint: str) -> None:
    told = first(function, endpoint)
    shown.name, shown.description, shown.kms_key_name = told.name, told.description, told.kms_key_name
    shown.labels.update(told.labels)
    build, service = shown.build_config, shown.service_config
    build.runtime, build.entry_point = told.runtime, told.entry_point
    build.environment_variables.update(told.build_environment_variables)
    build.docker_registry = told.docker_registry
    build.source.storage_source.source_upload_url = told.source_upload_url
    if told.source_archive_url:
        bucket, _, name = told.source_archive_url.removeprefix("gs://").partition("/")
        build.source.storage_source.bucket, build.source.storage_source.object = bucket, name
    service.timeout_seconds = told.timeout.seconds
    service.available_memory = f"{told.available_memory_mb}M"
    service.environment_variables.update(told.environment_variables)
    service.max_instance_count, service.min_instance_count = told.max_instances, told.min_instances
    service.service_account_email = told.service_account_email
    service.ingress_settings = told.ingress_settings
    service.vpc_connector = told.vpc_connector
    service.revision = str(told.version_id)
    for variable in told.secret_environment_variables:
        service.secret_environment_variables.add().ParseFromString(variable.SerializeToString())
    for volume in told.secret_volumes:
        service.secret_volumes.add().ParseFromString(volume.SerializeToString())
    if told.WhichOneof("trigger") == "https_trigger":
        service.uri = told.https_trigger.url
        service.security_level = told.https_trigger.security_level
    else:
        trigger, policy = shown.event_trigger, SECOND.EventTrigger.RetryPolicy
        trigger.event_type = told.event_trigger.event_type
        trigger.service = told.event_trigger.service
        retries = told.event_trigger.failure_policy.HasField("retry")
        trigger.retry_policy = policy.Value("RETRY_POLICY_RETRY" if retries else "RETRY_POLICY_DO_NOT_RETRY")
        if "/topics/" in told.event_trigger.resource:
            trigger.pubsub_topic = told.event_trigger.resource
        else:
            trigger.event_filters.add(attribute="resource", value=told.event_trigger.resource)
