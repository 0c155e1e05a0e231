"""Projects and the accounts that each has from its beginning on: all of them follow from the project's id."""

from __future__ import annotations

import hashlib
import re
from typing import Final

DEFAULT: Final = "fogbank"  # Where nobody names one.
ID: Final = re.compile(r"[a-z0-9][a-z0-9.:-]{0,62}")  # With those of a domain, "example.com:shop"; or its number.
# What services take in a name that say nothing of projects themselves: emulators' clients call theirs what they like.
ANY: Final = r"[A-Za-z0-9][A-Za-z0-9\-.:_]{0,127}"
_NUMBER: Final = re.compile(r"\d+")
_FIRST_NUMBER, _NUMBERS = 100_000_000_000, 900_000_000_000  # Twelve digits.


def number(project: str) -> str:
    """Google gives a project a number beside its id; here it follows from the id. A number is its own."""
    if _NUMBER.fullmatch(project):
        return project
    digest = hashlib.sha256(project.encode()).digest()
    return str(_FIRST_NUMBER + int.from_bytes(digest[:8]) % _NUMBERS)


def compute_account(project: str) -> str:
    """ "Default service accounts": what runs functions and services where nobody names another."""
    return f"{number(project)}-compute@developer.gserviceaccount.com"


def appspot_account(project: str) -> str:
    """The App Engine default service account: what runs functions of the 1st generation."""
    return f"{project}@appspot.gserviceaccount.com"


def service_agent(project: str, agent: str) -> str:
    """ "Service agents": "gcp-sa-pubsub" → the account by which Pub/Sub acts in that project."""
    return f"service-{number(project)}@{agent}.iam.gserviceaccount.com"
