"""`eventarc`: Google's own client over gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from google.cloud import eventarc_v1
from google.cloud.eventarc_v1.services.eventarc.transports import EventarcGrpcTransport

from tests.support.google import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud

PARENT = f"projects/{PROJECT}/locations/us-central1"


@pytest.fixture
def eventarc(cloud: Cloud) -> Iterator[eventarc_v1.EventarcClient]:
    with grpc.insecure_channel(f"127.0.0.1:{cloud.server.port}") as channel:
        yield eventarc_v1.EventarcClient(transport=EventarcGrpcTransport(channel=channel))
