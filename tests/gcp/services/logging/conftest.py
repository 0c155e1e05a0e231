"""`logging`: Cloud Logging's client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.google_services import Logging

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


@pytest.fixture
def logging(cloud: Cloud) -> Logging:
    return Logging(cloud.server.port)
