"""What an instance is made of lies where Lambda has it: code in /var/task, layers in order in /opt, 512 MB in /tmp."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.workshop import Workshop

PYTHON = getattr(sys, "_base_executable", "") or sys.executable
with_node = pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")


def layer(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def test_code_is_the_working_folder_and_the_variables_name_it(cells: Workshop) -> None:
    source = """import os
def handler(e, c):
    size = os.statvfs("/tmp")
    return [os.getcwd(), __file__, os.environ["LAMBDA_TASK_ROOT"], os.environ["LD_LIBRARY_PATH"].split(":")[0],
            size.f_blocks * size.f_frsize >> 20]
"""
    for size in (512, 1024):
        found = cells.answer(cells.function(source, ephemeral_mb=size))
        assert found == ["/var/task", "/var/task/app.py", "/var/task", "/var/task", size]


def test_an_error_names_files_as_on_lambda(cells: Workshop) -> None:
    failed: Any = cells.failure(cells.function("def handler(e, c):\n    return 1 / 0"))
    assert '  File "/var/task/app.py", line 2, in handler' in str(failed)


def test_layers_lie_over_each_other_in_opt_and_the_last_wins(cells: Workshop, tmp_path: Path) -> None:
    one = layer(tmp_path / "one", {"python/both.py": "WHO = 1", "python/first.py": "", "bin/tool": "#!/bin/sh\necho 1"})
    two = layer(tmp_path / "two", {"python/both.py": "WHO = 2", "data/file": "two"})
    source = """import os, subprocess, both, first
def handler(e, c):
    tool = subprocess.run(["tool"], capture_output=True, text=True).stdout.strip()
    return [sorted(os.listdir("/opt")), both.WHO, both.__file__, open("/opt/data/file").read(), tool]
"""
    found = cells.answer(cells.function(source, layers=(one, two)))
    assert found == [["bin", "data", "python"], 2, "/opt/python/both.py", "two", "1"]
    assert (one / "python/both.py").read_text() == "WHO = 1", "the layer itself is as it was"


@with_node
def test_node_finds_its_layers_in_opt(cells: Workshop, tmp_path: Path) -> None:
    one = layer(tmp_path / "one", {"nodejs/node_modules/which.js": "module.exports = 'one';"})
    two = layer(tmp_path / "two", {"nodejs/node_modules/which.js": "module.exports = 'two';"})
    source = "exports.handler = async () => [require('which'), require.resolve('which'), __dirname, process.cwd()];"
    found = cells.answer(cells.function(source, runtime="nodejs20.x", layers=(one, two)))
    assert found == ["two", "/opt/nodejs/node_modules/which.js", "/var/task", "/var/task"]


def test_a_bootstrap_of_a_layer_and_an_extension_share_tmp_and_see_opt(cells: Workshop, tmp_path: Path) -> None:
    extension = f"""#!{PYTHON} -S
import json, os, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension/"
head = {{"Lambda-Extension-Name": "side", "Content-Type": "application/json"}}
asked = urllib.request.Request(base + "register", json.dumps({{"events": ["INVOKE"]}}).encode(), head)
who = urllib.request.urlopen(asked).headers["Lambda-Extension-Identifier"]
open("/tmp/side", "w").write(__file__ + " " + os.getcwd())
while True:
    urllib.request.urlopen(urllib.request.Request(base + "event/next", headers={{"Lambda-Extension-Identifier": who}}))
"""
    bootstrap = f"""#!{PYTHON} -S
import json, os, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    event = urllib.request.urlopen(base + "next")
    said = json.dumps([open("/tmp/side").read(), __file__, os.getuid(), sorted(os.listdir("/var/task"))]).encode()
    urllib.request.urlopen(base + event.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", said)
"""
    brought = layer(tmp_path / "layer", {"extensions/side": extension, "bootstrap": bootstrap})
    version = cells.function({"own.txt": ""}, runtime="provided.al2023", handler="any", layers=(brought,))
    assert cells.answer(version) == ["/opt/extensions/side /var/task", "/opt/bootstrap", 993, ["own.txt"]]
