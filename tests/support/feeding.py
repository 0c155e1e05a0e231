"""What a trigger's runner is given, and a function that a test writes, on a clock that stands still."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.functions.model import Outcome
from fogbank.functions.triggers.model import Fed, NotRun, Told
from fogbank.kernel.clock import VirtualClock
from fogbank.kernel.signals import Signals
from fogbank.kernel.store.dictionary import DictionaryStore

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = Outcome(b'{"errorMessage": "no"}', "Unhandled")


@dataclass
class FeedingBench:
    """The parts that a runner is given, and a function that a test writes."""

    answer: Callable[[dict[str, Any]], Any] = lambda event: None  # An `Outcome`, `NotRun`, or a reply.
    clock: VirtualClock = field(default_factory=VirtualClock)
    events: list[dict[str, Any]] = field(default_factory=list)
    lost: list[dict[str, Any]] = field(default_factory=list)
    links: dict[str, Any] = field(default_factory=dict)
    at_once: int = 0
    most_at_once: int = 0
    holding: bool = False  # Whether events are kept in work.
    debugged: bool = False  # Whether somebody looks at them meanwhile.

    def __post_init__(self) -> None:
        self.signals = Signals(self.clock)
        self.store = DictionaryStore(wake=self.signals.wake, rehearse=True)

    async def invoke(self, function: str, event: bytes) -> Fed:
        found = json.loads(event)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            while self.holding:
                await asyncio.sleep(0)
            answer = self.answer(found)
        finally:
            self.at_once -= 1
        if isinstance(answer, NotRun):
            raise answer
        self.events.append(found)
        outcome = answer if isinstance(answer, Outcome) else Outcome(json.dumps(answer).encode())
        return Fed(outcome, "id", "1")

    async def is_debugged(self, function: str) -> bool:
        return self.debugged

    async def deliver(self, function: str, told: Told) -> None:
        self.lost.append(told.document)

    def passing(self, milliseconds: int, look: Callable[[], object]) -> Callable[[], object]:
        """The same look, with time going by between one and the next."""

        def passed() -> object:
            asyncio.get_running_loop().create_task(self.clock.advance(milliseconds))
            return look()

        return passed

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
