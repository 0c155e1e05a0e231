"""`secrets`: Secret Manager's client, over each of its wires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.google_services import WIRES, Secrets

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


@pytest.fixture(params=WIRES)
def each_wire(cloud: Cloud, request: pytest.FixtureRequest) -> Secrets:
    return Secrets(cloud.server.port, request.param)


@pytest.fixture
def secrets(cloud: Cloud) -> Secrets:
    return Secrets(cloud.server.port)
