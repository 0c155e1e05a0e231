"""Cloud Storage's published client for Node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import node_packages

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

_SCRIPT = Path(__file__).parent / "node" / "app.js"
pytestmark = node_packages.needed


def test_the_client_for_node_does_an_apps_work(shared: Cloud, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    text = node_packages.run(_SCRIPT, "@google-cloud/storage@7.22.0", folder=folder, STORAGE_EMULATOR_HOST=shared.url)
    told = json.loads(text)
    assert (told["same"], told["part"], told["whole"], told["exists"]) == (True, "ont", "contentcontent", False)
    assert told["names"] == ["a/b.txt", "copy", "large", "whole"]
    assert (told["metadata"]["metadata"], told["metadata"]["cacheControl"]) == ({"x": "1"}, "no-store")
    assert (told["refused"], told["location"]) == ([412, "conditionNotMet"], "EU")
