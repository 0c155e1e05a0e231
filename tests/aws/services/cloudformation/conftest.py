"""`stacks`: a cloud's stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.stacks import Stacks

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


@pytest.fixture
def stacks(cloud: Cloud) -> Stacks:
    return Stacks(cloud)
