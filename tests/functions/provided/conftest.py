"""`provided`: functions of a custom runtime whose `bootstrap` the test writes; `extension`: layers with one."""

from __future__ import annotations

import itertools
import uuid

import pytest

from tests.functions.provided.programs import program


def own_log() -> dict[str, str]:
    """Settings of a version whose lines are told from those of all others."""
    return {"log_group": f"/aws/lambda/{uuid.uuid4()}"}


@pytest.fixture
def provided(workshop):
    def function(source, **settings):
        """`source`: of the bootstrap, in Python; or files by name, taken as they are."""
        files = {"bootstrap": program(source)} if isinstance(source, str) else source
        known = {"runtime": "provided.al2023", "handler": "any"} | own_log()
        version = workshop.function(files, **(known | settings))
        for name in files:
            (version.code / name).chmod(0o755)
        return version

    return function


@pytest.fixture
def extension(tmp_path):
    numbers = itertools.count()

    def layer(name, source):
        folder = tmp_path / f"layer{next(numbers)}"
        path = folder / "extensions" / name
        path.parent.mkdir(parents=True)
        path.write_text(source if source.startswith("#!") else program(source))
        path.chmod(0o755)
        return folder

    return layer
