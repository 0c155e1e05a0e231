"""A function that never mentions the AWS SDK is born of a smaller process, and finds the SDK all the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fogbank.functions.runtimes.python import mentions

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.workshop import Workshop

LOADED = "import sys\ndef handler(e, c): return 'bo' 'tocore.session' in sys.modules"


def test_the_sdk_is_loaded_ahead_for_those_who_mention_it(workshop: Workshop) -> None:
    mentioned = {"app.py": "import store\n" + LOADED, "store.py": "def table():\n    import boto3"}
    assert workshop.answer(workshop.function(mentioned)) is True
    assert workshop.answer(workshop.function(LOADED)) is False


def test_one_who_asks_for_it_unseen_finds_it(workshop: Workshop) -> None:
    source = "import importlib\ndef handler(e, c): return importlib.import_module('bo' 'to3').__file__"
    assert "python/boto3-" in workshop.answer(workshop.function(source))


def test_a_layer_may_mention_it_too(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "tables.py").write_text("from boto3.dynamodb.conditions import Key")
    assert workshop.answer(workshop.function(LOADED, layers=(tmp_path,))) is True


@pytest.mark.parametrize("name", ["app.py", "app.pyc", "below/it/app.py"])
def test_any_file_counts(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"\x00nothing")
    assert not mentions.sdk([tmp_path])
    (tmp_path / name).write_bytes(b"\x00\xffbotocore\x00")
    assert mentions.sdk([tmp_path])


def test_links_and_what_is_no_file_are_not_read(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "home.py").write_text("import boto3")
    code = tmp_path / "code"
    code.mkdir()
    (code / "round").symlink_to(code)
    (code / "home").symlink_to(elsewhere)
    (code / "home.py").symlink_to(elsewhere / "home.py")
    os.mkfifo(code / "pipe")
    assert not mentions.sdk([code])


def test_a_large_bundle_is_taken_to_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (tmp_path / f"{number}.py").write_text("#" * 10)
    assert not mentions.sdk([tmp_path])
    monkeypatch.setattr(mentions, "_BYTES_MAX", 29)
    assert mentions.sdk([tmp_path])
    monkeypatch.setattr(mentions, "_BYTES_MAX", 30)
    assert not mentions.sdk([tmp_path])
    monkeypatch.setattr(mentions, "_FILES_MAX", 2)
    assert mentions.sdk([tmp_path])


def test_what_cannot_be_read_is_taken_to_mention_it(tmp_path: Path) -> None:
    assert mentions.sdk([tmp_path / "missing"])
