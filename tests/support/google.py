"""Google's published clients, pointed at a server of ours as people do it: by the emulators' variables."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from google.cloud import firestore, pubsub_v1, storage
from google.pubsub_v1 import PublisherClient as Publisher

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = "fog-project"


@contextmanager
def emulator(variable: str, port: int) -> Iterator[None]:
    """Clients made within ask this port."""
    before = os.environ.get(variable)
    scheme = "http://" if variable == "STORAGE_EMULATOR_HOST" else ""
    os.environ[variable] = f"{scheme}127.0.0.1:{port}"
    try:
        yield
    finally:
        os.environ.pop(variable)
        if before is not None:
            os.environ[variable] = before


def firestore_client(port: int, project: str = PROJECT, database: str = "(default)") -> Any:
    with emulator("FIRESTORE_EMULATOR_HOST", port):
        return firestore.Client(project=project, database=database)


def storage_client(port: int, project: str = PROJECT) -> Any:
    with emulator("STORAGE_EMULATOR_HOST", port):
        return storage.Client(project=project)


class PubSub:
    """A publisher and a subscriber, and short words for what every test does."""

    def __init__(self, port: int) -> None:
        with emulator("PUBSUB_EMULATOR_HOST", port):
            options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
            self.publisher = pubsub_v1.PublisherClient(publisher_options=options)
            self.subscriber = pubsub_v1.SubscriberClient()

    def close(self) -> None:
        self.publisher.stop()
        self.publisher.transport.close()
        self.subscriber.close()

    def topic(self, name: str = "news", **settings: Any) -> str:
        path = f"projects/{PROJECT}/topics/{name}"
        self.publisher.create_topic(request={"name": path, **settings})
        return path

    def subscription(self, topic: str, name: str = "reader", **settings: Any) -> str:
        path = f"projects/{PROJECT}/subscriptions/{name}"
        self.subscriber.create_subscription(request={"name": path, "topic": topic, **settings})
        return path

    def publish(self, topic: str, *texts: str, key: str = "", **attributes: str) -> list[str]:
        """In one request, without the client's own batches."""
        messages = [{"data": text.encode(), "ordering_key": key, "attributes": attributes} for text in texts]
        answer = Publisher.publish(self.publisher, request={"topic": topic, "messages": messages})
        return list(answer.message_ids)

    def pull(self, subscription: str, most: int = 100) -> list[Any]:
        """What is there now."""
        request = {"subscription": subscription, "max_messages": most, "return_immediately": True}
        return list(self.subscriber.pull(request=request, timeout=20).received_messages)

    def texts(self, subscription: str, most: int = 100) -> list[str]:
        return [received.message.data.decode() for received in self.pull(subscription, most)]

    def acknowledge(self, subscription: str, *received: Any) -> None:
        ids = [one.ack_id for one in received]
        self.subscriber.acknowledge(request={"subscription": subscription, "ack_ids": ids})
