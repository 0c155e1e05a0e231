"""Receiving: pull, acknowledge, ask for more time; and all of it on one stream."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.service import Call, Code, Later, RpcError, Service
from fogbank.gcp.services.pubsub import lending, state
from fogbank.gcp.services.pubsub.settings import invalid
from fogbank.gcp.services.pubsub.state import PUBSUB, Subscription
from fogbank.gcp.services.pubsub.streams import Stream, Streams
from fogbank.primitives import queues

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fogbank.gcp.service import House
    from fogbank.gcp.services.pubsub.lending import Lent
    from fogbank.kernel.store import Tx

_PULL_MAX = 1000
_PULL_WAIT_MS = 30_000  # "…the system may wait (for a bounded amount of time)…"
_BATCH_MAX = 100  # Of what goes out on a stream at once.
_BATCH_BYTES = 4 * 1024 * 1024
_DEADLINE_MAX_S = 600
_SEEN_EVERY_MS = 6 * 3_600_000  # A stream that is open is noted as somebody who is there ("Expiration policy").
_ACKS_MAX = 512 * 1024  # "Acknowledge … requests": 512 KB ("Pub/Sub quotas and limits").
_BAD_ACKS = (
    "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have expired "
    "or the acknowledgement ids were malformed."
)


class Receiving(Service):
    service = "google.pubsub.v1.Subscriber"

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._streams = Streams()

    # -- one by one -------------------------------------------------------------------------------------------------

    def pull(self, tx: Tx, call: Call, request: Any) -> Any:
        if request.max_messages < 1:
            raise invalid(
                f"The value for max_messages is too small. You passed {request.max_messages} in the request, but the "
                "minimum value is 1."
            )
        subscription = state.subscription(tx, request.subscription)
        if subscription.settings.push_config.push_endpoint:
            raise RpcError(Code.FAILED_PRECONDITION, "This method is not supported for this subscription type.")
        state.note_active(tx, subscription, call.now_ms)
        lent = self._lend(tx, call.new_id, request)
        if lent or request.return_immediately:
            return _pulled(lent)
        return Later(lambda: self._wait(subscription, call, request))

    def _lend(self, tx: Tx, new_id: Callable[[], str], request: Any) -> list[Lent]:
        limit = min(request.max_messages, _PULL_MAX)
        _, lent = lending.lend(
            tx, request.subscription, limit=limit, lease_ms=0, now_ms=self.house.clock.now_ms(), new_id=new_id
        )
        return lent

    async def _wait(self, subscription: Subscription, call: Call, request: Any) -> Any:
        house, until_ms = self.house, call.now_ms + _PULL_WAIT_MS
        with house.signals.watch(queues.DUE, (subscription.id,)) as watch:
            while True:
                lent = await house.store.transact(self._lend, call.new_id, request)
                now_ms = house.clock.now_ms()
                if lent or now_ms >= until_ms:
                    return _pulled(lent)
                next_ms = await house.store.transact(queues.next_due_ms, subscription.id, after_ms=now_ms)
                await watch.wait(min(until_ms, next_ms or until_ms))

    async def acknowledge(self, call: Call, request: Any) -> Any:
        _check(request)
        bad = await self._acknowledge(request.subscription, list(request.ack_ids))
        _tell_bad(bad)
        return message("google.protobuf.Empty")()

    async def modify_ack_deadline(self, call: Call, request: Any) -> Any:
        _check(request)
        _check_deadline(request.ack_deadline_seconds)
        bad = await self._extend(request.subscription, [(one, request.ack_deadline_seconds) for one in request.ack_ids])
        _tell_bad(bad)
        return message("google.protobuf.Empty")()

    async def _acknowledge(self, name: str, ack_ids: list[str]) -> list[str]:
        """Those that an exactly-once subscription tells of."""

        def work(tx: Tx) -> list[str]:
            subscription = state.subscription(tx, name)
            bad = lending.acknowledge(tx, subscription, ack_ids, self.house.clock.now_ms())
            return bad if subscription.settings.enable_exactly_once_delivery else []

        bad = await self.house.store.transact(work)
        self._streams.settled(ack_ids)
        return bad

    async def _extend(self, name: str, deadlines: list[tuple[str, int]]) -> list[str]:
        def work(tx: Tx) -> list[str]:
            subscription = state.subscription(tx, name)
            bad = lending.extend(tx, subscription, deadlines, self.house.clock.now_ms())
            return bad if subscription.settings.enable_exactly_once_delivery else []

        bad = await self.house.store.transact(work)
        now_ms = self.house.clock.now_ms()
        for ack_id, seconds in deadlines:
            if seconds:
                self._streams.extended(ack_id, now_ms + seconds * 1000)
            else:
                self._streams.settled([ack_id])
        return bad

    # -- on a stream ------------------------------------------------------------------------------------------------

    async def streaming_pull(self, call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        first = await anext(requests, None)
        if first is None or not first.subscription:
            raise invalid("The initial request of a StreamingPull must name a subscription.")
        _check_stream_deadline(first.stream_ack_deadline_seconds)
        subscription = await self.house.store.transact(state.subscription, first.subscription)
        if subscription.settings.push_config.push_endpoint:
            raise RpcError(Code.FAILED_PRECONDITION, "This method is not supported for this subscription type.")
        with self.house.signals.watch(queues.DUE, (subscription.id,)) as watch:
            stream = Stream(first, watch.woken.set)
            self._streams.add(stream)
            reader = asyncio.ensure_future(self._hear(stream, first, requests))
            reader.add_done_callback(lambda _: watch.woken.set())
            try:
                while not reader.done():
                    subscription, lent, next_ms = await self._lend_on(stream, call)
                    for response in _responses(stream, subscription, lent):
                        yield response
                    if not lent:
                        again_ms = self.house.clock.now_ms() + _SEEN_EVERY_MS
                        await watch.wait(min(next_ms or again_ms, again_ms))
                reader.result()  # Raises what was wrong with a request.
            finally:
                self._streams.remove(stream)
                reader.cancel()
                with suppress(asyncio.CancelledError, RpcError):
                    await reader

    async def _lend_on(self, stream: Stream, call: Call) -> tuple[Subscription, list[Lent], int | None]:
        """What goes out now, and when to look again if nobody wakes us."""
        now_ms = self.house.clock.now_ms()
        room = min(stream.room(now_ms), _BATCH_MAX)
        bytes_max = min(stream.bytes_left, _BATCH_BYTES)

        def work(tx: Tx) -> tuple[Subscription, list[Lent], int | None]:
            subscription, lent = lending.lend(
                tx,
                stream.subscription,
                limit=room,
                lease_ms=stream.lease_ms,
                now_ms=now_ms,
                new_id=call.new_id,
                bytes_max=bytes_max,
            )
            state.note_active(tx, subscription, now_ms)
            next_ms = queues.next_due_ms(tx, subscription.id, after_ms=now_ms) if room else stream.next_over_ms()
            return subscription, lent, next_ms

        subscription, lent, next_ms = await self.house.store.transact(work)
        for one in lent:
            self._streams.lent(stream, one, now_ms + stream.lease_ms)
        return subscription, lent, next_ms

    async def _hear(self, stream: Stream, first: Any, requests: AsyncIterator[Any]) -> None:
        """What the subscriber says on the stream, until it says no more."""
        await self._take(stream, first)
        async for request in requests:
            if request.subscription:
                raise invalid("Only the initial request of a StreamingPull names a subscription.")
            if request.stream_ack_deadline_seconds:
                _check_stream_deadline(request.stream_ack_deadline_seconds)
                stream.lease_ms = request.stream_ack_deadline_seconds * 1000
            await self._take(stream, request)

    async def _take(self, stream: Stream, request: Any) -> None:
        _check_size(request)
        if len(request.modify_deadline_ack_ids) != len(request.modify_deadline_seconds):
            raise invalid(
                "A StreamingPullRequest must have as many modify_deadline_ack_ids as modify_deadline_seconds."
            )
        for seconds in request.modify_deadline_seconds:
            _check_deadline(seconds)
        if request.ack_ids:
            bad = await self._acknowledge(stream.subscription, list(request.ack_ids))
            stream.confirm_acknowledged(request.ack_ids, bad)
        if request.modify_deadline_ack_ids:
            deadlines = list(zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True))
            bad = await self._extend(stream.subscription, deadlines)
            stream.confirm_extended(request.modify_deadline_ack_ids, bad)


def _responses(stream: Stream, subscription: Subscription, lent: list[Lent]) -> list[Any]:
    """What is to be said now, in pieces that no client finds too large."""
    exactly_once = subscription.settings.enable_exactly_once_delivery
    properties = PUBSUB.StreamingPullResponse.SubscriptionProperties(
        exactly_once_delivery_enabled=exactly_once,
        message_ordering_enabled=subscription.settings.enable_message_ordering,
    )
    confirmations = stream.confirmations()
    responses = confirmations if exactly_once else []
    size = _BATCH_BYTES + 1
    for one in lent:
        if size + one.size > _BATCH_BYTES:
            responses.append(PUBSUB.StreamingPullResponse())
            size = 0
        responses[-1].received_messages.append(one.received())
        size += one.size
    for response in responses:
        response.subscription_properties.CopyFrom(properties)
    return responses


def _pulled(lent: list[Lent]) -> Any:
    return PUBSUB.PullResponse(received_messages=[one.received() for one in lent])


def _check(request: Any) -> None:
    _check_size(request)
    if not request.ack_ids:
        raise invalid("You have not specified an ack ID in the request.")


def _check_size(request: Any) -> None:
    if request.ByteSize() > _ACKS_MAX:
        raise invalid(f"Request payload size exceeds the limit: {_ACKS_MAX} bytes.")


def _check_deadline(seconds: int) -> None:
    if not 0 <= seconds <= _DEADLINE_MAX_S:
        raise invalid(
            f"Invalid ack deadline given (ack_deadline_seconds={seconds}): it must be between 0 and 600 seconds."
        )


def _check_stream_deadline(seconds: int) -> None:
    if not 10 <= seconds <= _DEADLINE_MAX_S:
        raise invalid(
            f"Invalid stream ack deadline given (stream_ack_deadline_seconds={seconds}): it must be between 10 and 600 "
            "seconds."
        )


def _tell_bad(bad: list[str]) -> None:
    """ "Exactly-once delivery": what became of each is in the details."""
    if bad:
        why = message("google.rpc.ErrorInfo")(reason="INVALID_ACK_ID", domain="pubsub.googleapis.com")
        for ack_id in bad:
            why.metadata[ack_id] = "PERMANENT_FAILURE_INVALID_ACK_ID"  # type: ignore[attr-defined]
        raise RpcError(Code.FAILED_PRECONDITION, _BAD_ACKS, [why])
