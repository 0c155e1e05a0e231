"""Work on many things, each once what it waits for is done, as many at a time as can be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fogbank.kernel.tasks import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


class Failed(Exception):
    """A step could not be done; the message is what the stack says of it."""


class Stopped(Exception):
    """Told to stop before everything was done."""


async def walk(waits: Mapping[str, set[str]], work: Callable[[str], Awaitable[None]], stop: asyncio.Event) -> None:
    """`waits`: what each has to wait for. The first failure, or `stop`, lets nothing new begin; what has begun comes to
    its end, so that it is known what there is. Raises `Failed` with all failures, or `Stopped`."""
    left = {name: set(targets) & waits.keys() for name, targets in waits.items()}
    running: dict[asyncio.Task[None], str] = {}
    failures: list[Failed] = []
    try:
        while True:
            for name in [] if stop.is_set() else [name for name, targets in left.items() if not targets]:
                del left[name]
                running[asyncio.ensure_future(work(name))] = name
            if not running:
                break
            for task in (await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED))[0]:
                name = running.pop(task)
                try:
                    task.result()
                except Failed as error:
                    failures.append(error)
                    stop.set()
                for targets in left.values():
                    targets.discard(name)
    finally:  # Only where the server itself ends, or a step has a bug.
        await end(running)
    if failures:
        raise Failed(_together(failures))
    if stop.is_set():
        raise Stopped


def _together(failures: list[Failed]) -> str:
    """ "The following resource(s) failed to create: [A, B]." for each verb, once."""
    names: dict[str, list[str]] = {}
    for failure in failures:
        verb, _, name = str(failure).partition(": [")
        names.setdefault(verb, []).append(name.removesuffix("]. ").removesuffix("]."))
    return " ".join(f"{verb}: [{', '.join(sorted(found))}]." if any(found) else verb for verb, found in names.items())


def backwards(waits: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Whom each must wait for on the way down: those that waited for it on the way up."""
    turned: dict[str, set[str]] = {name: set() for name in waits}
    for name, targets in waits.items():
        for target in targets & waits.keys():
            turned[target].add(name)
    return turned
