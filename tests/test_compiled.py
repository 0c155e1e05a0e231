"""The modules that are compiled: never another source than the one that stands there."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fogbank import compiled

ROOT = Path(__file__).parent.parent
TOLD = "import importlib,sys; print(importlib.import_module('fogbank.kernel.clock').__file__)"


def file_of_clock(**environment: str) -> str:
    given = os.environ | {"FOGBANK_COMPILED": ""} | environment
    return subprocess.run([sys.executable, "-c", TOLD], env=given, capture_output=True, text=True, check=True).stdout


def compiling():
    spec = importlib.util.spec_from_file_location("compiling", ROOT / "compiling.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_module_that_is_named_is_there():
    assert [module for module in compiled.MODULES if not compiled.source_of(module).exists()] == []


def test_setup_has_compiled_all_of_them():
    lacks = compiling().what_lacks()
    if lacks:
        pytest.skip(f"this machine cannot compile: {lacks}")
    assert compiled.made() == len(compiled.MODULES), "run `make setup`: sources have changed"
    assert file_of_clock().strip().endswith(".so")


def test_plain_python_is_used_where_it_is_asked_for():
    assert file_of_clock(FOGBANK_COMPILED="0").strip() == str(compiled.source_of("fogbank.kernel.clock"))


def test_what_was_compiled_of_an_older_source_is_not_found(monkeypatch, tmp_path):
    source, place = tmp_path / "fogbank" / "kernel" / "clock.py", tmp_path / "_compiled"
    source.parent.mkdir(parents=True)
    place.mkdir()
    monkeypatch.setattr(compiled, "_SOURCES", tmp_path)
    monkeypatch.setattr(compiled, "PLACE", place)
    source.write_text("NOW = 1\n")
    compiled.place_of("fogbank.kernel.clock").touch()
    assert compiled.Finder().find_spec("fogbank.kernel.clock") is not None
    source.write_text("NOW = 2\n")
    assert compiled.Finder().find_spec("fogbank.kernel.clock") is None


def test_a_traceback_through_compiled_code_names_the_source_and_its_line():
    if not compiled.place_of("fogbank.kernel.store.keys").exists():
        pytest.skip("it is not compiled here")
    program = "from fogbank.kernel.store import keys; keys.unpack(None)"
    given = os.environ | {"FOGBANK_COMPILED": ""}
    failed = subprocess.run([sys.executable, "-c", program], env=given, capture_output=True, text=True, check=False)
    assert 'fogbank/kernel/store/keys.py", line ' in failed.stderr
