"""Two servers over one PostgreSQL database are one Firestore."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import firestore

from tests.gcp.services.firestore.conftest import client
from tests.support import postgres
from tests.support.cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_S = 20


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Any]]:
    """A client of each."""
    url = postgres.server().fresh()
    clouds = [Cloud(tmp_path / name, sandbox="off", store_url=url) for name in ("one", "two")]
    yield [client(cloud) for cloud in clouds]
    for cloud in clouds:
        cloud.stop()


def test_a_listener_at_one_hears_of_every_commit_at_the_other(nodes: list[Any]) -> None:
    one, two = nodes
    seen: queue.Queue[int] = queue.Queue()
    watch = one.collection("c").on_snapshot(lambda documents, *_: seen.put(len(documents)))
    try:
        assert seen.get(timeout=WAIT_S) == 0

        def write(db: Any, name: str) -> None:
            for number in range(10):
                db.document(f"c/{name}{number}").set({"n": number})

        writers = [threading.Thread(target=write, args=(db, name)) for db, name in ((one, "a"), (two, "b"))]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        while seen.get(timeout=WAIT_S) < 20:
            pass
    finally:
        watch.unsubscribe()


def test_transactions_at_both_do_not_lose_one_anothers_writes(nodes: list[Any]) -> None:
    nodes[0].document("c/counter").set({"n": 0})

    @firestore.transactional
    def count_up(transaction: Any, ref: Any) -> None:
        transaction.update(ref, {"n": ref.get(transaction=transaction).get("n") + 1})

    def work(db: Any) -> None:
        for _ in range(5):
            count_up(db.transaction(max_attempts=100), db.document("c/counter"))

    threads = [threading.Thread(target=work, args=(db,)) for db in nodes for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [db.document("c/counter").get().get("n") for db in nodes] == [20, 20]


def test_the_times_of_commits_at_both_are_all_different(nodes: list[Any]) -> None:
    times = [nodes[number % 2].document(f"c/{number}").set({"n": number}).update_time for number in range(10)]
    assert times == sorted(set(times))
