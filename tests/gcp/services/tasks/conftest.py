"""`tasks`: Cloud Tasks' client; `each_wire`: over gRPC, then over REST; `worker`: what tasks are sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.google_services import WIRES, Tasks
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud


@pytest.fixture(params=WIRES)
def each_wire(cloud: Cloud, request: pytest.FixtureRequest) -> Tasks:
    return Tasks(cloud.server.port, request.param)


@pytest.fixture
def tasks(cloud: Cloud) -> Tasks:
    return Tasks(cloud.server.port)


@pytest.fixture
def worker() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
