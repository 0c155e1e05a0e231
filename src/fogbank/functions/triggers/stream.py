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


async def run(context: Context, trigger: Trigger, link: Link, drain: asyncio.Event) -> None:
    """Until the stream is gone, or closed and read to its end; or `drain` is set and the batches in work have ended."""
    reading: dict[asyncio.Task[None], Lane] = {}
    begun: set[str] = set()
    loop = asyncio.get_running_loop()
    told = loop.create_task(drain.wait())
    try:
        while (stream := await context.store.transact(streams.get, trigger.source)) is not None:
            for shard in stream.shards:
                read = begun - {lane.shard for lane in reading.values()}
                waits = {*link.parents(stream, shard)} & {*stream.shards} - read
                if shard not in begun and not waits:
                    begun.add(shard)
                    made = await context.store.transact(progress.begin, trigger, shard)
                    for number, one in enumerate(made):
                        lane = Lane(context, trigger, link, stream, shard, number)
                        reading[loop.create_task(lane.run(one, drain))] = lane
            if not reading:
                return
            await asyncio.wait((*reading, told), return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in reading if task.done()]:
                del reading[task]
                task.result()
            if drain.is_set():
                await _drain(reading)
                return
    finally:
        for each in (told, *reading):
            each.cancel()
        await asyncio.gather(told, *reading, return_exceptions=True)


async def _drain(reading: dict[asyncio.Task[None], Lane]) -> None:
    """Lanes that wait for something end now, those whose function is at work when it has answered."""
    for task, lane in reading.items():
        if not lane.busy:
            task.cancel()
    await asyncio.gather(*(task for task, lane in reading.items() if lane.busy))
