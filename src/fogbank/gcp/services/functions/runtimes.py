"""The runtimes there are, with the stages and dates of "Runtime support"; those that fogbank can run."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from fogbank.gcp.instances import is_runnable
from fogbank.gcp.services.functions.state import SECOND

# By name: for people, whether the 1st generation has it, when its deprecation and its decommissioning begin.
_RUNTIMES: dict[str, tuple[str, bool, date, date]] = {
    "nodejs16": ("Node.js 16", True, date(2024, 1, 30), date(2025, 1, 30)),
    "nodejs18": ("Node.js 18", True, date(2025, 4, 30), date(2025, 10, 30)),
    "nodejs20": ("Node.js 20", True, date(2026, 4, 30), date(2026, 10, 30)),
    "nodejs22": ("Node.js 22", True, date(2027, 4, 30), date(2027, 10, 31)),
    "nodejs24": ("Node.js 24", False, date(2028, 4, 30), date(2028, 10, 31)),
    "python39": ("Python 3.9", True, date(2025, 10, 5), date(2026, 4, 5)),
    "python310": ("Python 3.10", True, date(2026, 10, 4), date(2027, 4, 4)),
    "python311": ("Python 3.11", True, date(2027, 10, 24), date(2028, 4, 24)),
    "python312": ("Python 3.12", True, date(2028, 10, 2), date(2029, 4, 2)),
    "python313": ("Python 3.13", False, date(2029, 10, 10), date(2030, 4, 10)),
    "python314": ("Python 3.14", False, date(2030, 10, 10), date(2031, 4, 10)),
}


def known(now_ms: int) -> list[Any]:
    """google.cloud.functions.v2.ListRuntimesResponse.Runtime, one for each generation that has it."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    return [
        _told(name, generation, today)
        for generation in (1, 2)
        for name in _RUNTIMES
        if is_runnable(name) and (generation == 2 or _RUNTIMES[name][1])
    ]


def has_first(name: str) -> bool:
    """The 1st generation has it."""
    return name in _RUNTIMES and _RUNTIMES[name][1]


def _told(name: str, generation: int, today: date) -> Any:
    """What is decommissioned there still runs here: it is shown as deprecated, or tools would not let it through."""
    display, _, deprecated, decommissioned = _RUNTIMES[name]
    stages, old = SECOND.ListRuntimesResponse.RuntimeStage, today >= deprecated
    runtime = SECOND.ListRuntimesResponse.Runtime(
        name=name, display_name=display, environment=SECOND.Environment.Value(f"GEN_{generation}"),
        stage=stages.Value("DEPRECATED" if old else "GA"),
    )  # fmt: skip
    for field, day in ((runtime.deprecation_date, deprecated), (runtime.decommission_date, decommissioned)):
        field.year, field.month, field.day = day.year, day.month, day.day
    if old:
        runtime.warnings.append(
            f"The runtime {name} is deprecated since {deprecated}, and will be decommissioned on {decommissioned}. "
            "Upgrade to a newer version."
        )
    return runtime
