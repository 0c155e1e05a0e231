"""`functions`: Google's own clients of Cloud Functions, pointed at the fixture `cloud`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import google_functions
from tests.support.google_functions import Functions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cloud import Cloud


@pytest.fixture(scope="session", autouse=True)
def framework(tmp_path_factory: pytest.TempPathFactory) -> None:
    google_functions.ready(tmp_path_factory.mktemp("framework"))


@pytest.fixture
def functions(cloud: Cloud) -> Iterator[Functions]:
    clients = Functions(cloud.server.port, "grpc")
    yield clients
    clients.close()


@pytest.fixture
def by_rest(cloud: Cloud) -> Iterator[Functions]:
    clients = Functions(cloud.server.port, "rest")
    yield clients
    clients.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder
