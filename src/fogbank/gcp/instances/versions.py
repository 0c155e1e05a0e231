"""From a function as it is deployed to the version that the engine runs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import orjson

from fogbank.functions.model import Version
from fogbank.functions.sandbox.places import MOUNTS, mount_of
from fogbank.gcp.instances import environment
from fogbank.gcp.instances.dialect import FIRST, SECOND

if TYPE_CHECKING:
    from fogbank.gcp.instances.function import Function

# "Runtime support" (Cloud Run functions): by their ids; of the other languages none runs here.
RUNTIMES: Final = (
    *(f"python3{minor}" for minor in range(9, 15)),
    *(f"nodejs{major}" for major in (16, 18, 20, 22, 24)),
)
LOG_GROUP: Final = "cloud.google.com/logging"


def is_runnable(runtime: str) -> bool:
    return runtime in RUNTIMES


def version_of(function: Function) -> Version:
    """Two of the same function that differ in nothing have the same id. Raises `ValueError` for a runtime that does not
    run here, and for a secret that cannot be mounted where it is to be."""
    if not is_runnable(function.runtime):
        raise ValueError(f"no function of {function.runtime} runs here: the runtimes are {', '.join(RUNTIMES)}")
    for path in function.files:
        if mount_of(path) is None:
            raise ValueError(f"no secret can be mounted at {path} here: the places are below {', '.join(MOUNTS)}")
    service = function.service or function.name.lower().replace("_", "-")
    first = function.generation == 1
    settings = {
        "name": f"{function.name}:{function.revision}",
        "runtime": function.runtime,
        "handler": function.entry_point,
        "code": function.code,
        "layers": function.layers,
        "environment": function.environment | environment.of(function, service),
        "timeout_ms": round(function.timeout_s * 1000),
        "memory_mb": function.memory_mb,
        "ephemeral_mb": function.memory_mb,  # Files in /tmp are in the instance's memory, as on Cloud Run.
        "log_group": LOG_GROUP,
        "log_owner": function.project,
        "dialect": FIRST if first else SECOND,
        "web": True,
        "concurrency": 1 if first else max(function.concurrency, 1),
        "files": tuple(sorted(function.files.items())),
        "facts": {
            "project": function.project,
            "region": function.region,
            "function": function.name,
            "service": service,
            "revision": function.revision,
            "event": function.event_type,
            "account": function.service_account,
        },
    }
    return Version(id=f"gcp-{_digest(settings)}", **settings)  # type: ignore[arg-type]  # Each by its own type.


def _digest(settings: dict[str, object]) -> str:
    def plain(value: object) -> object:
        return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)

    return hashlib.sha256(orjson.dumps(settings, default=plain, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
