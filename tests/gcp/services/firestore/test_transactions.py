"""Transactions: what they read is one moment, and what they decided on has not changed when they commit."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from tests.gcp.services.firestore.conftest import DATABASE, ROOT, asker

GONE = ("INVALID_ARGUMENT", "The referenced transaction has expired or is no longer valid.")


def set_(path: str, number: int) -> dict[str, Any]:
    return {"update": {"name": f"{ROOT}/{path}", "fields": {"n": {"integerValue": str(number)}}}}


def begin(rpc: Any, **options: Any) -> str:
    return str(rpc("BeginTransaction", {"database": DATABASE, "options": options})["transaction"])


def commit(rpc: Any, transaction: str, *writes: Any) -> Any:
    return rpc("Commit", {"database": DATABASE, "transaction": transaction, "writes": list(writes)})


def get(rpc: Any, transaction: str, path: str) -> Any:
    return rpc("GetDocument", {"name": f"{ROOT}/{path}", "transaction": transaction})


def equal(number: int) -> dict[str, Any]:
    return {
        "from": [{"collectionId": "c"}],
        "where": {"fieldFilter": {"field": {"fieldPath": "n"}, "op": "EQUAL", "value": {"integerValue": str(number)}}},
    }


def test_of_many_that_count_up_together_none_is_lost(db: Any) -> None:
    ref = db.document("c/counter")
    ref.set({"n": 0})

    @firestore.transactional
    def count_up(transaction: Any) -> None:
        found = ref.get(transaction=transaction).get("n")
        transaction.update(ref, {"n": found + 1})

    def work() -> None:
        for _ in range(5):
            count_up(db.transaction(max_attempts=50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ref.get().get("n") == 20


def test_what_was_read_and_has_changed_aborts_the_commit(db: Any, rpc: Any) -> None:
    db.document("c/a").set({"n": 1})
    transaction = begin(rpc)
    assert get(rpc, transaction, "c/a")["fields"]["n"] == {"integerValue": "1"}
    db.document("c/a").set({"n": 2})
    code, message = commit(rpc, transaction, set_("c/b", 1))
    assert (code, message.split(".")[0]) == ("ABORTED", "Aborted due to cross-transaction contention")
    assert not db.document("c/b").get().exists


def test_what_was_missing_when_it_was_read_must_be_missing_still(db: Any, rpc: Any) -> None:
    transaction = begin(rpc)
    assert get(rpc, transaction, "c/a")[0] == "NOT_FOUND"
    db.document("c/a").set({"n": 1})
    assert commit(rpc, transaction, set_("c/b", 1))[0] == "ABORTED"


def test_a_clock_that_goes_behind_hides_no_change(cloud: Any, db: Any, rpc: Any) -> None:
    """As another node's may: what is committed after a read is later than it all the same."""
    db.document("c/a").set({"n": 1})
    cloud.clock.offset_ms += 60_000
    db.document("other/a").set({"n": 1})
    cloud.clock.offset_ms += 10_000
    transaction = begin(rpc)
    get(rpc, transaction, "c/a")
    cloud.clock.offset_ms -= 30_000
    db.document("c/a").set({"n": 2})
    assert commit(rpc, transaction, set_("c/b", 1))[0] == "ABORTED"


@pytest.mark.parametrize("change", ["enters", "leaves", "changes inside"])
def test_a_query_that_would_find_something_else_aborts_the_commit(db: Any, rpc: Any, change: str) -> None:
    db.document("c/a").set({"n": 1})
    transaction = begin(rpc)
    found = rpc("RunQuery", {"parent": ROOT, "structuredQuery": equal(1), "transaction": transaction})
    assert [each["document"]["name"] for each in found] == [f"{ROOT}/c/a"]
    if change == "enters":
        db.document("c/b").set({"n": 1})
    elif change == "leaves":
        db.document("c/a").delete()
    else:
        db.document("c/a").set({"n": 1, "more": 1})
    assert commit(rpc, transaction, set_("c/z", 1))[0] == "ABORTED"


def test_what_it_has_not_read_may_change(db: Any, rpc: Any) -> None:
    db.document("c/a").set({"n": 1})
    transaction = begin(rpc)
    rpc("RunQuery", {"parent": ROOT, "structuredQuery": equal(1), "transaction": transaction})
    db.document("c/b").set({"n": 2})
    db.document("other/a").set({"n": 1})
    assert "commitTime" in commit(rpc, transaction, set_("c/z", 1))
    assert commit(rpc, transaction, set_("c/z", 2)) == GONE


