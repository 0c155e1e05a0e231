"""The Google door: a method and its request in, an answer or an `RpcError` out, whatever wire they came on."""

from __future__ import annotations

import traceback
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import descriptors
from fogbank.gcp.service import Call, Code, Later, RpcError
from fogbank.kernel.store import StoreError
from fogbank.kernel.telemetry import current_trace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from google.protobuf.message import Message

    from fogbank.gcp.protocol.descriptors import Method
    from fogbank.gcp.service import Service
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.ids import Ids
    from fogbank.kernel.store import Store, Tx
    from fogbank.kernel.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Served:
    """A method that somebody has written."""

    method: Method
    run: Callable[..., Any]
    waits: bool  # Else it is one transaction.
    generates: bool


class Door:
    def __init__(self, clock: Clock, ids: Ids, telemetry: Telemetry, store: Store) -> None:
        self._clock, self._ids, self._telemetry, self._store = clock, ids, telemetry, store
        self._services: dict[str, list[Service]] = {}  # Each by its classes, of which every noun may have one.
        self._served: dict[str, Served] = {}  # By "/google.pubsub.v1.Publisher/Publish", once it was asked for.

    def attach(self, services: Sequence[Service]) -> None:
        """Make these services' methods answer."""
        for service in services:
            self._services.setdefault(service.service, []).append(service)

    def serves(self, method: Method) -> bool:
        return self._written(method.service, method.name) is not None

    def _written(self, service_name: str, rpc: str) -> Callable[..., Any] | None:
        name = descriptors.method_name(rpc)
        return next((getattr(one, name) for one in self._services.get(service_name, ()) if hasattr(one, name)), None)

    def find(self, path: str) -> Served:
        """By "/google.pubsub.v1.Publisher/Publish". What nobody has written is refused by name."""
        found = self._served.get(path)
        if found is None:
            found = self._served[path] = self._look_up(path)
        return found

    def _look_up(self, path: str) -> Served:
        service_name, _, name = path.removeprefix("/").partition("/")
        try:
            method = descriptors.methods(service_name).get(name)
        except KeyError:
            raise RpcError(Code.UNIMPLEMENTED, f"unknown service {service_name[:256]}") from None
        if method is None:
            raise RpcError(Code.UNIMPLEMENTED, f"unknown method {name[:256]} for service {service_name}")
        run = self._written(service_name, name)
        if run is None:
            raise RpcError(Code.UNIMPLEMENTED, f"fogbank does not serve {service_name}.{name}.")
        generates = isasyncgenfunction(run)
        return Served(method, run, generates or iscoroutinefunction(run), generates)

    def call(self, metadata: Mapping[str, str], host: str, peer: str, request_id: str = "") -> Call:
        request_id = request_id or self._ids.new()
        trace_id = request_id.replace("-", "")
        current_trace.set(trace_id)
        return Call(self._clock.now_ms(), request_id, trace_id, self._ids.new, metadata, host, peer)

    async def answer(self, served: Served, call: Call, request: Message | AsyncIterator[Message]) -> Any:
        """Of a method that gives one answer. Raises `RpcError`, and nothing else that is not a cancellation."""
        self._tell(served, call)
        try:
            return await self._run(served, call, request)
        except Exception as error:
            raise self._told(served, call, error) from error

    async def answers(
        self, served: Served, call: Call, request: Message | AsyncIterator[Message]
    ) -> AsyncGenerator[Any, None]:
        """Of a method that gives a stream. Raises as `answer` does."""
        self._tell(served, call)
        try:
            if served.generates:
                async with aclosing(served.run(call, request)) as messages:
                    async for message in messages:
                        yield message
                return
            made = (
                self._run(served, call, request)
                if served.waits
                else self._store.transact(_whole, served, call, request)
            )
            for message in await made:
                yield message
        except Exception as error:
            raise self._told(served, call, error) from error

    def _tell(self, served: Served, call: Call) -> None:
        if self._telemetry.debugging:
            self._telemetry.debug("rpc", of=served.method.path, request=call.request_id, inside=call.inside)

    async def _run(self, served: Served, call: Call, request: Any) -> Any:
        if served.waits:
            return await served.run(call, request)
        result = await self._store.transact(served.run, call, request)
        return await result.finish() if type(result) is Later else result

    async def ask(self, service: str, rpc: str, request: Message, /) -> Any:
        """As a customer would, from inside. Raises `RpcError`."""
        now_ms, request_id = self._clock.now_ms(), self._ids.new()
        call = Call(now_ms, request_id, current_trace.get(), self._ids.new, inside=True)
        return await self.answer(self.find(f"/{service}/{rpc}"), call, request)

    def _told(self, served: Served, call: Call, error: Exception) -> RpcError:
        """What went wrong as a caller may see it; all of a bug is in the log."""
        if isinstance(error, RpcError):
            return error
        if isinstance(error, StoreError):
            self._telemetry.error("the store could not keep a write", error=str(error), rpc=served.method.path)
            return RpcError(Code.UNAVAILABLE, f"The store could not keep this: {error}")
        self._telemetry.error(
            "rpc failed", rpc=served.method.path, error=repr(error),
            stack="".join(traceback.format_exception(error)),
        )  # fmt: skip
        return RpcError(Code.INTERNAL, f"Internal error; look for trace {call.trace_id} in fogbank's log.")


def _whole(tx: Tx, served: Served, call: Call, request: Any) -> list[Any]:
    """All answers of a stream, while the transaction is there to make them."""
    return list(served.run(tx, call, request))
