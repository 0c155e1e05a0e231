"""Names of what lies in a project's location: "projects/PROJECT/locations/LOCATION/COLLECTION/ID"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from fogbank.gcp.service import Code, RpcError

# As Cloud Tasks and Cloud Scheduler read it; of other services each has words of its own for what it does not take.
PLACE = r"projects/([A-Za-z0-9\-:.]{1,128})/locations/([a-z0-9-]{1,64})"
_PARENT = re.compile(PLACE)


@dataclass(frozen=True, slots=True)
class Located:
    """Base of such names."""

    collection: ClassVar[str]
    project: str
    location: str
    id: str

    @property
    def scope(self) -> str:
        return f"{self.project}/{self.location}"

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/{self.collection}/{self.id}"


def scope(parent: str) -> str:
    found = _PARENT.fullmatch(parent)
    if found is None:
        raise RpcError(Code.INVALID_ARGUMENT, "Invalid resource field value in the request.")
    return f"{found[1]}/{found[2]}"
