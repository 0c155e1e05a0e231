"""The server is killed at random moments under load of Firestore's own client; whatever it acknowledged is there."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from tests.support.command import Fogbank
from tests.support.google import firestore_client
from tests.support.killing import kill_amid

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 8
WRITERS = 3


class Writer(threading.Thread):
    """Writes documents and counts them, both in one commit, until the server is gone; knows what was acknowledged."""

    def __init__(self, db: Any, name: str) -> None:
        super().__init__(daemon=True)
        self.db, self.prefix = db, name
        self.acknowledged: list[str] = []

    def run(self) -> None:
        number = 0
        while True:
            name = f"{self.prefix}-{number}"
            batch = self.db.batch()
            batch.create(self.db.document(f"things/{name}"), {"number": number, "tags": [number % 3]})
            batch.set(self.db.document("counters/all"), {"n": firestore.Increment(1)}, merge=True)
            try:
                batch.commit(retry=None, timeout=10)
            except exceptions.GoogleAPICallError:
                return
            self.acknowledged.append(name)
            number += 1


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_no_acknowledged_commit_is_lost_or_half_kept_by_kill_9(tmp_path: Path) -> None:
    program, chance = Fogbank(tmp_path), random.Random(11)
    program.run("start", "--detach")
    acknowledged: set[str] = set()
    for kill in range(KILLS):
        port = program.port
        writers = [Writer(firestore_client(port, "p"), f"{kill}-{one}") for one in range(WRITERS)]
        kill_amid(program, writers, chance)
        for writer in writers:
            acknowledged.update(writer.acknowledged)
    try:
        db = firestore_client(program.port, "p")
        things = db.collection("things")
        found = {each.id: each.to_dict() for each in things.stream()}
        assert acknowledged - found.keys() == set()
        assert db.document("counters/all").get().get("n") == len(found)  # No commit is half there.
        by_index = [each.id for each in things.order_by("number").stream()]
        assert sorted(by_index) == sorted(found)
        tagged = {each.id for each in things.where(filter=FieldFilter("tags", "array_contains", 1)).stream()}
        assert tagged == {name for name, each in found.items() if each["tags"] == [1]}
    finally:
        program.stop()
