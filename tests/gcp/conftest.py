"""`cloud`: a server on a free port and a virtual clock; `pubsub`, `firestore`: Google's clients, pointed at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore as google_firestore

from tests.support.cloud import Cloud
from tests.support.google import PROJECT, PubSub, emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    running = Cloud(tmp_path / "data")
    yield running
    running.stop()


@pytest.fixture
def pubsub(cloud: Cloud) -> Iterator[PubSub]:
    clients = PubSub(cloud.server.port)
    yield clients
    clients.close()


@pytest.fixture
def firestore(cloud: Cloud) -> Iterator[google_firestore.Client]:
    with emulator("FIRESTORE_EMULATOR_HOST", cloud.server.port):
        client = google_firestore.Client(project=PROJECT, credentials=AnonymousCredentials())
    yield client
    client.close()
