"""Functions are found by reading the source: nothing of it is run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fogbank.deploy.google.discover import Found, UnreadableError, functions, is_app, language, node_engine

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
import functions_framework
import functions_framework as ff
from functions_framework import http, cloud_event as event
from elsewhere import typed

raise SystemExit("nobody runs this")

@functions_framework.http
def one(request): ...

@ff.cloud_event
def two(cloud_event): ...

@event
def three(cloud_event): ...

@http
async def four(request): ...

@functions_framework.typed(dict)
def five(order): ...

@typed
def not_ours(order): ...

def helper(): ...
"""


def test_decorators_tell_which_functions_there_are_whatever_they_are_called_here(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SOURCE)
    assert is_app(tmp_path) and language(tmp_path) == "python"
    assert functions(tmp_path) == [
        Found("one", "http"), Found("two", "cloudevent"), Found("three", "cloudevent"), Found("four", "http"),
        Found("five", "typed"),
    ]  # fmt: skip


def test_a_source_that_is_no_python_is_told_of_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import functions_framework\ndef broken(:\n")
    with pytest.raises(UnreadableError, match=r"main\.py, line 2"):
        functions(tmp_path)


def test_registrations_tell_which_functions_a_node_app_has(tmp_path: Path) -> None:
    package = {
        "main": "app.js",
        "dependencies": {"@google-cloud/functions-framework": "^3"},
        "engines": {"node": ">=20"},
    }
    (tmp_path / "package.json").write_text(json.dumps(package))
    (tmp_path / "app.js").write_text(
        "const functions = require('@google-cloud/functions-framework');\n"
        "functions.http('hello', (req, res) => res.send('hi'));\n"
        'functions.cloudEvent("onNews", event => {});\n'
    )
    assert functions(tmp_path) == [Found("hello", "http"), Found("onNews", "cloudevent")]
    assert (language(tmp_path), node_engine(tmp_path)) == ("nodejs", "20")


@pytest.mark.parametrize("files", [{}, {"main.py": "print(1)"}, {"package.json": "[]"}, {"package.json": "no json"}])
def test_other_folders_are_no_apps_of_googles(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert not is_app(tmp_path)
