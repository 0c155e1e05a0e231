"""The AWS door: a request in, an answer out; and the same for calls from inside, which no wire carries.

Route, read, validate, dispatch, write: a straight line. What goes wrong on it becomes the protocol's own error here.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from fogbank.aws.protocol import edge, errors, lineage, models, validation
from fogbank.aws.protocol.authentication import Authentication, is_issued
from fogbank.aws.protocol.names import method_name
from fogbank.aws.protocol.refusals import guarded
from fogbank.aws.protocol.routing import Destination, destination
from fogbank.aws.protocol.wire import Wire
from fogbank.aws.service import Call, KnownKey, Later, ServiceError
from fogbank.kernel.gateway.messages import Ready, Response
from fogbank.kernel.store import StoreError
from fogbank.kernel.telemetry import current_lineage, current_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fogbank.aws.protocol.models import Operation
    from fogbank.aws.service import Operations
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.config import Config
    from fogbank.kernel.gateway.messages import Answer, Request
    from fogbank.kernel.ids import Ids
    from fogbank.kernel.store import Immediate, Store
    from fogbank.kernel.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Asker:
    """Who calls from inside, where, and for what."""

    account: str
    region: str
    principal: str
    source_arn: str = ""


@dataclass(slots=True)
class _Asked:
    """A request on its way."""

    request: Request
    where: Destination
    wire: Wire
    protocol: str
    operation: Operation
    labels: Mapping[str, str]
    method: Callable[..., Any]


class Door:
    def __init__(self, config: Config, clock: Clock, ids: Ids, telemetry: Telemetry, store: Store) -> None:
        self._config, self._clock, self._ids, self._telemetry, self._store = config, clock, ids, telemetry, store
        self._at_once = store.immediate
        self._wires: dict[str, Wire] = {}
        self._methods: dict[str, dict[str, tuple[Callable[..., Any], bool]]] = {}
        self._authentication = Authentication(config, clock, store)

    def attach(self, services: Sequence[Operations]) -> None:
        """Make these services' operations answer."""
        for operations in services:
            methods = self._methods.setdefault(operations.service, {})
            for name in dir(type(operations)):
                if not name.startswith("_") and callable(getattr(operations, name)):
                    method = guarded(operations, name)
                    methods[name] = (method, iscoroutinefunction(method))
            self._authentication.registers += operations.key_registers()

    def serves(self, service: str, operation: str) -> bool:
        return method_name(operation) in self._methods.get(service, {})

    async def signer(self, request: Request) -> KnownKey | None:
        """Who signed a request to an address beside the API; none where nobody did. Raises `ServiceError`."""
        return await self._authentication.signer(request, "rest-json")

    # -- from the wire ----------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        where = destination(request, self._methods)
        try:
            wire = self._wire(where.service)
        except models.UnknownService:
            return Ready(Response(404, [("content-type", "text/plain")], _nobody(where).encode()))
        protocol = where.protocol or wire.model.protocol
        try:
            operation, labels = wire.find(request, where)
            if operation is None:
                raise _unknown_operation(where, request)
            method, waits = self._method(where.service, operation.name)
            if self._telemetry.debugging:
                self._telemetry.debug("operation", of=f"{where.service}.{operation.name}", request=request.id)
        except ServiceError as error:
            return Ready(errors.response(wire.model, protocol, wire.codec, error, request.id))
        asked = _Asked(request, where, wire, protocol, operation, labels, method)
        if waits or self._at_once is None:
            return self._answer_waiting(asked, waits=waits)
        return self._answer_at_once(asked, self._at_once)

    def _answer_at_once(self, asked: _Asked, store: Immediate) -> Answer:
        request, where = asked.request, asked.where
        try:
            known = store.run(self._authentication.known, where.access_key) if is_issued(where.access_key) else None
            who = self._authentication.identify(request, where, asked.operation, asked.protocol, known)
            parameters = asked.wire.read(request, asked.operation, asked.labels, asked.protocol)
            result = store.run(asked.method, self._call(who, where, request), parameters)
            if type(result) is Later:
                return self._finish(asked, result)
            response = asked.wire.write(asked.operation, result or {}, asked.protocol, request.id)
        except Exception as error:
            response = self._told(asked, error)  # It may tell of rows of this tick: it waits as they do.
        return Ready(response, store.tick, lambda error: self._told(asked, error))

    async def _answer_waiting(self, asked: _Asked, *, waits: bool) -> Response:
        request, where = asked.request, asked.where
        try:
            issued = is_issued(where.access_key)
            known = await self._store.transact(self._authentication.known, where.access_key) if issued else None
            who = self._authentication.identify(request, where, asked.operation, asked.protocol, known)
            parameters = asked.wire.read(request, asked.operation, asked.labels, asked.protocol)
            call = self._call(who, where, request)
            if waits:
                result = await asked.method(call, parameters)
            else:
                result = await self._store.transact(asked.method, call, parameters)
            if type(result) is Later:
                return await self._finish(asked, result)
            return asked.wire.write(asked.operation, result or {}, asked.protocol, request.id)
        except Exception as error:
            return self._told(asked, error)

    async def _finish(self, asked: _Asked, later: Later) -> Response:
        try:
            result = await later.finish()
            return asked.wire.write(asked.operation, result or {}, asked.protocol, asked.request.id)
        except Exception as error:
            return self._told(asked, error)

    def _told(self, asked: _Asked, error: Exception) -> Response:
        """What went wrong as the protocol has it."""
        told, protocol = error, asked.protocol
        if isinstance(error, StoreError):
            self._telemetry.error("the store could not keep a write", error=str(error), service=asked.where.service)
            told = ServiceError("ServiceUnavailable", f"The store could not keep this: {error}", status=503)
        elif not isinstance(error, ServiceError):  # A bug: the caller sees AWS's own words for one, the log all of it.
            self._log_bug(asked.where, error)
            code = _BUG_CODES.get(protocol, "InternalFailure")
            text = f"Internal error; look for request {asked.request.id} in fogbank's log."
            told = ServiceError(code, text, status=500)
        assert isinstance(told, ServiceError)
        return errors.response(asked.wire.model, protocol, asked.wire.codec, told, asked.request.id)

    def _call(self, who: KnownKey, where: Destination, request: Request) -> Call:
        return Call(
            who.account, where.region or self._config.region, who.principal, self._clock.now_ms(), request.id,
            request.trace_id, self._ids.new, where.access_key, "", request.headers.get("host", ""),
            request.headers.get("x-amzn-trace-id", ""),
        )  # fmt: skip

    # -- from inside ------------------------------------------------------------------------------------------------

    async def ask(self, who: Asker, service: str, operation_name: str, /, **parameters: Any) -> dict[str, Any]:
        """As `answer`, for parameters that are Python values already. Raises `ServiceError`."""
        model = self._wire(service).model
        operation = model.operations.get(operation_name)
        if operation is None:
            raise ServiceError("UnknownOperationException", f"{service} has no operation {operation_name}.")
        method, waits = self._method(service, operation_name)
        known = operation.input.members if operation.input else {}
        unknown = parameters.keys() - known.keys()
        if unknown:
            raise ServiceError(
                "ValidationException", f"{service} {operation_name} takes no {', '.join(sorted(unknown))}."
            )
        try:
            validation.check(service, model.protocol, operation.input, parameters)
        except validation.Unreadable as error:
            raise ServiceError("SerializationException", str(error)) from error
        host, request_id = f"{self._config.url_host}:{self.port}", self._ids.new()
        if self._telemetry.debugging:
            asked = f"{service}.{operation_name}"
            self._telemetry.debug("operation", of=asked, request=request_id, asked_by=who.principal)
        call = Call(
            who.account,
            who.region,
            who.principal,
            self._clock.now_ms(),
            request_id,
            current_trace.get(),
            self._ids.new,
            source_arn=who.source_arn,
            host=host,
            trace_header=_carried(),
            inside=True,
        )
        result = await method(call, parameters) if waits else await self._store.transact(method, call, parameters)
        if type(result) is Later:
            result = await result.finish()
        return result or {}

    port = 0  # Told by the assembly once it is known: for addresses that operations give out.

    # -- parts ------------------------------------------------------------------------------------------------------

    def _wire(self, service: str) -> Wire:
        wire = self._wires.get(service)
        if wire is None:
            wire = self._wires[service] = Wire(models.load(service))
        return wire

    def _method(self, service: str, operation: str) -> tuple[Callable[..., Any], bool]:
        found = self._methods.get(service, {}).get(method_name(operation))
        if found is None:
            raise ServiceError(
                "NotImplemented",
                f"fogbank does not serve {service} {operation}; `fogbank coverage` lists what it serves.",
                status=501,
            )
        return found

    def _log_bug(self, where: Destination, error: Exception) -> None:
        self._telemetry.error(
            "operation failed", service=where.service, operation=where.operation, path=where.path, error=repr(error),
            stack="".join(traceback.format_exception(error)),
        )  # fmt: skip


