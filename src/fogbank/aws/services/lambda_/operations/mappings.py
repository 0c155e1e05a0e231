"""Event source mappings: what feeds a function, and how. Each is a stored trigger of the functions engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import events, mappings, paging, state, unserved
from fogbank.aws.services.lambda_.mappings import MAPPINGS, Mapping, missing
from fogbank.functions.triggers import model as triggers
from fogbank.primitives import patterns

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

# CreateEventSourceMapping: what each kind of source may be given beside what all may.
_LINKS = {"sqs": "aws.sqs_to_lambda", "dynamodb": "aws.dynamodb_to_lambda"}
_BATCH = {"sqs": 10, "dynamodb": 100}
_BATCH_MAX = {"sqs": 10_000, "dynamodb": 10_000}
_FILTERS_MAX = 10
_NOT_SERVED = ("TumblingWindowInSeconds", "KMSKeyArn", "ProvisionedPollerConfig", "MetricsConfig")
# What each kind of source has to itself ("CreateEventSourceMapping", "Request parameters": "(Kinesis and DynamoDB…)").
_OF_STREAMS = (
    "StartingPosition", "StartingPositionTimestamp", "ParallelizationFactor", "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts", "BisectBatchOnFunctionError", "DestinationConfig",
)  # fmt: skip
_OF_QUEUES = ("ScalingConfig",)
_KEPT = (
    "BatchSize", "MaximumBatchingWindowInSeconds", "ParallelizationFactor", "StartingPosition",
    "StartingPositionTimestamp", "DestinationConfig", "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError",
    "MaximumRetryAttempts", "FunctionResponseTypes", "ScalingConfig", "FilterCriteria",
)  # fmt: skip


class Mappings(Operations):
    service: ClassVar = "lambda"
    refused: ClassVar = unserved.REFUSED

    def create_event_source_mapping(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"])
        function = state.find(tx, who)
        one = state.published(tx, function, who)
        source_arn = request.get("EventSourceArn", "")
        kind = _kind(source_arn)
        _check(kind, request)
        for known in MAPPINGS.all(tx, call.account, call.region):
            if (known.function_arn, known.source_arn) == (who.arn, source_arn):
                raise ServiceError(
                    "ResourceConflictException",
                    f'The event source arn (" {source_arn} ") and function (" {who.name} ") provided mapping already '
                    f"exists. Please update or delete the existing mapping with UUID {known.id}",
                    status=409,
                    fields={"Type": "User"},
                )
        settings = {name: _stored(request[name]) for name in _KEPT if name in request}
        settings.setdefault("BatchSize", _BATCH[kind])
        if kind != "sqs" and "StartingPosition" not in settings:
            raise ServiceError(
                "InvalidParameterValueException",
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",  # noqa: E501
            )
        made = Mapping(
            call.new_id(),
            call.account,
            call.region,
            who.arn,
            source_arn,
            settings,
            request.get("Enabled", True),
            call.now_ms,
            request.get("Tags", {}),
        )
        self._put(tx, made, one)
        return _described(made, "Creating" if made.enabled else "Disabled")

    def update_event_source_mapping(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        before = self._find(tx, call, request)
        _check(_kind(before.source_arn), request)
        who = state.named(call, request.get("FunctionName", before.function_arn))
        one = state.published(tx, state.find(tx, who), who)
        given = {name: _stored(request[name]) for name in _KEPT if name in request}
        made = replace(
            before, function_arn=who.arn, settings=before.settings | given, modified_ms=call.now_ms,
            enabled=request.get("Enabled", before.enabled),
        )  # fmt: skip
        self._put(tx, made, one)
        return _described(made, "Updating")

    def get_event_source_mapping(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _described(self._find(tx, call, request))

    def list_event_source_mappings(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        wanted = state.named(call, request["FunctionName"]).arn if "FunctionName" in request else None
        source = request.get("EventSourceArn")
        every = [
            mapping
            for mapping in MAPPINGS.all(tx, call.account, call.region)
            if wanted in (None, mapping.function_arn) and source in (None, mapping.source_arn)
        ]
        page, more = paging.page(request, every, lambda mapping: mapping.id, most=100)
        return {"EventSourceMappings": [_described(mapping) for mapping in page], **more}

    def delete_event_source_mapping(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        mapping = self._find(tx, call, request)
        MAPPINGS.delete(tx, call.account, call.region, mapping.id)
        triggers.remove(tx, mapping.id)
        return _described(mapping, "Deleting")

    def _find(self, tx: Tx, call: Call, request: dict[str, Any]) -> Mapping:
        found = MAPPINGS.get(tx, call.account, call.region, request["UUID"])
        if found is None:
            raise missing()
        return found

    def _put(self, tx: Tx, mapping: Mapping, one: state.Published) -> None:
        kind = _kind(mapping.source_arn)
        link = _LINKS[kind]
        settings = mapping.settings
        try:
            source, facts = self.house.links[link].source(tx, mapping.source_arn)
        except ServiceError as error:
            raise ServiceError(
                "InvalidParameterValueException",
                f"Error occurred while ReceiveMessage. SQS Error Code: {error.code}. SQS Error Message: {error.message}"
                if kind == "sqs"
                else error.message,
            ) from error
        timeout_s = one.settings["Timeout"]
        if facts.get("visibility_timeout_s", timeout_s) < timeout_s:
            raise ServiceError(
                "InvalidParameterValueException",
                f"Queue visibility timeout: {facts['visibility_timeout_s']} seconds is less than Function timeout: "
                f"{timeout_s} seconds",
            )
        _check_batch(kind, settings, fifo=facts.get("fifo", False))
        scaling = settings.get("ScalingConfig", {}).get("MaximumConcurrency", 5)
        age_s = settings.get("MaximumRecordAgeInSeconds", -1)
        triggers.put(tx, triggers.Trigger(
            id=mapping.id, kind="queue" if kind == "sqs" else "stream", source=source, function=mapping.function_arn,
            link=link, batch_max=settings["BatchSize"],
            window_ms=1000 * settings.get("MaximumBatchingWindowInSeconds", 0), at_once_max=scaling,
            enabled=mapping.enabled, begin=settings.get("StartingPosition", "LATEST"),
            begin_ms=round(1000 * settings.get("StartingPositionTimestamp", 0)),
            retries_max=settings.get("MaximumRetryAttempts", -1), age_max_ms=1000 * age_s if age_s >= 0 else -1,
            bisect=settings.get("BisectBatchOnFunctionError", False),
            settings={
                "queue_arn" if kind == "sqs" else "stream_arn": mapping.source_arn,
                "report_batch_item_failures": "ReportBatchItemFailures" in settings.get("FunctionResponseTypes", ()),
                "filters": [one["Pattern"] for one in settings.get("FilterCriteria", {}).get("Filters", [])],
                "on_failure": settings.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", ""),
            },
        ))  # fmt: skip
        mappings.put(tx, mapping)


def _kind(arn: str) -> str:
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    if service in _LINKS:
        return service
    raise ServiceError("InvalidParameterValueException", f"The event source {arn or '(none)'} is of a kind that is not served here.")  # fmt: skip  # noqa: E501


def _check(kind: str, request: dict[str, Any]) -> None:
    for name in _NOT_SERVED:
        if request.get(name):
            raise ServiceError("InvalidParameterValueException", f"{name} of event source mappings is not served here.")
    if request.get("ParallelizationFactor", 1) > 1:
        told = "A ParallelizationFactor above 1 is not served here: a shard's batches run one after the other."
        raise ServiceError("InvalidParameterValueException", told)
    filters = [one.get("Pattern", "") for one in request.get("FilterCriteria", {}).get("Filters", [])]
    if len(filters) > _FILTERS_MAX:
        raise ServiceError("InvalidParameterValueException", f"Number of filters exceeds the limit of {_FILTERS_MAX}.")
    for text in filters:
        try:
            patterns.compiled(text)
        except patterns.BadPattern as error:
            told = f"Invalid filter pattern definition: {error}."
            raise ServiceError("InvalidParameterValueException", told) from error
    destination = request.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if destination:
        events.check_target(destination)
    for name in _OF_STREAMS if kind == "sqs" else _OF_QUEUES:
        if request.get(name) not in (None, {}):
            told = f"Unsupported {name} parameter for given event source mapping type."
            raise ServiceError("InvalidParameterValueException", told)
    if request.get("StartingPosition") == "AT_TIMESTAMP":
        # StartingPosition: "AT_TIMESTAMP is supported only for Amazon Kinesis streams, Amazon DocumentDB, Amazon MSK,
        # and self-managed Apache Kafka."
        told = "Unsupported starting position for given event source type."
        raise ServiceError("InvalidParameterValueException", told)


def _check_batch(kind: str, settings: dict[str, Any], *, fifo: bool) -> None:
    size, window_s = settings["BatchSize"], settings.get("MaximumBatchingWindowInSeconds", 0)
    most = 10 if fifo else _BATCH_MAX[kind]
    if fifo and window_s:
        raise ServiceError("InvalidParameterValueException", "Batching window is not supported for FIFO queues")
    if size > most:
        raise ServiceError("InvalidParameterValueException", f"Batch size {size} is larger than the {most} that this source allows.")  # fmt: skip  # noqa: E501
    if kind == "sqs" and size > 10 and not window_s:
        raise ServiceError("InvalidParameterValueException", "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")  # fmt: skip  # noqa: E501


def _stored(value: Any) -> Any:
    return value.timestamp() if hasattr(value, "timestamp") else value


def _described(mapping: Mapping, status: str = "") -> dict[str, Any]:
    defaults: dict[str, Any] = {"MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []}
    if _kind(mapping.source_arn) != "sqs":
        defaults |= {
            "ParallelizationFactor": 1, "MaximumRecordAgeInSeconds": -1, "MaximumRetryAttempts": -1,
            "BisectBatchOnFunctionError": False, "DestinationConfig": {"OnFailure": {}}, "TumblingWindowInSeconds": 0,
            "LastProcessingResult": "No records processed",
        }  # fmt: skip
    return {
        **defaults,
        **mapping.settings,
        "UUID": mapping.id,
        "EventSourceArn": mapping.source_arn,
        "EventSourceMappingArn": mapping.arn,
        "FunctionArn": mapping.function_arn,
        "LastModified": mapping.modified_ms / 1000,
        "State": status or ("Enabled" if mapping.enabled else "Disabled"),
        "StateTransitionReason": "USER_INITIATED" if _kind(mapping.source_arn) == "sqs" else "User action",
    }
