"""Durable queues: a message is lent, not taken, and comes back by itself unless its holder deletes it in time.

The moment a message is due is part of its key. Lending one is moving it to a later moment: no timer brings it back and
no crash can lose it. A *receipt* names one lending (message, number of the lending, due moment): an older receipt no
longer counts, and the newest still does after its holder asked for more time.

Ordered queues (`group` not empty) lend the messages of a group one after the other: while one is lent, the rest of its
group waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from fogbank.kernel.store import END
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fogbank.kernel.store import Tx

DUE = "queue.due"  # The signal: something of this queue is due, or will be sooner than was known.
_BATCH_MAX = 10
_LOOK_AHEAD = 512  # How far a receive looks past messages whose group is held.


class Message(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    id: str  # Sorts in the order of sending (`kernel.ids`).
    body: str
    due_ms: int  # Hidden before this moment, due from it on.
    sent_ms: int = 0
    expires_ms: int = 0  # Forgotten at this moment; 0: never.
    receive_count: int = 0
    first_received_ms: int = 0
    group: str = ""
    moved: bool = False  # Its holder has asked for another moment: `MOVED` tells it to whoever has the receipt.
    notes: dict[str, Any] = {}  # The skin's own facts: kept here, never read here.

    @property
    def receipt(self) -> str:
        return f"{self.id}:{self.receive_count}:{self.due_ms}"


@dataclass(frozen=True, slots=True)
class Counts:
    visible: int
    in_flight: int
    delayed: int


MESSAGES = Records(Message, "queue", "due")  # (queue, due_ms, id)
GROUPED = Records(int, "queue", "grouped")  # (queue, group, id) → due_ms: the order inside a group
MOVED = Records(int, "queue", "lent")  # (queue, id) → due_ms, where that is not the one in its receipt any more


def send(tx: Tx, queue: str, message: Message) -> None:
    _place(tx, queue, message)
    tx.emit(DUE, (queue,))


def receive(
    tx: Tx, queue: str, *, limit: int, now_ms: int, lend_ms: int,
    dead: Callable[[Message], bool] | None = None, on_dead: Callable[[Tx, Message], None] | None = None,
    pause_ms: Callable[[int], int] | None = None, enough: Callable[[list[Message]], bool] | None = None,
) -> list[Message]:  # fmt: skip
    """Lend up to `limit` messages that are due, longest due first, until `now_ms + lend_ms`; or for longer, by the
    pause that a message is to have after its so many-th lending if that has ended by itself.

    No more are lent once those that are make `enough`. One that is `dead` (it has been lent too often) is taken out and
    handed to `on_dead` instead.
    """
    lent: list[Message] = []
    while True:
        taken_out = _lend_due(tx, queue, lent, limit, now_ms, lend_ms, dead, on_dead, pause_ms, enough)
        if not taken_out or len(lent) == limit or (enough is not None and enough(lent)):
            return lent  # Else what stood first was expired or dead, and there may be more.


def take_out(tx: Tx, queue: str, *, limit: int, now_ms: int, then: Callable[[Tx, Message], None]) -> int:
    """Take up to `limit` messages that are due out of the queue, for good; how many."""
    return _lend_due(tx, queue, [], limit, now_ms, 0, lambda _: True, then)


def _lend_due(
    tx: Tx, queue: str, lent: list[Message], limit: int, now_ms: int, lend_ms: int,
    dead: Callable[[Message], bool] | None, on_dead: Callable[[Tx, Message], None] | None,
    pause_ms: Callable[[int], int] | None = None, enough: Callable[[list[Message]], bool] | None = None,
) -> int:  # fmt: skip
    """Add to `lent`, up to `limit`; how many were taken out of the queue instead."""
    taken_out = 0
    groups: set[str] = set()
    for found in _due(tx, queue, now_ms, limit):
        if len(lent) == limit or (enough is not None and enough(lent)):
            break
        if found.group in groups:
            continue
        if found.group:
            groups.add(found.group)
        for message in _next_of_group(tx, queue, found.group, now_ms) if found.group else (found,):
            if len(lent) == limit or (enough is not None and enough(lent)):
                break
            if 0 < message.expires_ms <= now_ms:
                _forget(tx, queue, message)
                taken_out += 1
            elif dead is not None and dead(message):
                _forget(tx, queue, message)
                taken_out += 1
                if on_dead is not None:
                    on_dead(tx, message)
            else:
                pause = pause_ms(message.receive_count + 1) if pause_ms else 0
                lent.append(_lend(tx, queue, message, now_ms, lend_ms + pause))
    return taken_out


def _due(tx: Tx, queue: str, now_ms: int, limit: int) -> list[Message]:
    """As many as are asked for; more where there are groups, since some of those may be held."""
    first, last = ("queue", "due", queue), ("queue", "due", queue, now_ms + 1)
    found = [MESSAGES.decode(row) for _, row in tx.claim(first, last, limit=limit)]
    if any(message.group for message in found):
        return [MESSAGES.decode(row) for _, row in tx.claim(first, last, limit=limit + _LOOK_AHEAD)]
    return found


def _next_of_group(tx: Tx, queue: str, group: str, now_ms: int) -> Iterator[Message]:
    """The messages of a group in the order of sending, as long as nothing before them is lent or delayed."""
    for key, due_ms in list(GROUPED.scan(tx, queue, group, limit=_BATCH_MAX)):
        if due_ms > now_ms:
            return
        message = MESSAGES.get(tx, queue, due_ms, str(key[-1]), lock=True)
        if message is not None:
            yield message


def _lend(tx: Tx, queue: str, message: Message, now_ms: int, lend_ms: int) -> Message:
    MESSAGES.delete(tx, queue, message.due_ms, message.id)
    if message.moved:
        MOVED.delete(tx, queue, message.id)
    taken = replace(
        message, due_ms=now_ms + lend_ms, receive_count=message.receive_count + 1, moved=False,
        first_received_ms=message.first_received_ms or now_ms,
    )  # fmt: skip
    _place(tx, queue, taken)
    return taken


def hide(tx: Tx, queue: str, receipt: str, *, due_ms: int, now_ms: int) -> bool | None:
    """Give the holder of the newest receipt until `due_ms`. None, and nothing done, if the receipt is an older one;
    False if the message is not lent any more."""
    message = _find(tx, queue, receipt)
    if message is None:
        return None
    if message.due_ms <= now_ms:
        return False
    MESSAGES.delete(tx, queue, message.due_ms, message.id)
    _place(tx, queue, replace(message, due_ms=due_ms, moved=True))
    MOVED.put(tx, queue, message.id, row=due_ms)
    tx.emit(DUE, (queue,))
    return True


def give_back(tx: Tx, queue: str, receipt: str, *, due_ms: int, now_ms: int) -> bool | None:
    """As `hide`, by a holder who has not got on with it: what is lent of its group behind it comes back with it, and
    the order is kept."""
    message = _find(tx, queue, receipt)
    given = hide(tx, queue, receipt, due_ms=due_ms, now_ms=now_ms)
    if given and message is not None and message.group:
        after = GROUPED.key(queue, message.group, message.id)
        for key, lent_until_ms in list(GROUPED.scan(tx, queue, message.group, after=after)):
            behind = MESSAGES.get(tx, queue, lent_until_ms, str(key[-1]), lock=True)
            if behind is not None and behind.receive_count and behind.due_ms > due_ms:
                hide(tx, queue, behind.receipt, due_ms=due_ms, now_ms=now_ms)
    return given


def delete(tx: Tx, queue: str, receipt: str) -> bool:
    """Forget the message lent under `receipt`. False, and nothing done, if the receipt is an older one."""
    message = _find(tx, queue, receipt)
    if message is None:
        return False
    _forget(tx, queue, message)
    if message.group:
        tx.emit(DUE, (queue,))
    return True


def release(tx: Tx, queue: str, now_ms: int, *, hidden: bool = True) -> None:
    """Whoever held messages of it is known to be gone: they are due now, not when their time would be over; since they
    were sent, which was before they were lent until any moment that an old receipt could tell. Those that are `hidden`
    by their holders may be left to wait for their moment."""
    for message in list(_in_flight(tx, queue, now_ms)):
        if message.moved and not hidden:
            continue
        _forget(tx, queue, message)
        _place(tx, queue, replace(message, due_ms=min(message.sent_ms, now_ms), moved=False))
    tx.emit(DUE, (queue,))


def contents(tx: Tx, queue: str) -> list[Message]:
    """All that is in it, lent or not."""
    return [message for _, message in MESSAGES.scan(tx, queue)]


def take(tx: Tx, queue: str, message: Message) -> None:
    """Forget a message of `contents`, whoever holds it."""
    _forget(tx, queue, message)


def _in_flight(tx: Tx, queue: str, now_ms: int) -> Iterator[Message]:
    """Lent now: what waits longer without having been lent is delayed."""
    for _, row in tx.scan(MESSAGES.key(queue, now_ms + 1), (*MESSAGES.key(queue), END)):
        message = MESSAGES.decode(row)
        if message.receive_count:
            yield message


def held(tx: Tx, queue: str, receipt: str) -> Message | None:
    """The message whose newest receipt this is."""
    return _find(tx, queue, receipt)


def lent_until_ms(tx: Tx, queue: str, receipt: str) -> int:
    """Until when the message is lent under this receipt; 0 if the receipt is an older one, or the message gone."""
    message = _find(tx, queue, receipt)
    return message.due_ms if message is not None else 0


def rewrite(tx: Tx, queue: str, change: Callable[[Message], Message]) -> None:
    """Give every message of a queue other facts (its id and group stay)."""
    for _, message in list(MESSAGES.scan(tx, queue)):
        changed = change(message)
        if changed != message:
            MESSAGES.delete(tx, queue, message.due_ms, message.id)
            _place(tx, queue, changed)
    tx.emit(DUE, (queue,))


def next_due_ms(tx: Tx, queue: str, *, after_ms: int = -1) -> int | None:
    """When the first message is due that is due later than `after_ms`: without one, in the past if one is now."""
    for _, row in tx.scan(MESSAGES.key(queue, after_ms + 1), (*MESSAGES.key(queue), END), limit=1):
        return MESSAGES.decode(row).due_ms
    return None


def counts(tx: Tx, queue: str, now_ms: int) -> Counts:
    visible = tx.count(MESSAGES.key(queue), MESSAGES.key(queue, now_ms + 1))
    later = tx.count(MESSAGES.key(queue, now_ms + 1), (*MESSAGES.key(queue), END))
    in_flight = sum(1 for _ in _in_flight(tx, queue, now_ms))
    return Counts(visible, in_flight, later - in_flight)


def expire(tx: Tx, queue: str, now_ms: int, limit: int = 1000) -> int:
    """Forget what is older than the queue keeps; how many."""
    gone = 0
    for _, message in list(MESSAGES.scan(tx, queue, limit=limit)):
        if 0 < message.expires_ms <= now_ms:
            _forget(tx, queue, message)
            gone += 1
    return gone


def drop(tx: Tx, queue: str) -> None:
    """Forget the whole queue (or all that is in it)."""
    for records in (MESSAGES, GROUPED, MOVED):
        records.clear(tx, queue)


def _place(tx: Tx, queue: str, message: Message) -> None:
    MESSAGES.put(tx, queue, message.due_ms, message.id, row=message)
    if message.group:
        GROUPED.put(tx, queue, message.group, message.id, row=message.due_ms)


def _find(tx: Tx, queue: str, receipt: str) -> Message | None:
    """The message as it is lent now, if this is its newest receipt."""
    message_id, count, lent_until_ms = receipt.rsplit(":", 2)
    message = MESSAGES.get(tx, queue, int(lent_until_ms), message_id, lock=True)
    if message is None:
        moved_ms = MOVED.get(tx, queue, message_id)
        message = None if moved_ms is None else MESSAGES.get(tx, queue, moved_ms, message_id, lock=True)
    return message if message is not None and message.receive_count == int(count) else None


def _forget(tx: Tx, queue: str, message: Message) -> None:
    MESSAGES.delete(tx, queue, message.due_ms, message.id)
    if message.moved:
        MOVED.delete(tx, queue, message.id)
    if message.group:
        GROUPED.delete(tx, queue, message.group, message.id)
