"""Attempts to receive from a FIFO queue that are made again: they are given the same messages, under the same handles.

API reference, ReceiveMessage, "ReceiveRequestAttemptId".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fogbank.kernel.store.records import Records
from fogbank.primitives import queues

if TYPE_CHECKING:
    from fogbank.aws.services.sqs.state import Queue
    from fogbank.kernel.store import Tx

_KEPT_MS = 300_000  # "You can use ReceiveRequestAttemptId only for 5 minutes after a ReceiveMessage action."


@dataclass(frozen=True, slots=True)
class Attempt:
    receipts: list[str]
    lent_until_ms: int  # Of all of them, as long as nobody changes it.
    until_ms: int


ATTEMPTS = Records(Attempt, "sqs", "attempt")  # (queue id, attempt id)


def keep(tx: Tx, queue: Queue, attempt_id: str, lent: list[queues.Message], now_ms: int) -> None:
    kept = Attempt([one.receipt for one in lent], lent[0].due_ms, now_ms + _KEPT_MS)
    ATTEMPTS.put(tx, queue.id, attempt_id, row=kept)


def again(tx: Tx, queue: Queue, attempt_id: str, now_ms: int, lend_ms: int) -> list[tuple[queues.Message, str]]:
    """The messages of an earlier attempt with their receipts, lent anew; none if there was none that still counts:
    "if none of the messages have been modified (deleted or had their visibility changes)"."""
    kept = ATTEMPTS.get(tx, queue.id, attempt_id, lock=True)
    if kept is None or kept.until_ms <= now_ms:
        return []
    if any(queues.lent_until_ms(tx, queue.id, one) != kept.lent_until_ms for one in kept.receipts):
        return []
    if kept.lent_until_ms <= now_ms:
        return []
    found = []
    for receipt in kept.receipts:
        queues.hide(tx, queue.id, receipt, due_ms=now_ms + lend_ms, now_ms=now_ms)
        message = queues.held(tx, queue.id, receipt)
        if message is not None:
            found.append((message, receipt))
    ATTEMPTS.put(tx, queue.id, attempt_id, row=replace(kept, lent_until_ms=now_ms + lend_ms))
    return found


def expire(tx: Tx, queue_id: str, now_ms: int) -> None:
    for key, kept in list(ATTEMPTS.scan(tx, queue_id)):
        if kept.until_ms <= now_ms:
            ATTEMPTS.delete(tx, queue_id, str(key[-1]))
