"""`schemas`: the published client of schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.cloud.pubsub_v1 import SchemaServiceClient

from tests.support.google import emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud


@pytest.fixture
def schemas(cloud: Cloud) -> Iterator[SchemaServiceClient]:
    with emulator("PUBSUB_EMULATOR_HOST", cloud.server.port):
        client = SchemaServiceClient()
    yield client
    client.transport.close()
