"""What people type: `gcloud storage …`, the real one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.gcp.services.storage.conftest import client_of, names, put
from tests.support.gcloud import Gcloud, needed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud

pytestmark = needed


def test_gcloud_copies_lists_and_deletes(shared: Cloud, tmp_path: Path) -> None:
    bucket = client_of(shared).create_bucket("from-gcloud")
    gcloud = Gcloud(shared.url, tmp_path / "config", "STORAGE")
    content = os.urandom(300_000)
    (tmp_path / "folder").mkdir()
    for name in ("a", "b"):
        (tmp_path / "folder" / name).write_bytes(content)
    gcloud.text("storage", "cp", "--recursive", str(tmp_path / "folder"), f"gs://{bucket.name}/")
    assert names(bucket.list_blobs()) == ["folder/a", "folder/b"]
    put(bucket, "other")
    listed = gcloud.text("storage", "ls", f"gs://{bucket.name}").split()
    assert listed == [f"gs://{bucket.name}/other", f"gs://{bucket.name}/folder/"]
    gcloud.text("storage", "cp", f"gs://{bucket.name}/folder/a", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    gcloud.text("storage", "rm", "--recursive", f"gs://{bucket.name}/folder")
    assert names(bucket.list_blobs()) == ["other"]
