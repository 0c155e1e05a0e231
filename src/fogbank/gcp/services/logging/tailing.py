"""Entries as they come (`gcloud logging tail`): what is taken in while somebody listens, in the order of time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import filters
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import RpcError
from fogbank.gcp.services.logging import names, reading
from fogbank.gcp.services.logging.entries import LOGGING
from fogbank.primitives import logs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx

_USUAL_WINDOW_MS, _WINDOW_MAX_MS = 2_000, 60_000
_LATE_MS = 10_000  # How long after its timestamp an entry may be written and is still told.
_BATCH_MAX = 1_000


class Tail:
    """Of one listener."""

    def __init__(self, house: House, request: Any, now_ms: int) -> None:
        """Raises `RpcError`."""
        if len(request.resource_names) != 1:
            raise names.invalid("TailLogEntriesRequest.resource_names must have one name.")
        told = request.HasField("buffer_window")
        self._window_ms = milliseconds(request.buffer_window) if told else _USUAL_WINDOW_MS
        if not 0 <= self._window_ms <= _WINDOW_MAX_MS:
            raise names.invalid("buffer_window must be between 0 and 60000 milliseconds.")
        self._house, self._parent, self._began_ms = house, request.resource_names[0], now_ms
        self._matches = filters.compiled(request.filter, LOGGING.LogEntry.DESCRIPTOR)
        self._owner = ""
        self._told: dict[tuple[str, str, int], int] = {}  # What has been told, until it is too old to come up again.

    def check(self, tx: Tx) -> None:
        """Raises `RpcError`. What is there already is not news."""
        self._owner = names.owner(tx, self._parent)
        now_ms = self._began_ms
        for at_ms, entry in reading.of_owner(tx, self._owner, now_ms - _LATE_MS, now_ms + _LATE_MS):
            self._told[_key(entry)] = at_ms

    async def responses(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        house = self._house
        ended = asyncio.ensure_future(_heard(requests))
        try:
            with house.signals.watch(logs.APPENDED, (self._owner,)) as watch:
                ended.add_done_callback(lambda _: watch.woken.set())
                while not ended.done():
                    now_ms = house.clock.now_ms()
                    found, next_ms = await house.store.transact(self._news, now_ms)
                    for start in range(0, len(found), _BATCH_MAX):
                        yield LOGGING.TailLogEntriesResponse(entries=found[start : start + _BATCH_MAX])
                    await watch.wait(next_ms)
        finally:
            ended.cancel()
            with suppress(asyncio.CancelledError, RpcError):
                await ended

    def _news(self, tx: Tx, now_ms: int) -> tuple[list[Any], int | None]:
        """What may be told now, and when there is more without a sign."""
        from_ms = now_ms - self._window_ms - _LATE_MS
        found, next_ms = [], None
        for at_ms, entry in reading.of_owner(tx, self._owner, from_ms, now_ms + _WINDOW_MAX_MS):
            key = _key(entry)
            if key in self._told:
                continue
            if at_ms > now_ms - self._window_ms:
                next_ms = at_ms + self._window_ms if next_ms is None else next_ms
                continue
            self._told[key] = at_ms
            if self._matches(entry):
                found.append(entry)
        self._told = {key: at_ms for key, at_ms in self._told.items() if at_ms >= from_ms}
        return found, next_ms


def _key(entry: Any) -> tuple[str, str, int]:
    return entry.log_name, entry.insert_id, entry.timestamp.seconds * 1_000_000_000 + entry.timestamp.nanos


async def _heard(requests: AsyncIterator[Any]) -> None:
    """Until the listener says no more."""
    async for _ in requests:
        pass
