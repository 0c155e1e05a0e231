"""Which Python runs a function: the one that its runtime names, or the nearest that the machine has."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from fogbank.functions.runtimes.python import interpreters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN = sys.version_info.minor


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine that has no Python but the one that runs this, until the test adds some."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    interpreters.find.cache_clear()
    yield tmp_path
    interpreters.find.cache_clear()


def add(machine: Path, version: str, says: str = "") -> str:
    program = machine / f"python{version}"
    program.write_text(f"#!/bin/sh\necho {says or version}\n")
    program.chmod(0o755)
    return str(program)


def test_the_version_that_is_named_is_used_where_the_machine_has_it(machine: Path) -> None:
    wanted = f"3.{OWN + 1}"
    path = add(machine, wanted)
    assert interpreters.find(f"python{wanted}") == interpreters.Interpreter(path, wanted, wanted)
    assert interpreters.find(f"python3.{OWN}").version == f"3.{OWN}"


def test_else_the_nearest_is_and_of_two_the_newer(machine: Path) -> None:
    assert interpreters.find("python3.99").version == f"3.{OWN}"
    interpreters.find.cache_clear()
    path = add(machine, "3.14")
    assert interpreters.find("python3.99").path == (path if OWN < 14 else interpreters.find(f"python3.{OWN}").path)
    if OWN == 11:
        add(machine, "3.13")
        interpreters.find.cache_clear()
        assert interpreters.find("python3.12").version == "3.13"
        assert interpreters.find("python3.10").version == "3.11"


def test_a_program_that_is_not_what_its_name_says_is_not_taken(machine: Path) -> None:
    add(machine, f"3.{OWN + 1}", says="2.7")
    assert interpreters.find(f"python3.{OWN + 1}").version == f"3.{OWN}"


def test_a_missing_version_is_named_once(workshop) -> None:
    version = "python3.99"
    for _ in range(2):
        assert workshop.answer(workshop.function("def handler(e, c): return 1", runtime=version)) == 1
    told = f"fogbank: this machine has no python3.99; Python {interpreters.find(version).version} runs it instead\n"
    assert workshop.text().count(told) == 1
