"""Code that was saved, in a version that has to be initialised before it may be invoked."""

from __future__ import annotations

import hashlib
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.deploy import swap
from tests.aws.services.lambda_.test_snap_start import SNAP_START, held_open_by, settled
from tests.support.cloud import Cloud
from tests.support.code import call, deploy, zipped
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD, NEW = (f"def handler(event, context):\n    return '{name}'\n" for name in ("old", "new"))


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path / "data", sandbox="off")  # Functions are told when to go on by a file.
    yield cloud
    cloud.stop()


def test_the_alias_keeps_the_version_before_until_the_new_ones_snapshot_is_there(cloud: Cloud, tmp_path: Path) -> None:
    functions, s3, gate = cloud.client("lambda"), cloud.client("s3"), tmp_path / "gate"
    deploy(functions, "f", OLD, **SNAP_START, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    settled(functions)
    s3.create_bucket(Bucket="bundles")

    bundle = zipped({"app.py": held_open_by(gate, NEW)})
    key = hashlib.sha256(bundle).hexdigest() + ".zip"
    code: Any = SimpleNamespace(key=key, alias="live")
    prepared: Any = SimpleNamespace(bundles={key: bundle})
    door: Any = SimpleNamespace(
        ask=cloud.ask, upload=lambda bucket, name, content: s3.put_object(Bucket=bucket, Key=name, Body=content)
    )
    swapping = threading.Thread(target=swap.swap, args=(door, prepared, "bundles", {"F": "f"}, {"F": code}))
    swapping.start()
    eventually(lambda: len(functions.list_versions_by_function(FunctionName="f")["Versions"]) == 3)
    assert functions.get_alias(FunctionName="f", Name="live")["FunctionVersion"] == "1"
    assert call(functions, "f:live") == "old" and swapping.is_alive()
    gate.touch()
    swapping.join(30)
    assert functions.get_alias(FunctionName="f", Name="live")["FunctionVersion"] == "2"
    assert call(functions, "f:live") == "new"
