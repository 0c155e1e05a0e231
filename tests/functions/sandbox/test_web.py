"""Functions of Google's in cells: where they see themselves, and secrets that are mounted as files."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.websites import Website

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK = """
import functions_framework
@functions_framework.http
def greet(request):
    found = {"folder": os.getcwd(), "uid": os.getuid(), "file": __file__, "tmp": os.listdir("/tmp")}
    for name in request.args.getlist("read"):
        found[name] = open(name).read()
    try:
        open("/secrets/other", "w")
    except OSError as error:
        found["write"] = type(error).__name__
    return found
"""


@pytest.fixture(scope="module")
def site(given, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    if not given.cells:
        pytest.skip(f"this machine gives no namespaces: {given.missing['namespaces']}")
    site = Website(tmp_path_factory.mktemp("cells"), sandbox="require")
    yield site
    site.close()


def test_a_python_function_sees_itself_in_the_workspace_and_its_secrets_where_they_are_mounted(site):
    files = {"/secrets/key": b"one", "/etc/secrets/deep/er": b"two"}
    version = site.deploy(LOOK, files=files)
    for _ in range(2):  # The first instance, and a fork of a snapshot.
        told = json.loads(site.get(version, target="/?read=/secrets/key&read=/etc/secrets/deep/er")[1])
        assert told["folder"] == "/workspace"
        assert told["file"] == "/workspace/main.py"
        assert told["uid"] == 993
        assert (told["/secrets/key"], told["/etc/secrets/deep/er"]) == ("one", "two")
        assert told["write"] in ("PermissionError", "OSError")
        assert told["tmp"] == []
        site.engine.idle_s = -1.0

        async def reap():
            site.engine.reap()

        site.run(reap())
    assert not any("no snapshot" in text for text in site.texts())


def test_nothing_is_left_of_secrets_once_the_version_is_gone(site):
    version = site.deploy(LOOK, files={"/secrets/key": b"hidden"})
    assert site.get(version)[0] == 200
    kept = site.shop.folder / "run" / "files" / version.id
    assert kept.exists()
    site.run(site.engine.retire(version.id))
    assert not kept.exists()


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on the PATH")
def test_a_node_function_does_too(site):
    version = site.deploy(
        "const fs = require('node:fs');\n"
        "require('@google-cloud/functions-framework').http('greet', (req, res) => {\n"
        "  res.json([process.cwd(), __filename, process.getuid(), fs.readFileSync('/secrets/key', 'utf8')]);\n"
        "});",
        runtime="nodejs20", files={"/secrets/key": b"one"},
    )  # fmt: skip
    for _ in range(2):  # A process that was started for it, and perhaps one that waited.
        assert json.loads(site.get(version)[1]) == ["/workspace", "/workspace/index.js", 993, "one"]
