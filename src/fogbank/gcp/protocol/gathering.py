"""A transport whose writes of one turn of the event loop go out together: an answer's headers, message and trailers,
and those of all calls that are answered in that turn, are one system call in place of three for each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_ONCE_BYTES: Final = 64 * 1024  # More is not held back: only what has been written tells whether a peer is slow.


class Gathering:
    """Everything else is the transport's own."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._bytes = 0
        self.is_closing: Callable[[], bool] = self._transport.is_closing

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._bytes += len(data)
        if self._bytes >= _AT_ONCE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            data, self._waiting, self._bytes = b"".join(self._waiting), [], 0
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
