"""The SDKs that functions find: Developer Guide, "Runtime-included SDK versions". They come from the registry, once."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from fogbank.assembly import served
from fogbank.aws.protocol import models
from fogbank.functions.runtimes.node import sdk

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="this machine has no npm")

PINNED = Path(sdk.__file__).parent / "packages"
USES_V3 = "const { SQSClient } = require('@aws-sdk/client-sqs');\n"


@pytest.fixture(scope="module")
def sdks(cache_dir: Path) -> Path:
    """The cache, with both generations in it."""
    try:
        for generation in ("v2", "v3"):
            sdk.folder(cache_dir, generation)
    except sdk.SdkError as error:
        pytest.skip(str(error))
    return cache_dir


@pytest.fixture
def node(workshop: Any, sdks: Path) -> Any:
    def function(source: Any, **settings: Any) -> Any:
        return workshop.function(source, **{"runtime": "nodejs20.x", "memory_mb": 512, **settings})

    return function


def test_functions_since_node_18_find_the_clients_of_v3(workshop, node):
    source = USES_V3 + "exports.handler = async () => new SQSClient({}).config.region();"
    assert workshop.answer(node(source)) == "us-east-1"
    modules = {
        "app.mjs": """import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
export const handler = async () => typeof DynamoDBDocumentClient.from;"""
    }
    assert workshop.answer(node(modules)) == "function"


def test_functions_up_to_node_16_find_v2_and_no_client_of_v3(workshop, node):
    source = "const AWS = require('aws-sdk'); exports.handler = async () => AWS.VERSION;"
    pinned = json.loads((PINNED / "v2/package.json").read_text())["dependencies"]["aws-sdk"]
    assert workshop.answer(node(source, runtime="nodejs16.x")) == pinned
    failed = workshop.failure(node(USES_V3, runtime="nodejs16.x"))
    assert failed["errorType"] == "Runtime.ImportModuleError" and "'@aws-sdk/client-sqs'" in failed["errorMessage"]


def test_a_bundles_own_copy_wins(workshop, node):
    own = {"node_modules/@aws-sdk/client-sqs/index.js": "exports.SQSClient = 'own';"}
    source = USES_V3 + "exports.handler = async () => SQSClient;"
    assert workshop.answer(node({"app.js": source, **own})) == "own"
    loaded = "import { SQSClient } from '@aws-sdk/client-sqs';\nexport const handler = async () => SQSClient;"
    assert workshop.answer(node({"app.mjs": loaded, **own})) == "own"


def test_processes_wait_with_the_clients_that_a_function_names(workshop, node):
    """The second instance of a version is one that has loaded them already."""
    source = "const before = Object.keys(require.cache).length;\n" + USES_V3
    source += "exports.handler = async () => before > 50;"
    version = node(source)
    workshop.answer(version)
    workshop.run(_kinds_are_filled(workshop))
    again = node(source)
    assert workshop.answer(again) is True


async def _kinds_are_filled(workshop):
    runtime = workshop.engine._runtimes.of("nodejs20.x")._runtime
    while runtime._refill is not None:
        await runtime._refill


def test_what_is_cached_asks_for_nothing_more(sdks, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))  # Where there is no npm.
    assert (sdk.folder(sdks, "v3") / "@aws-sdk/client-dynamodb").is_dir()


def test_a_download_that_fails_is_told_once_in_the_functions_log(workshop, node, monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network no such host' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    runtime = workshop.engine._runtimes.of("nodejs20.x")._runtime
    monkeypatch.setattr(runtime, "_cache_dir", tmp_path / "cache")
    for _ in range(2):
        assert workshop.failure(node(USES_V3))["errorType"] == "Runtime.ImportModuleError"
    told = [line for *_, line in workshop.lines if "could not be installed" in line]
    assert len(told) == 1 and "(npm error network no such host)" in told[0] and told[0].startswith("fogbank: ")
    assert not list((tmp_path / "cache" / "node").iterdir()), "nothing half made is left"


def test_every_service_that_is_served_has_its_client_pinned():
    pinned = json.loads((PINNED / "v3/package.json").read_text())["dependencies"]
    for service in served()[0]:
        name = models.load(service).metadata["serviceId"].lower().replace(" ", "-")
        assert f"@aws-sdk/client-{name}" in pinned


def test_every_file_that_npm_fetches_has_a_checksum():
    for lock in PINNED.glob("*/package-lock.json"):
        packages = {name: one for name, one in json.loads(lock.read_text())["packages"].items() if name}
        assert packages and all(one["integrity"].startswith("sha512-") for one in packages.values())
