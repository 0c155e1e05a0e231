"""The variables that point the clouds' tools and SDKs at a running server."""

from __future__ import annotations

from urllib.parse import urlsplit

from fogbank.functions.runtimes.redirection import node_options

_PROJECT = "fogbank"
_UNWANTED = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")


def redirected(url: str, region: str, current: dict[str, str]) -> dict[str, str]:
    """What to set. Credentials are never the person's real ones: nothing secret is sent, even to this machine."""
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
        **google_emulators(url),
        # Clients that are told none each take another one for an emulator; Firestore's is not even a possible name.
        "GOOGLE_CLOUD_PROJECT": current.get("GOOGLE_CLOUD_PROJECT") or _PROJECT,
        "NODE_OPTIONS": node_options(current.get("NODE_OPTIONS", "")),
    }


def google_emulators(url: str) -> dict[str, str]:
    """The variables by which Google's own clients ask another address, without TLS and without credentials."""
    host = urlsplit(url).netloc
    return {"PUBSUB_EMULATOR_HOST": host, "FIRESTORE_EMULATOR_HOST": host, "STORAGE_EMULATOR_HOST": url}


def removed(current: dict[str, str]) -> list[str]:
    """What to take away: it would win over the variables above, or carry a real secret."""
    specific = [name for name in current if name.startswith("AWS_ENDPOINT_URL_")]
    return [*specific, *(name for name in _UNWANTED if name in current)]