def test_all_that_it_reads_is_of_the_moment_of_its_first_read(db: Any, rpc: Any) -> None:
    db.document("c/a").set({"n": 1})
    transaction = begin(rpc)
    get(rpc, transaction, "c/none")
    db.document("c/a").set({"n": 2})
    assert get(rpc, transaction, "c/a")["fields"]["n"] == {"integerValue": "1"}
    found = rpc("RunQuery", {"parent": ROOT, "structuredQuery": equal(1), "transaction": transaction})
    assert [each["document"]["fields"]["n"] for each in found] == [{"integerValue": "1"}]


def test_one_that_only_reads_sees_its_moment_and_may_not_write(db: Any, rpc: Any) -> None:
    before = db.document("c/a").set({"n": 1}).update_time
    transaction = begin(rpc, readOnly={})
    db.document("c/a").set({"n": 2})
    assert get(rpc, transaction, "c/a")["fields"]["n"] == {"integerValue": "1"}
    assert commit(rpc, transaction, set_("c/a", 3)) == (
        "INVALID_ARGUMENT",
        "Cannot modify entities in a read-only transaction.",
    )
    assert "commitTime" in commit(rpc, transaction)
    db.document("c/a").set({"n": 3})
    then = begin(rpc, readOnly={"readTime": before.rfc3339()})
    assert get(rpc, then, "c/a")["fields"]["n"] == {"integerValue": "1"}


def test_a_read_may_begin_the_transaction(db: Any, rpc: Any) -> None:
    db.document("c/a").set({"n": 1})
    asked = {"database": DATABASE, "documents": [f"{ROOT}/c/a"], "newTransaction": {"readWrite": {}}}
    first, second = rpc("BatchGetDocuments", asked)
    assert second["found"]["fields"] == {"n": {"integerValue": "1"}}
    assert "commitTime" in commit(rpc, first["transaction"], set_("c/a", 2))
    begun, found = rpc("RunQuery", {"parent": ROOT, "structuredQuery": equal(2), "newTransaction": {"readOnly": {}}})
    assert begun["transaction"]
    assert found["done"]


def test_one_that_is_rolled_back_is_over(rpc: Any) -> None:
    transaction = begin(rpc)
    for _ in range(2):
        assert rpc("Rollback", {"database": DATABASE, "transaction": transaction}) == {}
    assert commit(rpc, transaction, set_("c/a", 1)) == GONE
    assert get(rpc, "AAAA", "c/a") == ("INVALID_ARGUMENT", "Invalid transaction.")
    assert begin(rpc, readWrite={"retryTransaction": transaction}) != transaction


def test_one_that_is_left_alone_expires_and_so_does_one_that_lasts(cloud: Any, rpc: Any) -> None:
    """ "Transactions and batched writes": 270 seconds, and 60 seconds idle."""
    idle = begin(rpc)
    cloud.advance(seconds=61)
    assert commit(rpc, idle, set_("c/a", 1)) == GONE
    busy = begin(rpc)
    for _ in range(5):
        cloud.advance(seconds=50)
        assert get(rpc, busy, "c/a")[0] == "NOT_FOUND"
    cloud.advance(seconds=21)
    assert get(rpc, busy, "c/a") == GONE


def test_one_survives_the_server(cloud: Any, db: Any, rpc: Any) -> None:
    db.document("c/a").set({"n": 1})
    good, bad = begin(rpc), begin(rpc)
    for transaction, path in ((good, "c/b"), (bad, "c/a")):
        get(rpc, transaction, path)
    db.document("c/a").set({"n": 2})
    cloud.restart()
    again = asker(cloud)
    assert commit(again, bad, set_("c/z", 1))[0] == "ABORTED"
    assert "commitTime" in commit(again, good, set_("c/z", 1))


def test_a_conflict_is_told_to_the_client_that_gives_up(db: Any) -> None:
    ref = db.document("c/a")
    ref.set({"n": 0})

    @firestore.transactional
    def always_late(transaction: Any) -> None:
        ref.get(transaction=transaction)
        ref.update({"n": firestore.Increment(1)})
        transaction.update(ref, {"n": -1})

    with pytest.raises(ValueError, match="Failed to commit transaction in 1 attempts") as told:
        always_late(db.transaction(max_attempts=1))
    assert isinstance(told.value.__cause__, exceptions.Aborted)
    assert ref.get().get("n") == 1
