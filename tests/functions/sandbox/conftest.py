"""`cells`: a functions engine whose instances live in cells; tests are skipped where the machine gives none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fogbank.functions.sandbox.protections import Protections, find
from tests.functions.provided.conftest import extension as extension  # A fixture of theirs.
from tests.support.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Protections:
    """What this machine gives."""
    found = find(tmp_path_factory.mktemp("probe"))
    if found.groups is not None:
        found.groups.close()
    return found


@pytest.fixture(scope="module")
def cells(given: Protections, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Workshop]:
    if not given.cells:
        pytest.skip(f"this machine gives no namespaces: {given.missing['namespaces']}")
    workshop = Workshop(tmp_path_factory.mktemp("cells"), cache_dir, sandbox="require")
    yield workshop
    workshop.close()
