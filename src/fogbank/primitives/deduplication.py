"""Messages that come twice: what an id stands for, until its time is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx


@dataclass(frozen=True, slots=True)
class Sent:
    """The message that was sent under an id first."""

    message_id: str
    sequence: str
    until_ms: int


class Deduplication:
    """Of one service: by what messages are sent to (`owner`), the part of it that ids count in (`scope`: a group, or ""
    for the whole), and the id."""

    def __init__(self, service: str) -> None:
        self._rows = Records(Sent, service, "sent")

    def find(self, tx: Tx, owner: str, scope: str, token: str, now_ms: int) -> Sent | None:
        """Locks the id: of two that send it at once, one sees the other."""
        sent = self._rows.get(tx, owner, scope, token, lock=True)
        return sent if sent is not None and sent.until_ms > now_ms else None

    def keep(self, tx: Tx, owner: str, scope: str, token: str, sent: Sent) -> None:
        self._rows.put(tx, owner, scope, token, row=sent)

    def forget(self, tx: Tx, owner: str) -> None:
        self._rows.clear(tx, owner)

    def expire(self, tx: Tx, now_ms: int, *owner: str) -> None:
        """Of one owner, or of all, those whose time is over."""
        for key, sent in list(self._rows.scan(tx, *owner)):
            if sent.until_ms <= now_ms:
                tx.delete(key)
