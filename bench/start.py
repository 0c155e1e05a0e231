"""How long a person waits: from nothing to a healthy server, and to the example's first answer; and what idle costs."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

from bench import servers
from bench.measuring import scratch, show

if TYPE_CHECKING:
    from pathlib import Path

_TIMES = 5


def _start_s(folder: Path) -> tuple[float, float]:
    """(seconds to healthy, MB when it has settled)."""
    began = time.perf_counter()
    with servers.fogbank(folder) as one:
        took_s = time.perf_counter() - began
        time.sleep(1.0)
        return took_s, one.resident_mb


def _up_s(folder: Path) -> float:
    """Seconds from `fogbank up --no-watch` on the example to its first 2xx."""
    app = folder / "items"
    shutil.copytree(servers.ROOT / "examples" / "items", app)
    command = [sys.executable, "-m", "fogbank"]
    port = servers.free_port()
    began = time.perf_counter()
    told = subprocess.run(
        [*command, "up", "--no-watch", "--json", "--port", str(port)],
        cwd=app,
        capture_output=True,
        text=True,
        check=True,
    )
    try:
        [api] = json.loads(told.stdout)["apis"].values()
        host = api.split("/")[2]
        request = urllib.request.Request(
            api.replace(host, f"127.0.0.1:{port}") + "/items", b'{"name": "lamp"}', {"Host": host}
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 201
        return time.perf_counter() - began
    finally:
        subprocess.run([*command, "stop"], cwd=app, capture_output=True, check=True)


def main() -> None:
    starts = [_start_s(scratch()) for _ in range(_TIMES)]
    ups = [_up_s(scratch()) for _ in range(3)]
    rows = [
        ("server start to healthy", f"{statistics.median(s for s, _ in starts):.2f} s", "goal: under 0.5 s"),
        (
            "idle server, with all it started",
            f"{statistics.median(mb for _, mb in starts):.0f} MB",
            "goal: under 120 MB",
        ),
        ("`fogbank up` on the example to the first 201", f"{statistics.median(ups):.2f} s", "goal: under 3 s"),
    ]
    show("Start", rows)


if __name__ == "__main__":
    main()
