"""What becomes of instances whose version is gone: they end after the events they are at, on every node.

A transaction only marks the version; once that is committed each node finds the mark. Marks go after a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.aws.services.lambda_.calling import Caller
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

_MARKS = Records(int, "lambda", "retired")  # (version id): when, in ms.
_MARKED = "lambda.retired"
_KEPT_MS = 600_000  # Far longer than any node needs to look.


def retire(tx: Tx, version_ids: list[str], now_ms: int) -> None:
    """These versions are no longer what callers get."""
    for version_id in version_ids:
        _MARKS.put(tx, version_id, row=now_ms)
    if version_ids:
        tx.emit(_MARKED)


class Retirement:
    def __init__(self, house: House) -> None:
        self._house = house

    async def run(self) -> None:
        done: set[str] = set()
        while True:
            with self._house.signals.watch(_MARKED) as watch:
                marked = await self._house.store.transact(_marked, self._house.clock.now_ms())
                for version_id in marked - done:
                    self._house.share(Caller).forget(version_id)
                    await self._house.engine.retire(version_id)
                done = marked
                await watch.wait()


def _marked(tx: Tx, now_ms: int) -> set[str]:
    marked = set()
    for key, at_ms in list(_MARKS.scan(tx)):
        marked.add(str(key[-1]))
        if at_ms < now_ms - _KEPT_MS:
            tx.delete(key)
    return marked
