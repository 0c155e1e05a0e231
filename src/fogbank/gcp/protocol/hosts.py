"""Where functions answer: Google's host names for them, and how each is written on this machine.

An address of ours has Google's host as the first part of its path, "http://127.0.0.1:4566/us-central1-p.cloudfunctions.net/f":
every client finds it, whatever its resolver knows. By name it is the same below "localhost".
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from dataclasses import dataclass

from fogbank.gcp.identity import projects

# "https://PROJECT-HASH-REGIONCODE.a.run.app": the codes that Cloud Run has for its regions.
_CODES = {
    "us-central1": "uc", "us-east1": "ue", "us-east4": "uk", "us-west1": "uw", "us-west2": "wl", "us-west3": "wm",
    "us-west4": "wn", "northamerica-northeast1": "nn", "southamerica-east1": "rj", "europe-west1": "ew",
    "europe-west2": "nw", "europe-west3": "ey", "europe-west4": "ez", "europe-west6": "oa", "europe-north1": "lz",
    "europe-central2": "lm", "asia-east1": "de", "asia-east2": "df", "asia-northeast1": "an",
    "asia-northeast2": "dt", "asia-northeast3": "du", "asia-south1": "el", "asia-southeast1": "as",
    "asia-southeast2": "et", "australia-southeast1": "ts",
}  # fmt: skip
_HASH_LETTERS = 10
_FUNCTIONS = r"(?P<region>[a-z]+-[a-z]+\d+)-(?P<project>[a-z0-9][a-z0-9-]*)\.cloudfunctions\.(?:net|localhost)"
_SERVICE = r"(?P<label>[a-z0-9][a-z0-9-]*-[a-z0-9]{10}-[a-z]{2})\.(?:a\.run\.app|run\.localhost)"
_NUMBERED = r"(?P<numbered>[a-z0-9][a-z0-9-]*-\d{12}\.[a-z]+-[a-z]+\d+)\.run\.(?:app|localhost)"
ANY = re.compile(f"{_FUNCTIONS}|{_SERVICE}|{_NUMBERED}")
IN_PATH = re.compile(r"/(?P<host>[a-z0-9][a-z0-9.-]*\.(?:cloudfunctions\.net|run\.app))(?=/|$)")
OURS = re.compile(r".*\.(?:cloudfunctions\.net|run\.app)")  # For whoever sends: these hosts are this server's.


@dataclass(frozen=True, slots=True)
class Place:
    """What a host says: a project's functions in a region, or a service by its label."""

    project: str = ""
    region: str = ""
    label: str = ""


def read(host: str) -> Place | None:
    found = ANY.fullmatch(host)
    if found is None:
        return None
    return Place(found["project"] or "", found["region"] or "", found["label"] or found["numbered"] or "")


def functions_host(project: str, region: str) -> str:
    """ "us-central1-p.cloudfunctions.net", below which each function has its name as the first part of the path."""
    return f"{region}-{project.rpartition(':')[2]}.cloudfunctions.net"


def labels(project: str, region: str, service: str) -> tuple[str, str]:
    """The labels of the two hosts that a service has."""
    digest = hashlib.sha256(project.encode()).digest()
    letters = b32encode(digest).decode().lower()[:_HASH_LETTERS]
    code = _CODES.get(region) or "".join(part[0] for part in region.split("-"))[:2]
    return f"{service}-{letters}-{code}", f"{service}-{projects.number(project)}.{region}"


def service_host(project: str, region: str, service: str) -> str:
    return f"{labels(project, region, service)[0]}.a.run.app"
