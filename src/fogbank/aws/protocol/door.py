"""The AWS door: a request in, an answer out; and the same for calls from inside, which no wire carries.

Route, read, validate, dispatch, write: a straight line. What goes wrong on it becomes the protocol's own error here.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from fogbank.aws.protocol import errors, models, validation
from fogbank.aws.protocol.authentication import Authentication
from fogbank.aws.protocol.names import method_name
from fogbank.aws.protocol.refusals import guarded
from fogbank.aws.protocol.routing import Destination, destination
from fogbank.aws.protocol.wire import Wire
from fogbank.aws.service import Call, KnownKey, ServiceError
from fogbank.kernel.gateway.messages import Response
from fogbank.kernel.store import StoreError
from fogbank.kernel.telemetry import current_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.aws.service import Operations
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.config import Config
    from fogbank.kernel.gateway.messages import Request
    from fogbank.kernel.ids import Ids
    from fogbank.kernel.store import Store
    from fogbank.kernel.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Asker:
    """Who calls from inside, where, and for what."""

    account: str
    region: str
    principal: str
    source_arn: str = ""


class Door:
    def __init__(self, config: Config, clock: Clock, ids: Ids, telemetry: Telemetry, store: Store) -> None:
        self._config, self._clock, self._ids, self._telemetry, self._store = config, clock, ids, telemetry, store
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

    async def signer(self, request: Request) -> KnownKey | None:
        """Who signed a request to an address beside the API; none where nobody did. Raises `ServiceError`."""
        return await self._authentication.signer(request, "rest-json")

    # -- from the wire ----------------------------------------------------------------------------------------------

    async def answer(self, request: Request) -> Response:
        request_id = self._ids.new()
        where = destination(request, self._methods)
        try:
            wire = self._wire(where.service)
        except models.UnknownService:
            return Response(404, [("content-type", "text/plain")], _nobody(where).encode())
        protocol = where.protocol or wire.model.protocol
        try:
            operation, labels = wire.find(request, where)
            if operation is None:
                raise _unknown_operation(where, request)
            method, waits = self._method(where.service, operation.name)
            who = await self._authentication.identify(request, where, operation, protocol)
            parameters = wire.read(request, operation, labels, protocol)
            call = self._call(who, where, request_id, request)
            if waits:
                result = await method(call, parameters)
            else:
                result = await self._store.transact(method, call, parameters)
            return wire.write(operation, result or {}, protocol, request_id)
        except ServiceError as error:
            return errors.response(wire.model, protocol, wire.codec, error, request_id)
        except StoreError as error:
            self._telemetry.error("the store could not keep a write", error=str(error), service=where.service)
            told = ServiceError("ServiceUnavailable", f"The store could not keep this: {error}", status=503)
            return errors.response(wire.model, protocol, wire.codec, told, request_id)
        except Exception as error:  # A bug: the caller sees AWS's own words for one, the log all of it.
            self._log_bug(where, error)
            code = {"rest-xml": "InternalError", "json": "InternalServerError"}.get(protocol, "InternalFailure")
            told = ServiceError(code, f"Internal error; look for request {request_id} in fogbank's log.", status=500)
            return errors.response(wire.model, protocol, wire.codec, told, request_id)

    def _call(self, who: KnownKey, where: Destination, request_id: str, request: Request) -> Call:
        return Call(
            account=who.account,
            region=where.region or self._config.region,
            principal=who.principal,
            now_ms=self._clock.now_ms(),
            request_id=request_id,
            trace_id=request.trace_id,
            new_id=self._ids.new,
            access_key=where.access_key,
            host=request.headers.get("host", ""),
        )

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
        host = f"{self._config.host}:{self.port}"
        call = Call(
            who.account,
            who.region,
            who.principal,
            self._clock.now_ms(),
            self._ids.new(),
            current_trace.get(),
            self._ids.new,
            source_arn=who.source_arn,
            host=host,
        )
        result = await method(call, parameters) if waits else await self._store.transact(method, call, parameters)
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


def _nobody(where: Destination) -> str:
    asked = f"no service is called {where.service!r}" if where.service else "nothing tells which service this is for"
    return f"fogbank: {asked}\n"


def _unknown_operation(where: Destination, request: Request) -> ServiceError:
    if where.operation:
        return ServiceError(
            "UnknownOperationException" if where.protocol == "json" else "InvalidAction",
            f"The action {where.operation} is not valid for this web service.",
        )
    if where.service == "s3":
        return ServiceError(
            "MethodNotAllowed", "The specified method is not allowed against this resource.", status=405
        )
    return ServiceError(
        "UnknownOperationException", f"{where.service} has nothing at {request.method} {where.path}.", status=404
    )
