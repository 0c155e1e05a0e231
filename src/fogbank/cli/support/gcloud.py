"""The variables that point gcloud at a running server, with a configuration of its own: a person's is not touched."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fogbank.gcp.identity import metadata

if TYPE_CHECKING:
    from pathlib import Path

# The APIs of which fogbank serves something, as gcloud's properties name them (`gcloud topic configurations`).
_APIS = (
    "artifactregistry", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "cloudtasks",
    "eventarc", "firestore", "iam", "iamcredentials", "logging", "pubsub", "run", "secretmanager", "serviceusage",
)  # fmt: skip


def variables(url: str, project: str, config: Path, current: dict[str, str]) -> dict[str, str]:
    """No credentials are sent or looked for, and nothing is asked back: a tool's questions would wait for ever."""
    return {
        "CLOUDSDK_CONFIG": str(config),
        "CLOUDSDK_ACTIVE_CONFIG_NAME": "default",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "1",
        "GCE_METADATA_ROOT": urlsplit(url).netloc,  # Where it has an identity token from, for `gcloud functions call`.
        "CLOUDSDK_CORE_PROJECT": project,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_CORE_SURVEY_DISABLE_PROMPTS": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        **{
            f"CLOUDSDK_{name}_REGION": current.get(f"CLOUDSDK_{name}_REGION") or metadata.REGION
            for name in ("FUNCTIONS", "RUN", "EVENTARC")
        },
        **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"{url}/" for api in _APIS},
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{url}/storage/v1/",
    }


def is_unwanted(name: str) -> bool:
    """A property of gcloud's that a person has set for the real cloud. Where things are put, and which Python runs
    gcloud, is their own affair."""
    return name.startswith("CLOUDSDK_") and not name.endswith("_REGION") and not name.startswith("CLOUDSDK_PYTHON")
