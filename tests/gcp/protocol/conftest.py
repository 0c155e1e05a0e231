"""`skin`: the Google door on a port, with the services that a test gives it."""

from __future__ import annotations

import asyncio
import io
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fogbank.gcp.protocol.descriptors import methods
from fogbank.gcp.protocol.door import Door
from fogbank.gcp.protocol.grpc import Spoken
from fogbank.gcp.protocol.rest import Rest
from fogbank.kernel.clock import Clock
from fogbank.kernel.gateway import Gateway, Limits, Routes
from fogbank.kernel.gateway.messages import Response
from fogbank.kernel.ids import Ids
from fogbank.kernel.store.sqlite import SqliteStore
from fogbank.kernel.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Skin:
    port: int
    log: io.StringIO
    loop: asyncio.AbstractEventLoop
    close: Callable[[], None]
    gateway: Gateway

    def call(self, service: str, rpc: str, *, channel: Any = None) -> Any:
        """The rpc as grpcio calls it."""
        method = methods(service)[rpc]
        kinds = {(False, False): "unary_unary", (False, True): "unary_stream", (True, False): "stream_unary"}
        kind = kinds.get((method.takes_stream, method.gives_stream), "stream_stream")
        channel = channel or grpc.insecure_channel(f"127.0.0.1:{self.port}")
        return getattr(channel, kind)(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )


@pytest.fixture
def skin(tmp_path: Path) -> Iterator[Callable[..., Skin]]:
    made: list[Skin] = []

    def make(*services: Any, limits: Limits | None = None) -> Skin:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        log = io.StringIO()

        async def start() -> Gateway:
            clock = Clock()
            telemetry, ids = Telemetry(clock, log), Ids(clock)
            door = Door(clock, ids, telemetry, SqliteStore(":memory:"))
            door.attach([service(None) for service in services])

            async def nobody(_: Any) -> Response:
                return Response(404, [], b"HTTP/1.1\n")

            gateway = Gateway(
                Routes(Rest(door).routes(), nobody).answer, limits or Limits(), telemetry, ids, run_dir=tmp_path,
                speaker=lambda: Spoken(door),
            )  # fmt: skip
            nonlocal port
            port = await gateway.start("127.0.0.1", 0)
            return gateway

        port = 0
        gateway = asyncio.run_coroutine_threadsafe(start(), loop).result(20)

        def close() -> None:
            asyncio.run_coroutine_threadsafe(gateway.close(), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)

        made.append(Skin(port, log, loop, close, gateway))
        return made[-1]

    yield make
    for one in made:
        if one.loop.is_running():
            one.close()
