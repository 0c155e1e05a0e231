"""How much a shard of a provisioned stream takes in a second: kept in memory, as it is forgotten in a second anyway.

Developer Guide, "Quotas and limits": "Each shard can support up to 1,000 PutRecords transactions per second … up to
1 MB/second". Streams of the on-demand mode grow with what is written to them, and are not held to it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fogbank.aws.service import House

RECORDS_MAX: Final = 1000
BYTES_MAX: Final = 1 << 20
_SHARDS_MAX: Final = 4096


class Throughput:
    """Shared by all writers of this server."""

    def __init__(self, _house: House) -> None:
        self._second: dict[tuple[str, str], tuple[int, int, int]] = {}  # (second, records, bytes)

    def take(self, stream: str, shard: str, size: int, now_ms: int) -> bool:
        """Whether a record of `size` bytes has room in this second; a large one has where it is the first."""
        now_s = now_ms // 1000
        second, count, taken = self._second.get((stream, shard), (now_s, 0, 0))
        if second != now_s:
            count = taken = 0
        if count >= RECORDS_MAX or (count and taken + size > BYTES_MAX):
            return False
        if len(self._second) >= _SHARDS_MAX:
            self._second.clear()
        self._second[stream, shard] = (now_s, count + 1, taken + size)
        return True
