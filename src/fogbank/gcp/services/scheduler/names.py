"""Names of jobs: "projects/PROJECT/locations/LOCATION/jobs/JOB"."""

from __future__ import annotations

import re

from fogbank.gcp.protocol.places import PLACE, Located
from fogbank.gcp.service import Code, RpcError

_JOB = re.compile(PLACE + r"/jobs/([A-Za-z0-9_-]{1,500})")


class JobName(Located):
    __slots__ = ()
    collection = "jobs"


def job(name: str) -> JobName:
    found = _JOB.fullmatch(name)
    if found is None:
        raise RpcError(
            Code.INVALID_ARGUMENT,
            'Job name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/jobs/<JOB_ID>".',
        )
    return JobName(found[1], found[2], found[3])
