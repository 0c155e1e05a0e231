"""The face that a link from streams has: what a cloud's streams look like to the functions that they feed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.functions.triggers.model import Fed, Told
    from fogbank.primitives import streams

TOO_OLD, USED_UP = "RecordAgeExceeded", "RetryAttemptsExhausted"


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Records that are given up, and what is known of the tries."""

    trigger_id: str
    function: str
    shard: str
    records: Sequence[streams.Record]
    why: str  # TOO_OLD or USED_UP.
    tries: int
    last: Fed | None  # None where this server has not tried them.
    at_ms: int


class Link(Protocol):
    """Pure functions; a module that has them is one."""

    def wanted(self, settings: dict[str, Any], stream: streams.Stream, record: streams.Record, /) -> bool:
        """Whether the function is to see it; what it is not to see is passed over."""
        ...

    def encode(
        self, settings: dict[str, Any], stream: streams.Stream, shard: str, batch: Sequence[streams.Record], /
    ) -> dict[str, Any]:
        """The event. The batch is empty where a window has come to its end."""
        ...

    def key(self, record: streams.Record, /) -> str | bytes:
        """Its partition key: records that have the same stay in order."""
        ...

    def trace(self, record: streams.Record, /) -> str:
        """The trace in which it came about; empty where that is not known."""
        ...

    def window(
        self, settings: dict[str, Any], stream: streams.Stream, shard: str, begin_ms: int, end_ms: int, state: Any,
        /, *, final: bool, early: bool,
    ) -> dict[str, Any]:  # fmt: skip
        """What the event of a tumbling window has besides."""
        ...

    def done_until(self, settings: dict[str, Any], batch: Sequence[streams.Record], reply: Any, /) -> int | None:
        """The last position that is done with, where the reply says that only a part is; None: all of it."""
        ...

    def gave_up(self, settings: dict[str, Any], stream: streams.Stream, given_up: GivenUp, /) -> Told | None: ...

    def parents(self, stream: streams.Stream, shard: str, /) -> Sequence[str]:
        """The shards that this one came out of."""
        ...

    def ended(self, stream: streams.Stream, shard: str, /) -> bool:
        """Whether the shard gets no more records."""
        ...
