"""What has been kept long enough is forgotten: records, shards that have ended, streams that were deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.primitives import streams

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

_EACH_MS: Final = 3_600_000
_BATCH: Final = 1000


async def run(house: House) -> None:
    while True:
        while await house.store.transact(_trim, now_ms=house.clock.now_ms()):
            pass
        while await house.store.transact(streams.sweep, limit=_BATCH):
            pass
        await house.clock.sleep(_EACH_MS)


def _trim(tx: Tx, *, now_ms: int) -> bool:
    """Whether there is more to do."""
    for stream in streams.owned(tx, "kinesis/"):
        before_ms = now_ms - stream.keep_ms
        if any(
            streams.trim(tx, stream.id, shard, before_ms=before_ms, limit=_BATCH) == _BATCH for shard in stream.shards
        ):
            return True
        over = [name for name, shard in stream.lineage.items() if 0 < shard.ended_ms < before_ms]
        if over:
            streams.retire(tx, stream.id, over)
    return False
