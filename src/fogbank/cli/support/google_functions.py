"""Google's functions of a running cloud, by the API that gcloud asks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.cli.support.problems import Problem
from fogbank.gcp.identity import projects

if TYPE_CHECKING:
    from fogbank.cli.support.client import Client

_JSON = {"content-type": "application/json"}
_NOT_SERVED = (404, 405, 501)


def project() -> str:
    return os.environ.get("GOOGLE_CLOUD_PROJECT") or projects.DEFAULT


def every(client: Client) -> dict[str, dict[str, Any]]:
    """By name, as the API shows them; of two of one name in two regions the first."""
    found: dict[str, dict[str, Any]] = {}
    token = ""
    while True:
        path = f"/v2/projects/{project()}/locations/-/functions?pageSize=1000&pageToken={token}"
        page = asked(client, "GET", path)
        for function in page.get("functions", []):
            found.setdefault(function["name"].rpartition("/")[2], function)
        token = page.get("nextPageToken", "")
        if not token:
            return found


def names(client: Client) -> set[str]:
    """Of the project's: told without loading what Google's APIs need, which most clouds never do."""
    told = client.get("/_fogbank/status")["google_functions"]
    return {one["name"] for one in told if one["project"] == project()}


def service(name: str) -> str:
    """Of a function of the 2nd generation, whose logs bear that name."""
    return name.lower().replace("_", "-")


def asked(client: Client, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    """What is not served is nothing; other errors are problems."""
    body = b"" if content is None else orjson.dumps(content)
    status, _, reply = client.exchange(method, path, body, _JSON if body else {})
    if status in _NOT_SERVED:
        return {}
    try:
        told = orjson.loads(reply)
    except orjson.JSONDecodeError as error:
        raise Problem(f"{client.url}{path} answered {status}, not as Google's APIs do") from error
    if status >= 300:
        raise Problem(str(told.get("error", {}).get("message", status)))
    return dict(told)
