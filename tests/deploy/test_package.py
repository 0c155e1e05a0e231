"""What goes into a bundle: the code, and what it asks for."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest

from fogbank.deploy import package

if TYPE_CHECKING:
    from pathlib import Path

with_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here")


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def names(bundle: package.Bundle) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(bundle.content)).namelist())


@with_npm
def test_the_modules_that_package_json_asks_for_are_installed_once_and_bundled(tmp_path: Path) -> None:
    asked = json.dumps({"name": "app", "dependencies": {"is-number": "7.0.0"}})
    app = write(tmp_path / "app", {"package.json": asked, "app.js": "exports.handler = async () => 1;"})
    first = package.bundle(app, tmp_path / "cache")
    assert {"app.js", "package.json", "node_modules/is-number/index.js"} <= names(first)
    assert not (app / "node_modules").exists()
    [kept] = (tmp_path / "cache" / "modules").iterdir()
    before = kept.stat().st_mtime_ns
    assert package.bundle(app, tmp_path / "cache") == first
    assert kept.stat().st_mtime_ns == before


def test_modules_that_lie_there_are_taken_as_they_are(tmp_path: Path) -> None:
    asked = json.dumps({"dependencies": {"no-such-module-anywhere": "1.0.0"}})
    app = write(tmp_path / "app", {"package.json": asked, "node_modules/mine/index.js": "1"})
    assert names(package.bundle(app, tmp_path / "cache")) == {"package.json", "node_modules/mine/index.js"}


def test_a_package_json_that_is_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(package.PackageError, match=r"package\.json is not the JSON of a package"):
        package.bundle(write(tmp_path / "app", {"package.json": "{"}), tmp_path / "cache")


@with_npm
def test_what_cannot_be_installed_is_told_with_npms_own_words(tmp_path: Path) -> None:
    asked = json.dumps({"dependencies": {"is-number": "not-a-version-of-it"}})
    with pytest.raises(package.PackageError, match="could not be installed"):
        package.bundle(write(tmp_path / "app", {"package.json": asked}), tmp_path / "cache")
