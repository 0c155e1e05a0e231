"""The server is killed at random moments while documents are written: each acknowledged write's event arrives."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.command import Fogbank
from tests.support.killing import kill_amid
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 6
WRITERS = 2
TRIGGER = {
    "eventFilters": [
        {"attribute": "type", "value": "google.cloud.firestore.document.v1.created"},
        {"attribute": "database", "value": "(default)"},
    ]
}


class Writer(threading.Thread):
    """Creates documents until the server is gone; knows what was acknowledged."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(daemon=True)
        self.url, self.prefix = f"{url}/v1/projects/p/databases/(default)/documents/things", name
        self.acknowledged: list[str] = []

    def run(self) -> None:
        number = 0
        with httpx.Client(timeout=10) as client:
            while True:
                name = f"{self.prefix}-{number}"
                try:
                    answer = client.post(self.url, params={"documentId": name}, json={"fields": {}})
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    self.acknowledged.append(name)
                number += 1


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_no_event_of_an_acknowledged_write_is_lost_by_kill_9(tmp_path: Path) -> None:
    program, chance = Fogbank(tmp_path), random.Random(13)
    program.run("start", "--detach")
    acknowledged: set[str] = set()
    with Receiver() as receiver:
        trigger: dict[str, Any] = {**TRIGGER, "destination": {"httpEndpoint": {"uri": receiver.url}}}
        made = httpx.post(
            f"{program.url}/v1/projects/p/locations/us-central1/triggers?triggerId=mine", json=trigger, timeout=60
        )
        assert made.json()["done"]
        try:
            for kill in range(KILLS):
                writers = [Writer(program.url, f"{kill}-{one}") for one in range(WRITERS)]
                kill_amid(program, writers, chance)
                for writer in writers:
                    acknowledged.update(writer.acknowledged)
            eventually(lambda: not acknowledged - _told(receiver), within_s=120)
        finally:
            program.stop()


def _told(receiver: Receiver) -> set[str]:
    return {request.headers["ce-document"].partition("/")[2] for request in list(receiver.requests)}
