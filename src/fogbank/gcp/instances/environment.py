"""What stands in the environment of a function, beside what its owner has put there.

"Configure environment variables", "Runtime environment variables set automatically".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fogbank.gcp.identity import metadata

if TYPE_CHECKING:
    from fogbank.gcp.identity.metadata import Holder
    from fogbank.gcp.instances.function import Function

PORT: Final = "8080"


def of(function: Function, service: str) -> dict[str, str]:
    """The same for each instance of it."""
    event = bool(function.event_type)
    usual = ("event" if function.generation == 1 else "cloudevent") if event else "http"
    found = {
        "FUNCTION_TARGET": function.entry_point,
        "FUNCTION_SIGNATURE_TYPE": function.signature or usual,
        "K_SERVICE": function.name if function.generation == 1 else service,
        "K_REVISION": function.revision,
        "PORT": PORT,
        # Where the cloud itself sets none, clients ask the metadata server; those that are told of an emulator do not.
        "GOOGLE_CLOUD_PROJECT": function.project,
        "GCLOUD_PROJECT": function.project,
        "HOME": "/tmp",  # What it can write to.
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": "UTC",
    }
    if function.generation == 2:
        found["K_CONFIGURATION"] = service
        found["LOG_EXECUTION_ID"] = function.environment.get("LOG_EXECUTION_ID", "true")
    if function.runtime.startswith("nodejs"):
        found["NODE_ENV"] = function.environment.get("NODE_ENV", "production")
    elif function.runtime.startswith("python"):
        found["PYTHONUNBUFFERED"] = "TRUE"
    source = function.environment.get("GOOGLE_FUNCTION_SOURCE") or function.environment.get("FUNCTION_SOURCE")
    if source:
        found["FUNCTION_SOURCE"] = source
    return found


def of_server(endpoint: str, holder: Holder | None = None) -> dict[str, str]:
    """Where Google's clients find their services: those that read a variable. `holder`: who they are."""
    host = urlsplit(endpoint).netloc
    return {
        "PUBSUB_EMULATOR_HOST": host,
        "FIRESTORE_EMULATOR_HOST": host,
        "STORAGE_EMULATOR_HOST": endpoint.rstrip("/"),
        **metadata.variables(host, holder),
    }
