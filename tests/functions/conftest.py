"""`workshop`: a functions engine, shared by the tests of a module: its zygotes take most of a second to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, cache_dir) -> Iterator[Workshop]:
    workshop = Workshop(tmp_path_factory.mktemp("workshop"), cache_dir)
    yield workshop
    workshop.close()


@pytest.fixture
def workshop(running: Workshop) -> Workshop:
    running.lines.clear()
    return running
