"""The address of the metadata server for one account: clients put it before the path that they ask for.

Clients of Python, Go and Java do. Node's puts its own path in place of the address's, and is answered as anybody is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from fogbank.gcp.identity import projects

REGION: Final = "us-central1"  # Where gcloud deploys functions to if nobody says otherwise.
ROOT: Final = "/computeMetadata/v1"
# An address of our own: no bucket's name begins so.
_PATH: Final = re.compile(r"/_metadata/([^/]+)/([^/]+)/([^/]+)(?=/|$)")


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose metadata are asked for."""

    project: str = projects.DEFAULT
    region: str = REGION
    account: str = ""  # Its address; "": the project's compute account.

    @property
    def email(self) -> str:
        return self.account or projects.compute_account(self.project)


def variables(netloc: str, holder: Holder | None = None) -> dict[str, str]:
    """By which clients find it; without a holder, anybody's."""
    parts = () if holder is None else ("", "_metadata", holder.project, holder.region, holder.email)
    named = "/".join(quote(part, safe="") for part in parts)
    return {
        "GCE_METADATA_HOST": f"{netloc}{named}",
        "GCE_METADATA_IP": f"{netloc}{named}{ROOT}/",  # What Python's client asks to see whether there is one.
        "METADATA_SERVER_DETECTION": "assume-present",  # The same for Node's.
    }


def read(path: str) -> tuple[Holder, str]:
    """Who it is, and the path without that."""
    found = _PATH.match(path)
    if found is None:
        return Holder(), path
    return Holder(*(unquote(part) for part in found.groups())), path[found.end() :]
