"""Invoking: now, later, or only asking whether one might; and what becomes of those done later."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.protocol import lineage as ways
from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import destinations, events, paging, permissions, state, streaming, unserved
from fogbank.aws.services.lambda_.calling import Caller
from fogbank.functions.flow import Flow

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_SYNC_BYTES_MAX = 6 * 1024 * 1024  # Lambda quotas: "Invocation payload (request and response)".
_CLIENT_CONTEXT_MAX = 3583
_ASYNC_BYTES_MAX = 1024 * 1024


class Invocations(Operations):
    service: ClassVar = "lambda"
    refused: ClassVar = unserved.REFUSED

    def backgrounds(self) -> list[Background]:
        return [Background("lambda: asynchronous invocations", self.house.share(events.EventQueue).run)]

    async def invoke(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who, kind, payload = _asked(call, request)
        if kind == "Event":
            await self.house.store.transact(self._accept, call, who, payload)
            return {"StatusCode": 202}
        caller = self.house.share(Caller)
        if kind == "DryRun":
            await self.house.store.transact(caller.resolve, who, call.principal)
            return {"StatusCode": 204}
        client = _client_context(request.get("ClientContext", ""))
        target, outcome = await caller.call(
            who,
            payload,
            call.request_id,
            principal=call.principal,
            source_arn=call.source_arn,
            trace_id=call.trace_id,
            lineage=ways.of(call.trace_header),
            client_context=client,
            tail=request.get("LogType") == "Tail",
        )
        answer: dict[str, Any] = {
            "StatusCode": 200,
            "ExecutedVersion": target.published.version,
            "Payload": outcome.payload,
        }
        if outcome.error:
            answer["FunctionError"] = outcome.error
        if request.get("LogType") == "Tail":
            answer["LogResult"] = b64encode(outcome.log_tail).decode()
        return answer

    async def invoke_with_response_stream(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who, kind, payload = _asked(call, request)
        caller = self.house.share(Caller)
        if kind == "DryRun":
            await self.house.store.transact(caller.resolve, who, call.principal)
            return {"StatusCode": 204, "EventStream": streaming.nothing()}
        flow, tail = Flow(), request.get("LogType") == "Tail"
        target, invocation = await caller.prepare(
            who, payload, call.request_id, principal=call.principal, source_arn=call.source_arn,
            trace_id=call.trace_id, lineage=ways.of(call.trace_header),
            client_context=_client_context(request.get("ClientContext", "")), tail=tail, flow=flow,
        )  # fmt: skip
        reader = await caller.stream(target, invocation, flow)
        answer = {"StatusCode": 200, "ExecutedVersion": target.published.version}
        return answer | {"EventStream": streaming.events(reader, tail=tail)}

    def _accept(self, tx: Tx, call: Call, who: state.Named, payload: bytes) -> None:
        function = state.find(tx, who)
        one = state.published(tx, function, who)
        if not call.principal.endswith(
            ".amazonaws.com"
        ):  # A service would ask again: what it sends waits in the queue.
            state.check_ready(one)
        elif call.principal != "lambda.amazonaws.com":
            permissions.check(tx, function, who, call.principal, call.source_arn)
        events.enqueue(tx, call, function, who, payload.decode())

    # -- what becomes of asynchronous ones --

    def put_function_event_invoke_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if not request.keys() & {"MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"}:
            told = "You must specify at least one of error handling or destination setting."
            raise ServiceError("InvalidParameterValueException", told)
        return self._configure(tx, call, request, events.EventConfig(call.now_ms))

    def update_function_event_invoke_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        _, _, before = self._find(tx, call, request)
        return self._configure(tx, call, request, before)

    def get_function_event_invoke_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who, _, config = self._find(tx, call, request)
        return _shown(who, config)

    def delete_function_event_invoke_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        who, function, _ = self._find(tx, call, request)
        events.CONFIGS.delete(tx, function.id, events.config_key(who))

    def list_function_event_invoke_configs(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"])
        function = state.find(tx, who)
        rows, more = paging.page(
            request, events.CONFIGS.scan(tx, function.id), lambda row: str(row[0][-1]) or state.LATEST
        )
        named = [(state.Named(who.account, who.region, who.name, str(key[-1])), config) for key, config in rows]
        return {"FunctionEventInvokeConfigs": [_shown(one, config) for one, config in named], **more}

    def _configure(self, tx: Tx, call: Call, request: dict[str, Any], before: events.EventConfig) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"], request.get("Qualifier"))
        function = state.find(tx, who)
        state.published(tx, function, who)
        given = request.get("DestinationConfig", {})
        config = events.EventConfig(
            call.now_ms,
            request.get("MaximumRetryAttempts", before.retries),
            request.get("MaximumEventAgeInSeconds", before.age_max_s),
            given.get("OnSuccess", {}).get("Destination", before.on_success),
            given.get("OnFailure", {}).get("Destination", before.on_failure),
        )
        for arn, kinds in (
            (config.on_success, destinations.ON_SUCCESS), (config.on_failure, destinations.ON_FAILURE)
        ):  # fmt: skip
            if arn:
                self._check_destination(tx, function, arn, kinds)
        events.CONFIGS.put(tx, function.id, events.config_key(who), row=config)
        return _shown(who, config)

    def _check_destination(self, tx: Tx, function: state.Function, arn: str, kinds: tuple[str, ...]) -> None:
        destinations.check(self.house, arn, kinds)
        parts = arn.split(":")
        if parts[2] != "lambda":
            return
        if len(parts) < 7 or state.FUNCTIONS.get(tx, parts[4], parts[3], parts[6]) is None:
            raise ServiceError("InvalidParameterValueException", f"The destination ARN {arn} is invalid.")
        if ":".join(parts[:7]) == function.arn:
            told = "You can't specify the function as a destination for itself."
            raise ServiceError("InvalidParameterValueException", told)

    def _find(
        self, tx: Tx, call: Call, request: dict[str, Any]
    ) -> tuple[state.Named, state.Function, events.EventConfig]:
        who = state.named(call, request["FunctionName"], request.get("Qualifier"))
        function = state.find(tx, who)
        config = events.CONFIGS.get(tx, function.id, events.config_key(who))
        if config is None:
            arn = who.arn if who.qualifier else f"{who.arn}:{state.LATEST}"
            raise ServiceError(
                "ResourceNotFoundException",
                f"The function {arn} doesn't have an EventInvokeConfig",
                fields={"Type": "User"},
            )
        return who, function, config


def _asked(call: Call, request: dict[str, Any]) -> tuple[state.Named, str, bytes]:
    """The function, the type of the invocation and the event."""
    who = state.named(call, request["FunctionName"], request.get("Qualifier"))
    kind = request.get("InvocationType", "RequestResponse")
    payload = bytes(request.get("Payload") or b"") or b"{}"
    _check(payload, kind)
    return who, kind, payload


def _client_context(text: str) -> str:
    """Invoke, ClientContext: "Up to 3,583 bytes of base64-encoded data", JSON."""
    try:
        if len(text) > _CLIENT_CONTEXT_MAX:
            raise ValueError("it is longer than 3583 bytes")
        decoded = b64decode(text, validate=True).decode()
        if decoded:
            orjson.loads(decoded)
    except ValueError as error:
        told = f"Client context must be a valid Base64-encoded JSON object: {error}"
        raise ServiceError("InvalidRequestContentException", told, fields={"Type": "User"}) from error
    return decoded


def _check(payload: bytes, kind: str) -> None:
    limit = _ASYNC_BYTES_MAX if kind == "Event" else _SYNC_BYTES_MAX
    if len(payload) > limit:
        raise ServiceError(
            "RequestTooLargeException",
            f"{len(payload)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
            status=413,
            fields={"Type": "User"},
        )
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ServiceError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
            fields={"Type": "User"},
        ) from error


def _shown(who: state.Named, config: events.EventConfig) -> dict[str, Any]:
    destinations = {"OnSuccess": config.on_success, "OnFailure": config.on_failure}
    optional = {"MaximumRetryAttempts": config.retries, "MaximumEventAgeInSeconds": config.age_max_s}
    return {
        "FunctionArn": who.arn if who.qualifier else f"{who.arn}:{state.LATEST}",
        "LastModified": config.modified_ms / 1000,
        **{name: value for name, value in optional.items() if value is not None},
        "DestinationConfig": {name: {"Destination": arn} if arn else {} for name, arn in destinations.items()},
    }
