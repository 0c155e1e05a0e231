"""`cloud`: a server on a free port and a virtual clock; `pubsub`, `firestore`: Google's clients, pointed at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cloud import Cloud
from tests.support.google import PubSub, firestore_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.cloud import firestore as google_firestore


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    running = Cloud(tmp_path / "data")
    yield running
    running.stop()


@pytest.fixture
def today(tmp_path: Path) -> Iterator[Cloud]:
    """One on the machine's own clock: google-auth, gcloud and apps go by that."""
    running = Cloud(tmp_path / "data", moving=True)
    yield running
    running.stop()


@pytest.fixture
def pubsub(cloud: Cloud) -> Iterator[PubSub]:
    clients = PubSub(cloud.server.port)
    yield clients
    clients.close()


@pytest.fixture
def firestore(cloud: Cloud) -> Iterator[google_firestore.Client]:
    client = firestore_client(cloud.server.port)
    yield client
    client.close()
