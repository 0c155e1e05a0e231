"""Every driver of the store, opened fresh: what holds for one must hold for all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from fogbank.kernel.store.dictionary import DictionaryStore
from fogbank.kernel.store.postgres import PostgresStore
from fogbank.kernel.store.sqlite import SqliteStore
from tests.support import postgres

if TYPE_CHECKING:
    from fogbank.kernel.store import Store

DRIVERS = ("sqlite", "dictionary", "postgresql")


async def fresh(driver: str, signals: Any = None) -> Store:
    wake = {} if signals is None else {"wake": signals.wake}
    if driver == "sqlite":
        return SqliteStore(":memory:", **wake)
    if driver == "dictionary":
        return DictionaryStore(**wake, rehearse=True)
    return await PostgresStore.open(postgres.server().fresh(), signals)


class StoreMachine(RuleBasedStateMachine):
    """A stateful test whose `transact` runs on the driver under test."""

    driver = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = self.runner.run(fresh(self.driver))

    def transact(self, work: Any, *args: Any, **options: Any) -> Any:
        return self.runner.run(self.store.transact(work, *args, **options))

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()


def on_every_driver(machine: type[StoreMachine], *, examples: int = 30, steps: int = 20) -> Any:
    """The test of `machine`, once for each driver."""

    @pytest.mark.parametrize("driver", DRIVERS)
    def test(driver: str) -> None:
        over = type(f"{machine.__name__}Over{driver.title()}", (machine,), {"driver": driver})
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            over, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
        )

    return test
