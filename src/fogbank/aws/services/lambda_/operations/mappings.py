"""Event source mappings: what feeds a function, and how. Each is a stored trigger of the functions engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import destinations, mappings, paging, state, unserved
from fogbank.aws.services.lambda_.mappings import MAPPINGS, Mapping, missing
from fogbank.functions.triggers import stored as triggers
from fogbank.functions.triggers.model import Trigger
from fogbank.primitives import patterns

if TYPE_CHECKING:
    from fogbank.aws.services.lambda_.sources import Feeding
    from fogbank.kernel.store import Tx

_BATCH_MAX, _BATCH_FIFO_MAX, _BATCH_UNGATHERED_MAX = 10_000, 10, 10
_FILTERS_MAX = 10
_AGE_MIN_S = 60
_NOT_SERVED = ("KMSKeyArn", "MetricsConfig")
_INVOKES_OF_A_POLLER = 10  # "Provisioned mode": "Each event poller can handle … up to 10 concurrent invokes".
_POLLERS_MAX = 200
_KEPT = (
    "BatchSize", "MaximumBatchingWindowInSeconds", "ParallelizationFactor", "StartingPosition",
    "StartingPositionTimestamp", "DestinationConfig", "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError",
    "MaximumRetryAttempts", "FunctionResponseTypes", "ScalingConfig", "FilterCriteria", "TumblingWindowInSeconds",
    "ProvisionedPollerConfig",
)  # fmt: skip


class Mappings(Operations):
    service: ClassVar = "lambda"
    refused: ClassVar = unserved.REFUSED

    def create_event_source_mapping(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"])
        function = state.find(tx, who)
        one = state.published(tx, function, who)
        source_arn = request.get("EventSourceArn", "")
        _, feeding = self._source(source_arn)
        self._check(feeding, request)
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
        settings.setdefault("BatchSize", feeding.batch)
        if feeding.kind == "stream" and "StartingPosition" not in settings:
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
        return self._described(tx, made, "Creating" if made.enabled else "Disabled")

    def update_event_source_mapping(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        before = self._find(tx, call, request)
        self._check(self._source(before.source_arn)[1], request)
        who = state.named(call, request.get("FunctionName", before.function_arn))
        one = state.published(tx, state.find(tx, who), who)
        given = {name: _stored(request[name]) for name in _KEPT if name in request}
        made = replace(
            before, function_arn=who.arn, settings=before.settings | given, modified_ms=call.now_ms,
            enabled=request.get("Enabled", before.enabled),
        )  # fmt: skip
        self._put(tx, made, one)
        status = "Updating"
        if made.enabled != before.enabled:
            status = "Enabling" if made.enabled else "Disabling"
        return self._described(tx, made, status)

    def get_event_source_mapping(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._described(tx, self._find(tx, call, request))

    def list_event_source_mappings(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        wanted = state.named(call, request["FunctionName"]).arn if "FunctionName" in request else None
        source = request.get("EventSourceArn")
        every = [
            mapping
            for mapping in MAPPINGS.all(tx, call.account, call.region)
            if wanted in (None, mapping.function_arn) and source in (None, mapping.source_arn)
        ]
        page, more = paging.page(request, every, lambda mapping: mapping.id, most=100)
        return {"EventSourceMappings": [self._described(tx, mapping) for mapping in page], **more}

    def delete_event_source_mapping(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        mapping = self._find(tx, call, request)
        shown = self._described(tx, mapping, "Deleting")
        MAPPINGS.delete(tx, call.account, call.region, mapping.id)
        triggers.remove(tx, mapping.id)
        return shown

    def _find(self, tx: Tx, call: Call, request: dict[str, Any]) -> Mapping:
        found = MAPPINGS.get(tx, call.account, call.region, request["UUID"])
        if found is None:
            raise missing()
        return found

    def _put(self, tx: Tx, mapping: Mapping, one: state.Published) -> None:
        link, feeding = self._source(mapping.source_arn)
        settings, queue = mapping.settings, feeding.kind == "queue"
        try:
            source, facts = self.house.links[link].source(tx, mapping.source_arn)
        except ServiceError as error:
            raise ServiceError(
                "InvalidParameterValueException",
                f"Error occurred while ReceiveMessage. SQS Error Code: {error.code}. SQS Error Message: {error.message}"
                if queue
                else error.message,
            ) from error
        timeout_s = one.settings["Timeout"]
        if facts.get("visibility_timeout_s", timeout_s) < timeout_s:
            raise ServiceError(
                "InvalidParameterValueException",
                f"Queue visibility timeout: {facts['visibility_timeout_s']} seconds is less than Function timeout: "
                f"{timeout_s} seconds",
            )
        _check_batch(settings, queue=queue, fifo=facts.get("fifo", False))
        age_s = settings.get("MaximumRecordAgeInSeconds", -1)
        triggers.put(tx, Trigger(
            id=mapping.id, kind=feeding.kind, source=source, function=mapping.function_arn, link=link,
            batch_max=settings["BatchSize"], window_ms=1000 * settings.get("MaximumBatchingWindowInSeconds", 0),
            at_once_max=_at_once(settings), enabled=mapping.enabled,
            begin=settings.get("StartingPosition", "LATEST"),
            begin_ms=round(1000 * settings.get("StartingPositionTimestamp", 0)),
            retries_max=settings.get("MaximumRetryAttempts", -1), age_max_ms=1000 * age_s if age_s >= 0 else -1,
            bisect=settings.get("BisectBatchOnFunctionError", False), lanes=settings.get("ParallelizationFactor", 1),
            tumbling_ms=1000 * settings.get("TumblingWindowInSeconds", 0),
            settings={
                "queue_arn" if queue else "stream_arn": mapping.source_arn,
                "report_batch_item_failures": "ReportBatchItemFailures" in settings.get("FunctionResponseTypes", ()),
                "filters": [one["Pattern"] for one in settings.get("FilterCriteria", {}).get("Filters", [])],
                "on_failure": _on_failure(settings),
            },
        ))  # fmt: skip
        mappings.put(tx, mapping)

    def _source(self, arn: str) -> tuple[str, Feeding]:
        """The name of the link that reads such sources, and what it says of them."""
        service = arn.split(":")[2] if arn.count(":") >= 5 else ""
        for name, link in self.house.links.items():
            feeding = getattr(link, "FEEDS", None)
            if feeding is not None and feeding.service == service:
                return name, feeding
        raise ServiceError("InvalidParameterValueException", f"The event source {arn or '(none)'} is of a kind that is not served here.")  # fmt: skip  # noqa: E501

    def _check(self, feeding: Feeding, request: dict[str, Any]) -> None:
        for name in _NOT_SERVED:
            if request.get(name):
                told = f"{name} of event source mappings is not served here."
                raise ServiceError("InvalidParameterValueException", told)
        for name in feeding.foreign:
            if request.get(name) not in (None, {}):
                told = f"Unsupported {name} parameter for given event source mapping type."
                raise ServiceError("InvalidParameterValueException", told)
        _check_filters(request)
        _check_numbers(request)
        position = request.get("StartingPosition", "")
        if position and position not in feeding.positions:
            told = "Unsupported starting position for given event source type."
            raise ServiceError("InvalidParameterValueException", told)
        if (position == "AT_TIMESTAMP") != ("StartingPositionTimestamp" in request):
            told = "StartingPositionTimestamp is given with StartingPosition AT_TIMESTAMP, and only with that."
            raise ServiceError("InvalidParameterValueException", told)
        destination = _on_failure(request)
        if destination:
            destinations.check(self.house, destination, destinations.OF_BATCHES)

    def _described(self, tx: Tx, mapping: Mapping, status: str = "") -> dict[str, Any]:
        streaming = self._source(mapping.source_arn)[1].kind == "stream"
        defaults: dict[str, Any] = {"MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []}
        if streaming:
            defaults |= {
                "ParallelizationFactor": 1, "MaximumRecordAgeInSeconds": -1, "MaximumRetryAttempts": -1,
                "BisectBatchOnFunctionError": False, "DestinationConfig": {"OnFailure": {}},
                "TumblingWindowInSeconds": 0,
                "LastProcessingResult": triggers.result(tx, mapping.id) or "No records processed",
            }  # fmt: skip
        chosen = {name: value for name, value in mapping.settings.items() if value != {} or name in defaults}
        return {
            **defaults,
            **chosen,
            "UUID": mapping.id,
            "EventSourceArn": mapping.source_arn,
            "EventSourceMappingArn": mapping.arn,
            "FunctionArn": mapping.function_arn,
            "LastModified": mapping.modified_ms / 1000,
            "State": status or ("Enabled" if mapping.enabled else "Disabled"),
            "StateTransitionReason": "User action" if streaming else "USER_INITIATED",
        }


def _on_failure(given: dict[str, Any]) -> str:
    return str(given.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", ""))


def _at_once(settings: dict[str, Any]) -> int:
    """Batches of a queue in work at a time; 0 where nothing was chosen."""
    if settings.get("ScalingConfig"):
        return int(settings["ScalingConfig"].get("MaximumConcurrency", 0))
    if settings.get("ProvisionedPollerConfig"):
        return _INVOKES_OF_A_POLLER * int(settings["ProvisionedPollerConfig"].get("MaximumPollers", _POLLERS_MAX))
    return 0


def _check_filters(request: dict[str, Any]) -> None:
    filters = [one.get("Pattern", "") for one in request.get("FilterCriteria", {}).get("Filters", [])]
    if len(filters) > _FILTERS_MAX:
        raise ServiceError("InvalidParameterValueException", f"Number of filters exceeds the limit of {_FILTERS_MAX}.")
    for text in filters:
        try:
            patterns.compiled(text)
        except patterns.BadPattern as error:
            told = f"Invalid filter pattern definition: {error}."
            raise ServiceError("InvalidParameterValueException", told) from error


def _check_numbers(request: dict[str, Any]) -> None:
    age_s = request.get("MaximumRecordAgeInSeconds", -1)
    if -1 < age_s < _AGE_MIN_S:
        # "values less than 60 and greater than -1 fall within the parameter's absolute range, they are not allowed".
        told = f"MaximumRecordAgeInSeconds must be -1, or from {_AGE_MIN_S} to 604800."
        raise ServiceError("InvalidParameterValueException", told)
    pollers = request.get("ProvisionedPollerConfig", {})
    if pollers and request.get("ScalingConfig"):
        # "Provisioned mode": "You cannot use provisioned mode … with the maximum concurrency setting".
        told = "ProvisionedPollerConfig and ScalingConfig cannot both be set."
        raise ServiceError("InvalidParameterValueException", told)
    if pollers.get("MinimumPollers", 0) > pollers.get("MaximumPollers", _POLLERS_MAX):
        told = "MinimumPollers must not be greater than MaximumPollers."
        raise ServiceError("InvalidParameterValueException", told)


def _check_batch(settings: dict[str, Any], *, queue: bool, fifo: bool) -> None:
    size, window_s = settings["BatchSize"], settings.get("MaximumBatchingWindowInSeconds", 0)
    most = _BATCH_FIFO_MAX if fifo else _BATCH_MAX
    if fifo and window_s:
        raise ServiceError("InvalidParameterValueException", "Batching window is not supported for FIFO queues")
    if size > most:
        raise ServiceError("InvalidParameterValueException", f"Batch size {size} is larger than the {most} that this source allows.")  # fmt: skip  # noqa: E501
    if queue and size > _BATCH_UNGATHERED_MAX and not window_s:
        raise ServiceError("InvalidParameterValueException", "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")  # fmt: skip  # noqa: E501


def _stored(value: Any) -> Any:
    return value.timestamp() if hasattr(value, "timestamp") else value
