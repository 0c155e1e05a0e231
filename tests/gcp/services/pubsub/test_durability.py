"""What Pub/Sub has acknowledged survives a restart, and kill -9 of the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.command import Fogbank
from tests.support.google import PubSub
from tests.support.killing import kill

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud


def test_leases_and_messages_outlive_a_restart(cloud: Cloud, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic, ack_deadline_seconds=30)
    pubsub.publish(topic, "lent", "waiting")
    (lent,) = pubsub.pull(reader, 1)
    cloud.restart()
    again = PubSub(cloud.server.port)
    assert again.texts(reader) == ["waiting"]
    again.acknowledge(reader, lent)
    cloud.advance(seconds=31)
    assert again.texts(reader) == ["waiting"]
    again.close()


@pytest.mark.faults
def test_what_was_published_survives_kill_9(tmp_path: Path) -> None:
    program = Fogbank(tmp_path)
    program.run("start", "--detach")
    try:
        published: list[str] = []
        topic = reader = ""
        for kills in range(3):
            client = PubSub(program.port)
            if not topic:
                topic = client.topic()
                reader = client.subscription(topic)
            for number in range(20):
                published += client.publish(topic, f"{kills}-{number}")
            kill(program)
            client.close()
            program.run("start", "--detach")
        client = PubSub(program.port)
        assert [one.message.message_id for one in client.pull(reader)] == published
        client.close()
    finally:
        program.stop()
