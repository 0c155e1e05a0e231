"""The server is killed amid uploads of Cloud Storage's own client; whatever it acknowledged is there, and goes on."""

from __future__ import annotations

import os
import random
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
from google.api_core import exceptions
from google.cloud import pubsub_v1

from tests.support.command import Fogbank
from tests.support.google import emulator, storage_client
from tests.support.killing import kill, kill_amid

if TYPE_CHECKING:
    from pathlib import Path

KILLS, WRITERS, GRANULE = 3, 3, 256 * 1024


class Writer(threading.Thread):
    """Puts objects, small and large, until the server is gone; knows what was acknowledged."""

    def __init__(self, bucket: Any, name: str) -> None:
        super().__init__(daemon=True)
        self.bucket, self.prefix = bucket, name
        self.acknowledged: dict[str, bytes] = {}

    def run(self) -> None:
        number = 0
        while True:
            name, content = f"{self.prefix}-{number}", os.urandom(100 if number % 3 else 100_000)
            try:
                self.bucket.blob(name).upload_from_string(content, retry=None, timeout=10)
            except (exceptions.GoogleAPICallError, requests.exceptions.RequestException):
                return
            self.acknowledged[name] = content
            number += 1


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_no_acknowledged_object_and_no_notification_of_it_is_lost_by_kill_9(tmp_path: Path) -> None:
    program, chance = Fogbank(tmp_path), random.Random(5)
    program.run("start", "--detach")
    acknowledged: dict[str, bytes] = {}
    topic, reader = "projects/p/topics/news", "projects/p/subscriptions/reader"
    for round_ in range(KILLS):
        port = program.port
        client = storage_client(port, "p")
        if not round_:
            with emulator("PUBSUB_EMULATOR_HOST", port):
                pubsub_v1.PublisherClient().create_topic(name=topic)
                pubsub_v1.SubscriberClient().create_subscription(name=reader, topic=topic)
            client.create_bucket("killed").notification("news", topic_project="p", payload_format="NONE").create()
        writers = [Writer(client.bucket("killed"), f"{round_}-{one}") for one in range(WRITERS)]
        kill_amid(program, writers, chance)
        for writer in writers:
            acknowledged |= writer.acknowledged
    try:
        port = program.port
        found = {blob.name: blob.download_as_bytes() for blob in storage_client(port, "p").list_blobs("killed")}
        assert {name: found.get(name) for name in acknowledged} == acknowledged
        with emulator("PUBSUB_EMULATOR_HOST", port):
            told = _told(pubsub_v1.SubscriberClient(), reader, len(found))
        assert sorted(told) == sorted(found)  # Each object's change once, and no other's.
    finally:
        program.stop()


def _told(subscriber: Any, reader: str, count: int) -> list[str]:
    """Names of the objects in all notifications that are there."""
    names: list[str] = []
    while len(names) < count:
        request = {"subscription": reader, "max_messages": 1000}
        received = subscriber.pull(request=request, timeout=30).received_messages
        names += [one.message.attributes["objectId"] for one in received]
        subscriber.acknowledge(subscription=reader, ack_ids=[one.ack_id for one in received])
    return names


@pytest.mark.faults
@pytest.mark.timeout(200)
def test_an_upload_under_way_goes_on_after_kill_9(tmp_path: Path) -> None:
    program, content = Fogbank(tmp_path), os.urandom(2 * GRANULE + 17)
    program.run("start", "--detach")
    status = program.json("status")
    storage_client(program.port, "p").create_bucket("resumed")
    with httpx.Client(timeout=30) as http:
        where = f"{status['url']}/upload/storage/v1/b/resumed/o"
        begun = http.post(where, params={"uploadType": "resumable", "name": "a"}, json={"metadata": {"x": "1"}})
        path, kept = begun.headers["location"].removeprefix(status["url"]), 0
        for number in range(3):
            url = program.url
            piece = content[number * GRANULE : (number + 1) * GRANULE]
            told = f"bytes {number * GRANULE}-{number * GRANULE + len(piece) - 1}/{len(content)}"
            answer = http.put(url + path, content=piece, headers={"Content-Range": told})
            kept += len(piece)
            kill(program)
            program.run("start", "--detach")
            asked = http.put(program.url + path, headers={"Content-Range": f"bytes */{len(content)}"})
            if kept < len(content):
                assert (answer.status_code, asked.status_code) == (308, 308)
                assert asked.headers["range"] == f"bytes=0-{kept - 1}"
    try:
        assert (answer.status_code, asked.status_code) == (200, 200)
        found = storage_client(program.port, "p").bucket("resumed").get_blob("a")
        assert (found.download_as_bytes(), found.metadata) == (content, {"x": "1"})
    finally:
        program.stop()
