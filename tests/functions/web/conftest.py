"""`site`: an engine for functions of Google's, shared by the tests of a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.websites import Website

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    site = Website(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture
def site(running_site: Website, tmp_path) -> Website:
    running_site.shop.lines.clear()
    running_site.held = tmp_path / "held"
    return running_site
