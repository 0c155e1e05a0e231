"""Names of jobs: "projects/PROJECT/locations/LOCATION/jobs/JOB"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fogbank.gcp.service import Code, RpcError

_PLACE = r"projects/([A-Za-z0-9\-:.]{1,128})/locations/([a-z0-9-]{1,64})"
_PARENT = re.compile(_PLACE)
_JOB = re.compile(_PLACE + r"/jobs/([A-Za-z0-9_-]{1,500})")


@dataclass(frozen=True, slots=True)
class JobName:
    project: str
    location: str
    id: str

    @property
    def scope(self) -> str:
        return f"{self.project}/{self.location}"

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/jobs/{self.id}"


def scope(parent: str) -> str:
    found = _PARENT.fullmatch(parent)
    if found is None:
        raise RpcError(Code.INVALID_ARGUMENT, "Invalid resource field value in the request.")
    return f"{found[1]}/{found[2]}"


def job(name: str) -> JobName:
    found = _JOB.fullmatch(name)
    if found is None:
        raise RpcError(
            Code.INVALID_ARGUMENT,
            'Job name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/jobs/<JOB_ID>".',
        )
    return JobName(found[1], found[2], found[3])
