"""`fogbank`: the program in a copy of an app's folder; stopped at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.command import Fogbank

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def fogbank(tmp_path: Path) -> Iterator[Fogbank]:
    folder = tmp_path / "app"
    folder.mkdir()
    program = Fogbank(folder)
    yield program
    if (folder / ".fogbank").exists():
        program.stop()
