"""The streams that are open on this node: what each has been lent and has not yet settled, for its flow control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.pubsub.state import PUBSUB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fogbank.gcp.services.pubsub.lending import Lent

_UNLIMITED = 1 << 31


@dataclass(slots=True)
class _Out:
    size: int
    until_ms: int


class Stream:
    """One StreamingPull. "If max_outstanding_messages or max_outstanding_bytes is reached", nothing more is sent."""

    def __init__(self, first: Any, wake: Callable[[], None]) -> None:
        self.subscription: str = first.subscription
        self.lease_ms: int = first.stream_ack_deadline_seconds * 1000
        self._messages_max = first.max_outstanding_messages if first.max_outstanding_messages > 0 else _UNLIMITED
        self._bytes_max = first.max_outstanding_bytes if first.max_outstanding_bytes > 0 else _UNLIMITED
        self._wake = wake
        self.out: dict[str, _Out] = {}
        self._bytes = 0
        self._confirmations: list[Any] = []

    def room(self, now_ms: int) -> int:
        """How many more may be sent. What has come to its deadline is not its subscriber's any more."""
        for ack_id in [ack_id for ack_id, one in self.out.items() if one.until_ms <= now_ms]:
            self.settle(ack_id)
        return max(0, self._messages_max - len(self.out)) if self.bytes_left > 0 else 0

    @property
    def bytes_left(self) -> int:
        """What makes it none is sent whole: a message may be larger than the limit."""
        return self._bytes_max - self._bytes

    def next_over_ms(self) -> int | None:
        return min((one.until_ms for one in self.out.values()), default=None)

    def take(self, lent: Lent, until_ms: int) -> None:
        self.out[lent.ack_id] = _Out(lent.size, until_ms)
        self._bytes += lent.size

    def settle(self, ack_id: str) -> None:
        one = self.out.pop(ack_id, None)
        if one is not None:
            self._bytes -= one.size
            self._wake()

    def confirm_acknowledged(self, ack_ids: Sequence[str], bad: list[str]) -> None:
        """Told on the stream where delivery is exactly once."""
        good = [ack_id for ack_id in ack_ids if ack_id not in bad]
        told = PUBSUB.StreamingPullResponse.AcknowledgeConfirmation(ack_ids=good, invalid_ack_ids=bad)
        self._confirmations.append(PUBSUB.StreamingPullResponse(acknowledge_confirmation=told))
        self._wake()

    def confirm_extended(self, ack_ids: Sequence[str], bad: list[str]) -> None:
        good = [ack_id for ack_id in ack_ids if ack_id not in bad]
        told = PUBSUB.StreamingPullResponse.ModifyAckDeadlineConfirmation(ack_ids=good, invalid_ack_ids=bad)
        self._confirmations.append(PUBSUB.StreamingPullResponse(modify_ack_deadline_confirmation=told))
        self._wake()

    def confirmations(self) -> list[Any]:
        told, self._confirmations = self._confirmations, []
        return told


class Streams:
    """Which stream a message went out on: it may be settled by a call of its own."""

    def __init__(self) -> None:
        self._by_ack_id: dict[str, Stream] = {}

    def add(self, stream: Stream) -> None:
        stream.out.clear()

    def remove(self, stream: Stream) -> None:
        for ack_id in stream.out:
            self._by_ack_id.pop(ack_id, None)

    def lent(self, stream: Stream, lent: Lent, until_ms: int) -> None:
        stream.take(lent, until_ms)
        self._by_ack_id[lent.ack_id] = stream

    def extended(self, ack_id: str, until_ms: int) -> None:
        stream = self._by_ack_id.get(ack_id)
        if stream is not None and ack_id in stream.out:
            stream.out[ack_id].until_ms = until_ms

    def settled(self, ack_ids: Iterable[str]) -> None:
        for ack_id in ack_ids:
            stream = self._by_ack_id.pop(ack_id, None)
            if stream is not None:
                stream.settle(ack_id)
