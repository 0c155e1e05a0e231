"""What only a networked store can suffer: other nodes, cut connections, a database that is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.kernel.errors import StartError
from fogbank.kernel.store import StoreError, Tx, within
from fogbank.kernel.store.postgres import CONNECTIONS, PostgresStore
from tests.kernel.store.test_drivers import Wakes
from tests.support import postgres
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def on_two_nodes(scenario: Callable[[PostgresStore, PostgresStore, Wakes], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        url, heard = postgres.server().fresh(), Wakes()
        one, other = await PostgresStore.open(url, Wakes()), await PostgresStore.open(url, heard)
        try:
            await until(lambda: heard.heard)  # It listens.
            heard.heard.clear()
            await scenario(one, other, heard)
        finally:
            await one.close()
            await other.close()

    asyncio.run(whole())


def cut_all_connections() -> None:
    postgres.server().run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fogbank'")


def test_what_one_node_commits_wakes_the_other() -> None:
    async def scenario(one: PostgresStore, other: PostgresStore, heard: Wakes) -> None:
        await one.transact(lambda tx: tx.emit("queue", ("a\nb", 7, b"\0")))
        await until(lambda: ("queue", ("a\nb", 7, b"\0")) in heard.heard)

    on_two_nodes(scenario)


def test_more_signals_than_one_notice_holds_all_arrive() -> None:
    async def scenario(one: PostgresStore, other: PostgresStore, heard: Wakes) -> None:
        wanted = {("queue", ("name" * 20, number)) for number in range(300)}
        await one.transact(lambda tx: [tx.emit(*signal) for signal in wanted])
        await until(lambda: wanted <= set(heard.heard))

    on_two_nodes(scenario)


def test_claimants_on_two_nodes_share_the_rows_between_them() -> None:
    def take(tx: Tx) -> list[Any]:
        taken = [key for key, _ in tx.claim(*within("job"), limit=2)]
        for key in taken:
            tx.delete(key)
        return taken

    async def scenario(one: PostgresStore, other: PostgresStore, heard: Wakes) -> None:
        await one.transact(lambda tx: [tx.put(("job", number), b"") for number in range(100)])
        taken: list[Any] = []
        while len(taken) < 100:
            for keys in await asyncio.gather(*(node.transact(take) for node in (one, other) * 4)):
                taken += keys
        assert sorted(taken) == [("job", number) for number in range(100)]

    on_two_nodes(scenario)


def test_connections_that_are_cut_between_transactions_are_opened_again() -> None:
    async def scenario(one: PostgresStore, other: PostgresStore, heard: Wakes) -> None:
        await asyncio.gather(*(one.transact(tx_put, number) for number in range(CONNECTIONS)))
        cut_all_connections()
        await asyncio.gather(*(one.transact(tx_put, 100 + number) for number in range(CONNECTIONS)))
        assert len(await other.transact(rows)) == 2 * CONNECTIONS
        await one.transact(lambda tx: tx.emit("after the cut"))
        await until(lambda: ("after the cut", ()) in heard.heard or ("everybody", ()) in heard.heard)

    on_two_nodes(scenario)


def test_a_connection_that_is_cut_in_mid_work_loses_nothing_and_does_nothing_twice() -> None:
    cuts = [True]

    def add(tx: Tx) -> None:
        tx.put(("n",), b"%d" % (int(tx.get(("n",)) or b"0") + 1))
        if cuts:
            cuts.pop()
            cut_all_connections()
        tx.count(*within())

    async def scenario(one: PostgresStore, other: PostgresStore, heard: Wakes) -> None:
        await one.transact(add)
        assert await other.transact(lambda tx: tx.get(("n",))) == b"1"

    on_two_nodes(scenario)


def test_an_error_of_the_database_is_the_stores_error_and_the_next_transaction_works() -> None:
    async def scenario(one: PostgresStore, other: PostgresStore, heard: Wakes) -> None:
        await one.transact(tx_put, 1)
        await other.transact(lambda tx: tx._cursor.execute("ALTER TABLE record RENAME TO away"))  # type: ignore[attr-defined]
        with pytest.raises(StoreError, match="record"):
            await one.transact(tx_put, 2)
        await other.transact(lambda tx: tx._cursor.execute("ALTER TABLE away RENAME TO record"))  # type: ignore[attr-defined]
        await one.transact(tx_put, 3)
        assert [key for key, _ in await one.transact(rows)] == [("row", 1), ("row", 3)]

    on_two_nodes(scenario)


def test_what_was_committed_is_there_for_the_next_server() -> None:
    async def scenario() -> None:
        url = postgres.server().fresh()
        first = await PostgresStore.open(url)
        await first.transact(tx_put, 1)
        await first.close()
        second = await PostgresStore.open(url)
        assert len(await second.transact(rows)) == 1
        await second.close()

    asyncio.run(scenario())


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    with pytest.raises(StartError) as caught:
        asyncio.run(PostgresStore.open("postgresql://me:hidden@127.0.0.1:1/shop"))
    assert "postgresql://me:***@127.0.0.1:1/shop" in str(caught.value)
    assert "hidden" not in str(caught.value)


def tx_put(tx: Tx, number: int) -> None:
    tx.put(("row", number), b"")


def rows(tx: Tx) -> list[Any]:
    return list(tx.scan(*within("row")))