# What AWS calls an error of its own, by protocol.
_BUG_CODES = {"rest-xml": "InternalError", "json": "InternalServerError", "amz-cbor": "InternalServerError"}


def _carried() -> str:
    """The header of a call from inside, where what it works for has come through functions."""
    way = current_lineage.get()
    return lineage.with_lineage(edge.trace_text(current_trace.get()), way) if way else ""


def _nobody(where: Destination) -> str:
    asked = f"no service is called {where.service!r}" if where.service else "nothing tells which service this is for"
    return f"fogbank: {asked}\n"


def _unknown_operation(where: Destination, request: Request) -> ServiceError:
    if where.protocol == "query":
        return ServiceError("InvalidAction", f"Could not find operation {where.operation} for this version")
    if where.service and models.load(where.service).protocol == "query":
        return ServiceError("MissingAction", "The request is missing an action or a required parameter.")
    if where.operation:
        return ServiceError(
            "UnknownOperationException" if where.protocol in ("json", "amz-cbor") else "InvalidAction",
            f"The action {where.operation} is not valid for this web service.",
        )
    if where.service == "s3":
        return ServiceError(
            "MethodNotAllowed", "The specified method is not allowed against this resource.", status=405
        )
    return ServiceError(
        "UnknownOperationException", f"{where.service} has nothing at {request.method} {where.path}.", status=404
    )
