"""The variables that point the clouds' tools and SDKs at a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.cli.support import gcloud
from fogbank.functions.runtimes.redirection import node_options
from fogbank.gcp.identity import projects
from fogbank.gcp.instances import environment as google

if TYPE_CHECKING:
    from pathlib import Path

_UNWANTED = (
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
)  # fmt: skip


def redirected(url: str, region: str, current: dict[str, str], data: Path) -> dict[str, str]:
    """What to set; `data`: the folder of the state. Credentials are never the person's real ones: nothing secret is
    sent, even to this machine."""
    project = current.get("GOOGLE_CLOUD_PROJECT") or projects.DEFAULT
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        **google.of_server(url),
        # Clients that are told none each take another one for an emulator; Firestore's is not even a possible name.
        "GOOGLE_CLOUD_PROJECT": project,
        **gcloud.variables(url, project, data.absolute() / "gcloud", current),
        "NODE_OPTIONS": node_options(current.get("NODE_OPTIONS", "")),
    }


def removed(current: dict[str, str]) -> list[str]:
    """What to take away: it would win over the variables above, or carry a real secret."""
    specific = [name for name in current if name.startswith("AWS_ENDPOINT_URL_") or gcloud.is_unwanted(name)]
    return [*specific, *(name for name in _UNWANTED if name in current)]
