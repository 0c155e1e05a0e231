"""A connection that speaks HTTP/2, handed to whoever does: it is counted, limited and ended as all others are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fogbank.kernel.gateway.limits import Limits


class Connected(Protocol):
    """What the gateway asks of a connection, whoever speaks on it."""

    def close_when_idle(self) -> None: ...
    def abort(self) -> None: ...
    def end_if_late(self, now_s: float, /) -> None: ...


class Counting(Protocol):
    """What of the gateway a connection needs that has been handed over."""

    limits: Limits
    connections: set[Connected]

    def unreadable(self, error: Exception, /) -> None: ...


class Speaker(Protocol):
    """What is asked of a protocol that a connection is handed to, beside asyncio's own."""

    @property
    def busy(self) -> bool:
        """Something is under way: the connection is not idle."""
        ...

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def end(self) -> None:
        """Take no more, and close the transport once nothing is under way."""
        ...


class HandedOver(asyncio.Protocol):
    """Between the transport and the speaker."""

    def __init__(self, gateway: Counting, speaker: Speaker, transport: asyncio.Transport) -> None:
        self._gateway, self._speaker, self._transport = gateway, speaker, transport
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._loop.time()
        gateway.connections.add(self)
        transport.set_protocol(self)
        speaker.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._heard_s = self._loop.time()
        try:
            self._speaker.data_received(data)
        except Exception as error:  # What a peer sends must cost no more than its own connection.
            self._gateway.unreadable(error)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.connections.discard(self)
        self._speaker.connection_lost(exc)

    def pause_writing(self) -> None:
        self._speaker.pause_writing()

    def resume_writing(self) -> None:
        self._speaker.resume_writing()

    def close_when_idle(self) -> None:
        self._speaker.end()

    def abort(self) -> None:
        self._transport.abort()

    def end_if_late(self, now_s: float) -> None:
        if not self._speaker.busy and now_s - self._heard_s >= self._gateway.limits.idle_timeout_s:
            self._speaker.end()
