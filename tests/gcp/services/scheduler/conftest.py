"""`scheduler`: Cloud Scheduler's client; `each_wire`: over gRPC, then over REST; `target`: what jobs are sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.google_services import WIRES, Scheduler
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud


@pytest.fixture(params=WIRES)
def each_wire(cloud: Cloud, request: pytest.FixtureRequest) -> Scheduler:
    return Scheduler(cloud.server.port, request.param)


@pytest.fixture
def scheduler(cloud: Cloud) -> Scheduler:
    return Scheduler(cloud.server.port)


@pytest.fixture
def target() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
