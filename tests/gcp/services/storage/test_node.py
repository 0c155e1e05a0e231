"""What others have written for Cloud Storage: the client for Node, gcloud and gsutil."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.gcp.services.storage.conftest import client_of, names, put
from tests.support.google import PROJECT
from tests.support.node_packages import installed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud

_SCRIPT = """
const { Storage } = require('@google-cloud/storage');
const { randomBytes } = require('crypto');
(async () => {
  const storage = new Storage({ projectId: 'fog-project' });
  const [bucket] = await storage.createBucket('from-node', { location: 'EU', versioning: { enabled: true } });
  const file = bucket.file('a/b.txt');
  await file.save('content', { resumable: false, metadata: { contentType: 'text/plain', metadata: { x: '1' } } });
  const large = bucket.file('large'), content = randomBytes(3 * 1024 * 1024 + 7);
  await large.save(content, { resumable: true, chunkSize: 1024 * 1024 });
  const [again] = await large.download();
  const [part] = await file.download({ start: 1, end: 3 });
  const [copied] = await file.copy(bucket.file('copy'));
  await bucket.combine([file, copied], 'whole');
  await file.setMetadata({ cacheControl: 'no-store' });
  const [metadata] = await file.getMetadata();
  const [files] = await bucket.getFiles({ prefix: '' });
  let refused;
  await file.save('other', { resumable: false, preconditionOpts: { ifGenerationMatch: 1 } })
    .catch((error) => { refused = [error.code, error.errors[0].reason]; });
  await file.delete();
  const [exists] = await file.exists();
  console.log(JSON.stringify({
    same: content.equals(again), part: part.toString(), metadata, refused, exists, location: bucket.metadata.location,
    names: files.map((one) => one.name), whole: (await bucket.file('whole').download())[0].toString(),
  }));
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.mark.timeout(240)
def test_the_client_for_node_does_an_apps_work(shared: Cloud, tmp_path: Path) -> None:
    folder = installed(tmp_path, "@google-cloud/storage@7")
    (folder / "app.js").write_text(_SCRIPT)
    environment = {**os.environ, "STORAGE_EMULATOR_HOST": shared.url}
    done = subprocess.run(
        ["node", "app.js"], cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["same"], told["part"], told["whole"], told["exists"]) == (True, "ont", "contentcontent", False)
    assert told["names"] == ["a/b.txt", "copy", "large", "whole"]
    assert (told["metadata"]["metadata"], told["metadata"]["cacheControl"]) == ({"x": "1"}, "no-store")
    assert (told["refused"], told["location"]) == ([412, "conditionNotMet"], "EU")


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not here")
@pytest.mark.timeout(240)
def test_gcloud_copies_lists_and_deletes(shared: Cloud, tmp_path: Path) -> None:
    bucket = client_of(shared).create_bucket("from-gcloud")
    environment = {
        **os.environ, "CLOUDSDK_CONFIG": str(tmp_path / "config"), "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "1",
        "CLOUDSDK_CORE_PROJECT": PROJECT, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{shared.url}/storage/v1/",
    }  # fmt: skip

    def gcloud(*arguments: str) -> str:
        done = subprocess.run(
            ["gcloud", "storage", *arguments], env=environment, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    content = os.urandom(300_000)
    (tmp_path / "folder").mkdir()
    for name in ("a", "b"):
        (tmp_path / "folder" / name).write_bytes(content)
    gcloud("cp", "--recursive", str(tmp_path / "folder"), f"gs://{bucket.name}/")
    assert names(bucket.list_blobs()) == ["folder/a", "folder/b"]
    put(bucket, "other")
    assert gcloud("ls", f"gs://{bucket.name}").split() == [f"gs://{bucket.name}/other", f"gs://{bucket.name}/folder/"]
    gcloud("cp", f"gs://{bucket.name}/folder/a", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    gcloud("rm", "--recursive", f"gs://{bucket.name}/folder")
    assert names(bucket.list_blobs()) == ["other"]
