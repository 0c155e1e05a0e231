"""Load and its figures: `wrk` against one address, in rounds that take turns so that noise meets everybody."""

from __future__ import annotations

import atexit
import re
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass
class Figures:
    """Of one target over all rounds."""

    rates: list[float] = field(default_factory=list)
    p99s_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def p99_ms(self) -> float:
        return statistics.median(self.p99s_ms)


class BadAnswers(Exception):
    """The target answered with errors: its rate would mean nothing."""


@dataclass
class Told:
    """What wrk printed, for scripts that print more."""

    text: str = ""


def wrk(url: str, script: str, *, connections: int, seconds: int, told: Told | None = None) -> tuple[float, float]:
    """(requests a second, p99 in ms). Every answer has to be a good one."""
    told = told or Told()
    if shutil.which("wrk") is None:
        raise BadAnswers("wrk is not installed: `apt-get install wrk`")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        told.text = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", file.name, url],
            capture_output=True, text=True, check=True, timeout=seconds + 30,
        ).stdout  # fmt: skip
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", told.text)
    if bad:
        raise BadAnswers(f"{url}: {bad[0]}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told.text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", told.text)
    assert rate is not None and p99 is not None, told.text
    return float(rate[1]), float(p99[1]) * _UNITS_MS[p99[2]]


def in_turns(targets: dict[str, Callable[[], tuple[float, float]]], rounds: int) -> dict[str, Figures]:
    """Each target once in every round. One that fails is left out, and why is printed."""
    found: dict[str, Figures] = {}
    left = dict(targets)
    for _ in range(rounds):
        for name, run in list(left.items()):
            try:
                rate, p99_ms = run()
            except (BadAnswers, OSError, subprocess.SubprocessError) as error:
                print(f"  {name} is left out: {error}")
                found.pop(name, None)
                del left[name]
                continue
            figures = found.setdefault(name, Figures())
            figures.rates.append(rate)
            figures.p99s_ms.append(p99_ms)
    return found


def post(body: str, headers: dict[str, str], *, path: str = "") -> str:
    """A script for wrk: the same POST again and again. `body` is a Lua expression, worked out for each request."""
    told = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items())
    target = f'"{path}"' if path else "nil"
    return f'wrk.method = "POST"\n{told}request = function()\n  return wrk.format(nil, {target}, nil, {body})\nend\n'


def show(title: str, rows: list[tuple[str, str, str]]) -> None:
    print(f"\n{title}")
    width = max(len(row[0]) for row in rows)
    for name, value, beside in rows:
        print(f"  {name:<{width}}  {value:>14}  {beside}")


def scratch() -> Path:
    """A folder for as long as this program runs."""
    folder = tempfile.mkdtemp(prefix="fogbank-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
