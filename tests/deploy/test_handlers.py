"""A handler that is not there is told when its code is bundled."""

from __future__ import annotations

import re

import pytest

from fogbank.deploy.handlers import problem
from tests.support.code import zipped

PYTHON = zipped({
    "app.py": "from other import imported\nhandler = lambda e, c: 1\nclass Api:\n    pass\n",
    "deep/items.py": "async def get(e, c): ...\ndef outer():\n    def inner(): ...\n",
    "package/__init__.py": "if True:\n    def handler(e, c): ...\n",
    "open.py": "from app import *\n",
    "clever.py": "globals()['handler'] = print\n",
    "broken.py": "def handler(:\n",
})  # fmt: skip
NODE = zipped({"app.js": "", "deep/items.mjs": ""})


@pytest.mark.parametrize(
    "handler",
    ["app.handler", "app.imported", "app.Api", "deep/items.get", "deep.items.get", "package.handler", "open.anything",
     "clever.handler"],
)  # fmt: skip
def test_a_handler_that_may_be_there_is_not_doubted(handler: str) -> None:
    assert problem(PYTHON, "python3.11", handler) == ""


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        ("missing.handler", "the handler 'missing.handler' needs a file missing.py, and there is none"),
        ("app.other", "app.py defines no 'other'"),
        ("app", "the handler 'app' is not of the form FILE.FUNCTION"),
        ("broken.handler", "broken.py, line 1: invalid syntax"),
    ],
)
def test_one_that_is_not_is_told_with_what_is_missing(handler: str, told: str) -> None:
    assert problem(PYTHON, "python3.10", handler) == told


def test_of_a_syntax_that_a_newer_python_may_know_it_is_told_who_has_read_it() -> None:
    assert re.search(
        r"broken\.py, line 1: .* \(as Python 3\.\d+ reads it\)", problem(PYTHON, "python3.99", "broken.handler")
    )


def test_javascript_is_looked_for_by_its_file() -> None:
    for handler in ("app.handler", "app.nested.handler", "deep/items.get"):
        assert problem(NODE, "nodejs20.x", handler) == ""
    assert problem(NODE, "nodejs20.x", "gone/app.get") == (
        "the handler 'gone/app.get' needs a file gone/app.js, and there is none"
    )


def test_a_custom_runtime_needs_a_program_and_no_handler_that_anybody_knows() -> None:
    assert problem(zipped({"bootstrap": ""}, 0o755), "provided.al2023", "anything at all") == ""
    assert problem(zipped({"bootstrap": ""}), "provided.al2", "x") == "bootstrap is not executable (chmod +x)"
    told = "a custom runtime needs a program named bootstrap, and there is none"
    assert problem(zipped({"deep/bootstrap": ""}, 0o755), "provided.al2023", "x") == told
