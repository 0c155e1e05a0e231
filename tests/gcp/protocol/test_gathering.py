"""What is written in one turn of the loop leaves at once, whole and in order."""

from __future__ import annotations

import asyncio
from typing import Any

from fogbank.gcp.protocol.gathering import Gathering


class Recorded(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed_after: int | None = None

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed_after is not None

    def close(self) -> None:
        self.closed_after = len(self.writes)


def test_writes_of_one_turn_are_one() -> None:
    async def turns() -> list[bytes]:
        below = Recorded()
        gathering = Gathering(below)
        gathering.write(b"a")
        gathering.write(b"b")
        assert below.writes == []
        await asyncio.sleep(0)
        gathering.write(b"c")
        await asyncio.sleep(0)
        return below.writes

    assert asyncio.run(turns()) == [b"ab", b"c"]


def test_much_is_not_held_back_and_closing_loses_nothing() -> None:
    async def turns() -> Recorded:
        below = Recorded()
        gathering = Gathering(below)
        gathering.write(b"a")
        gathering.write(b"x" * 65536)
        assert below.writes == [b"a" + b"x" * 65536]
        gathering.write(b"b")
        gathering.close()
        await asyncio.sleep(0)
        return below

    below = asyncio.run(turns())
    assert below.writes[1:] == [b"b"] and below.closed_after == 2
