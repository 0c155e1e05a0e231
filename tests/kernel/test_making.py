"""Who makes what is kept for all does so alone."""

from __future__ import annotations

import signal
import subprocess
import sys

from fogbank.kernel.making import making

_HOLDS = """
import pathlib, sys
from fogbank.kernel.making import making
folder = pathlib.Path(sys.argv[1])
print("begun", flush=True)
with making(folder):
    print("it is there" if folder.is_dir() else "mine", flush=True)
    sys.stdin.read()
"""


def holder(folder):
    return subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_another_process_has_its_turn_when_the_first_has_done(tmp_path):
    folder = tmp_path / "cache" / "made"
    with making(folder):
        waiting = holder(folder)
        assert waiting.stdout.readline() == "begun\n"
        folder.mkdir()
    assert waiting.communicate("", timeout=60) == ("it is there\n", None)


def test_a_maker_that_is_killed_lets_go(tmp_path):
    first = holder(tmp_path / "made")
    assert [first.stdout.readline() for _ in range(2)] == ["begun\n", "mine\n"]
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    with making(tmp_path / "made"):
        pass
