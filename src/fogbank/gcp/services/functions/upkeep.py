"""Zips that nobody has deployed are forgotten once their addresses are no longer good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.gcp.services.functions.state import FUNCTIONS, UPLOADS

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx

_EVERY_MS = 10 * 60_000
# Tools deploy several functions from one upload, and again from the same one: as long as it can be done in a session.
_KEPT_MS = 24 * 3_600_000


class Upkeep:
    def __init__(self, house: House) -> None:
        self._house = house

    async def run(self) -> None:
        while True:
            for blob in await self._house.store.transact(_forget, self._house.clock.now_ms()):
                self._house.blobs.delete(blob)
            await self._house.clock.sleep(_EVERY_MS)


def _forget(tx: Tx, now_ms: int) -> list[str]:
    """The blobs that nobody names any more: a function has its own name for what it was made of."""
    named = {function.source for function in FUNCTIONS.all(tx)}
    gone = []
    for key, upload in list(UPLOADS.scan(tx)):
        if upload.expires_ms + _KEPT_MS < now_ms:
            tx.delete(key)
            if upload.blob and upload.blob not in named:
                gone.append(upload.blob)
    return gone
