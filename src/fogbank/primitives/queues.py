"""Durable queues: a message is lent, not taken, and comes back by itself unless its holder deletes it in time.

The moment a message is due is part of its key. Lending one is moving it to a later moment: no timer brings it back and
no crash can lose it. A *receipt* names one lending (message, number of the lending, due moment): an older receipt no
longer counts, and the newest still does after its holder asked for more time.

Ordered queues (`group` not empty) lend the messages of a group one after the other: while one is lent, the rest of its
group waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fogbank.kernel.store import END
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.store import Tx

DUE = "queue.due"  # The signal: something of this queue is due, or will be sooner than was known.
_LOOK_AHEAD = 512  # How far a receive looks past messages whose group is held.


@dataclass(frozen=True, slots=True)
class Message:
    id: str  # Sorts in the order of sending (`kernel.ids`).
    body: str
    due_ms: int  # Hidden before this moment, due from it on.
    sent_ms: int = 0
    expires_ms: int = 0  # Forgotten at this moment; 0: never.
    receive_count: int = 0
    first_received_ms: int = 0
    group: str = ""
    notes: dict[str, Any] = field(default_factory=dict)  # The skin's own facts: kept here, never read here.

    @property
    def receipt(self) -> str:
        return f"{self.id}:{self.receive_count}:{self.due_ms}"


@dataclass(frozen=True, slots=True)
class Counts:
    visible: int
    in_flight: int
    delayed: int


MESSAGES = Records(Message, "queue", "due")  # (queue, due_ms, id)
MOVED = Records(int, "queue", "moved")  # (queue, id) → due_ms, where a holder has changed it
HELD = Records(str, "queue", "held")  # (queue, group) → id of the message that is lent
LENT = Records(int, "queue", "lent")  # (queue, id) → due_ms: what is in flight


def send(tx: Tx, queue: str, message: Message) -> None:
    _place(tx, queue, message)
    tx.emit(DUE, (queue,))


def receive(
    tx: Tx, queue: str, *, limit: int, now_ms: int, lend_ms: int,
    dead: Callable[[Message], bool] | None = None, on_dead: Callable[[Tx, Message], None] | None = None,
) -> list[Message]:  # fmt: skip
    """Lend up to `limit` messages that are due, longest due first, until `now_ms + lend_ms`.

    One that is `dead` (it has been lent too often) is taken out and handed to `on_dead` instead.
    """
    lent: list[Message] = []
    passed: set[str] = set()
    first, last = MESSAGES.key(queue), MESSAGES.key(queue, now_ms + 1)
    for key, row in tx.claim(first, last, limit=limit + _LOOK_AHEAD if _has_groups(tx, queue) else limit):
        if len(lent) == limit:
            break
        message = MESSAGES.decode(row)
        if 0 < message.expires_ms <= now_ms:
            _forget(tx, queue, message, key)
        elif message.group and _waits(tx, queue, message, passed):
            passed.add(message.group)
        elif dead is not None and dead(message):
            _forget(tx, queue, message, key)
            if on_dead is not None:
                on_dead(tx, message)
        else:
            tx.delete(key)
            taken = replace(
                message, due_ms=now_ms + lend_ms, receive_count=message.receive_count + 1,
                first_received_ms=message.first_received_ms or now_ms,
            )  # fmt: skip
            _place(tx, queue, taken)
            LENT.put(tx, queue, message.id, row=taken.due_ms)
            if message.group:
                HELD.put(tx, queue, message.group, row=message.id)
            lent.append(taken)
    return lent


def hide(tx: Tx, queue: str, receipt: str, *, due_ms: int, now_ms: int) -> bool | None:
    """Give the holder of the newest receipt until `due_ms`. None, and nothing done, if the receipt is an older one;
    False if the message is not lent any more."""
    message = _find(tx, queue, receipt)
    if message is None:
        return None
    if message.due_ms <= now_ms:
        return False
    MESSAGES.delete(tx, queue, message.due_ms, message.id)
    _place(tx, queue, replace(message, due_ms=due_ms))
    MOVED.put(tx, queue, message.id, row=due_ms)  # A receipt tells where it was lent to, not this.
    LENT.put(tx, queue, message.id, row=due_ms)
    if due_ms <= now_ms:
        _let_go(tx, queue, message)
    tx.emit(DUE, (queue,))
    return True


def delete(tx: Tx, queue: str, receipt: str) -> bool:
    """Forget the message lent under `receipt`. False, and nothing done, if the receipt is an older one."""
    message = _find(tx, queue, receipt)
    if message is None:
        return False
    _forget(tx, queue, message, MESSAGES.key(queue, message.due_ms, message.id))
    if message.group:
        tx.emit(DUE, (queue,))
    return True


def next_due_ms(tx: Tx, queue: str) -> int | None:
    """When the first message is due: in the past if one is now."""
    for _, message in MESSAGES.scan(tx, queue, limit=1):
        return message.due_ms
    return None


def counts(tx: Tx, queue: str, now_ms: int) -> Counts:
    visible = tx.count(MESSAGES.key(queue), MESSAGES.key(queue, now_ms + 1))
    later = tx.count(MESSAGES.key(queue, now_ms + 1), (*MESSAGES.key(queue), END))
    in_flight = sum(1 for due_ms in LENT.all(tx, queue) if due_ms > now_ms)
    return Counts(visible, in_flight, later - in_flight)


def expire(tx: Tx, queue: str, now_ms: int, limit: int = 1000) -> int:
    """Forget what is older than the queue keeps; how many."""
    gone = 0
    for key, message in list(MESSAGES.scan(tx, queue, limit=limit)):
        if 0 < message.expires_ms <= now_ms:
            _forget(tx, queue, message, key)
            gone += 1
    return gone


def drop(tx: Tx, queue: str) -> None:
    """Forget the whole queue (or all that is in it)."""
    for records in (MESSAGES, MOVED, HELD, LENT):
        records.clear(tx, queue)


def _place(tx: Tx, queue: str, message: Message) -> None:
    MESSAGES.put(tx, queue, message.due_ms, message.id, row=message)
    if message.group and message.receive_count == 0:
        tx.put(("queue", "grouped", queue), b"")


def _has_groups(tx: Tx, queue: str) -> bool:
    return tx.get(("queue", "grouped", queue)) is not None


def _waits(tx: Tx, queue: str, message: Message, passed: set[str]) -> bool:
    """Is another message of its group lent, or passed over a moment ago?"""
    if message.group in passed:
        return True
    holder = HELD.get(tx, queue, message.group, lock=True)
    return holder is not None and holder != message.id and LENT.get(tx, queue, holder) is not None


def _find(tx: Tx, queue: str, receipt: str) -> Message | None:
    """The message as it is lent now, if this is its newest receipt."""
    message_id, count, lent_until_ms = receipt.rsplit(":", 2)
    for due_ms in (int(lent_until_ms), MOVED.get(tx, queue, message_id)):
        message = None if due_ms is None else MESSAGES.get(tx, queue, due_ms, message_id, lock=True)
        if message is not None and message.receive_count == int(count):
            return message
    return None


def _forget(tx: Tx, queue: str, message: Message, key: Any) -> None:
    tx.delete(key)
    if message.receive_count:
        MOVED.delete(tx, queue, message.id)
        LENT.delete(tx, queue, message.id)
    _let_go(tx, queue, message)


def _let_go(tx: Tx, queue: str, message: Message) -> None:
    if message.group and HELD.get(tx, queue, message.group) == message.id:
        HELD.delete(tx, queue, message.group)
