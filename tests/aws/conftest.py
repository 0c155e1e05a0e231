"""`cloud`: a whole server on a free port and a virtual clock, driven as a user drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cloud(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    shares_files = request.node.get_closest_marker("shares_files") is not None
    running = Cloud(tmp_path / "data", sandbox="off" if shares_files else "auto")
    yield running
    running.stop()
