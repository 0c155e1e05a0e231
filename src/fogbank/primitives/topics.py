"""Topics: what is published goes to every queue that is subscribed, and may be kept so that it can be had once more.

An *owner* keeps messages: a topic all that is published to it, a subscription what it has acknowledged. They are kept
by the moment of their publication, so that going back to one is the end of a scan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from fogbank.kernel.store import END
from fogbank.kernel.store.records import Records
from fogbank.primitives import queues
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fogbank.kernel.store import Tx

KEPT = Records(Message, "topic", "kept")  # (owner, sent_ms, id)


def keep(tx: Tx, owner: str, message: Message) -> None:
    KEPT.put(tx, owner, message.sent_ms, message.id, row=message)


def acknowledge(tx: Tx, queue: str, receipt: str, *, keeps: bool) -> bool:
    """Take the message lent under `receipt` out of the queue; `keeps`: it can be had again. False, and nothing done, if
    the receipt is an older one."""
    message = queues.held(tx, queue, receipt) if keeps else None
    if not queues.delete(tx, queue, receipt):
        return False
    if message is not None:
        keep(tx, queue, message)
    return True


def seek(
    tx: Tx, queue: str, owners: Iterable[str], *, since_ms: int, keeps: bool,
    fresh: Callable[[Message], Message | None],
) -> None:  # fmt: skip
    """Let the queue hold what was published from a moment on, as far as it is kept; what is older counts as
    acknowledged. `fresh` makes a kept message one of this queue, or none where it is not for it."""
    there = set()
    for message in queues.contents(tx, queue):
        if message.sent_ms >= since_ms:
            there.add(message.id)
            continue
        queues.take(tx, queue, message)
        if keeps:
            keep(tx, queue, message)
    for owner in owners:
        for _, raw in list(tx.scan(KEPT.key(owner, since_ms), (*KEPT.key(owner), END))):
            kept = KEPT.decode(raw)
            message_again = fresh(kept) if kept.id not in there else None
            if message_again is not None:
                there.add(kept.id)
                queues.send(tx, queue, message_again)
                KEPT.delete(tx, queue, kept.sent_ms, kept.id)
    tx.emit(queues.DUE, (queue,))


def copy(tx: Tx, source: str, target: str, now_ms: int) -> None:
    """All that `source` holds, as if nobody had held it yet, to `target`; `source` stays as it is."""
    for message in queues.contents(tx, source):
        queues.send(tx, target, renewed(message, now_ms))


def renewed(message: Message, now_ms: int) -> Message:
    """As if it had never been lent."""
    return replace(message, due_ms=now_ms, receive_count=0, first_received_ms=0, moved=False)


def expire(tx: Tx, owner: str, before_ms: int, limit: int = 1000) -> int:
    """Forget what was published before that moment; how many."""
    rows = list(tx.scan(KEPT.key(owner), KEPT.key(owner, before_ms), limit=limit))
    for key, _ in rows:
        tx.delete(key)
    return len(rows)


def drop(tx: Tx, owner: str) -> None:
    KEPT.clear(tx, owner)
