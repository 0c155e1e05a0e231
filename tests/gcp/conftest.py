"""`cloud`: a whole server on a free port and a virtual clock; `pubsub`: Google's own clients, pointed at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cloud import Cloud
from tests.support.google import PubSub

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
