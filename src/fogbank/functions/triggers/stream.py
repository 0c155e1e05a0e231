"""Stream → function: records in order, a batch at a time; where it stands is kept, so nothing is skipped or lost.

Each shard is read in one or more lanes (`lane`). A shard that came out of others is read once those have been read to
their end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fogbank.functions.triggers import progress
from fogbank.functions.triggers.lane import Lane
from fogbank.primitives import streams

if TYPE_CHECKING:
    from fogbank.functions.triggers.model import Context, Trigger
    from fogbank.functions.triggers.stream_link import Link


async def run(context: Context, trigger: Trigger, link: Link) -> None:
    """Until the stream is gone, or closed and read to its end."""
    reading: dict[asyncio.Task[None], str] = {}
    begun: set[str] = set()
    try:
        while (stream := await context.store.transact(streams.get, trigger.source)) is not None:
            for shard in stream.shards:
                waits = {*link.parents(stream, shard)} & {*stream.shards} - (begun - {*reading.values()})
                if shard not in begun and not waits:
                    begun.add(shard)
                    made = await context.store.transact(progress.begin, trigger, shard)
                    for number, one in enumerate(made):
                        lane = Lane(context, trigger, link, stream, shard, number)
                        reading[asyncio.get_running_loop().create_task(lane.run(one))] = shard
            if not reading:
                return
            ended, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                del reading[task]
                task.result()
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
