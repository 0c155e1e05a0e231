"""Background loops end with their supervisor, whenever they were started."""

from __future__ import annotations

import asyncio
import io

from fogbank.kernel.clock import Clock
from fogbank.kernel.tasks import Supervisor, end
from fogbank.kernel.telemetry import Telemetry


def test_a_loop_that_is_started_while_the_others_are_stopped_is_stopped_too() -> None:
    """As triggers are: who starts them is itself stopped last."""

    async def live() -> set[str]:
        supervisor, one_ended = Supervisor(Telemetry(Clock(), io.StringIO())), asyncio.Event()

        async def start_others() -> None:
            supervisor.start("one", run_one)
            await one_ended.wait()
            supervisor.start("another", asyncio.Event().wait)  # type: ignore[arg-type]  # What it returns is nobody's.

        async def run_one() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                one_ended.set()
                await asyncio.sleep(0)

        supervisor.start("starts others", start_others)
        while "one" not in supervisor.tasks:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await supervisor.stop_all()
        return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert asyncio.run(live()) == set()


def test_the_end_of_tasks_is_waited_for_whatever_comes_of_each() -> None:
    async def live() -> list[str]:
        ended: list[str] = []

        async def work(name: str, error: Exception | None = None) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)  # It takes a while to end.
                ended.append(name)
                if error is not None:
                    raise error

        working = {asyncio.ensure_future(work("one", OSError())), asyncio.ensure_future(work("another"))}
        for task in working:
            task.add_done_callback(working.discard)  # As loops do that know what is under way.
        await asyncio.sleep(0)
        await end(working)
        return sorted(ended)

    assert asyncio.run(live()) == ["another", "one"]
