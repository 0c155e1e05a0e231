"""`eventarc`: Google's own client over gRPC; `firestore`: Google's own client of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import eventarc_v1
from google.cloud import firestore as google_firestore
from google.cloud.eventarc_v1.services.eventarc.transports import EventarcGrpcTransport

from tests.support.google import PROJECT, emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud

PARENT = f"projects/{PROJECT}/locations/us-central1"


@pytest.fixture
def eventarc(cloud: Cloud) -> Iterator[eventarc_v1.EventarcClient]:
    with grpc.insecure_channel(f"127.0.0.1:{cloud.server.port}") as channel:
        yield eventarc_v1.EventarcClient(transport=EventarcGrpcTransport(channel=channel))


@pytest.fixture
def firestore(cloud: Cloud) -> Iterator[google_firestore.Client]:
    with emulator("FIRESTORE_EMULATOR_HOST", cloud.server.port):
        client = google_firestore.Client(project=PROJECT, credentials=AnonymousCredentials())
    yield client
    client.close()
