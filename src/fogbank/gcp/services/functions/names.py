"""Names of functions and of places: "projects/P/locations/L/functions/F"."""

from __future__ import annotations

import re

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol import regions
from fogbank.gcp.protocol.places import Located
from fogbank.gcp.service import Code, RpcError

ANYWHERE = "-"  # For lists: in every location.
_ID = re.compile(r"[A-Za-z](?:[-_A-Za-z0-9]{0,61}[A-Za-z0-9])?")


class Name(Located):
    __slots__ = ()
    collection = "functions"


def read(name: str) -> Name:
    """Of one that is asked for. Raises `RpcError`."""
    parts = name.split("/")
    if len(parts) != 6 or parts[0::2] != ["projects", "locations", "functions"] or not parts[5]:
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid function name: {name[:512]}")
    _check_project(parts[1])
    return Name(parts[1], parts[3], parts[5])


def read_new(name: str) -> Name:
    """Of one that is to be made."""
    found = read(name)
    check_region(found.location)
    if not _ID.fullmatch(found.id):
        raise RpcError(
            Code.INVALID_ARGUMENT,
            "Function name must contain only Latin letters, digits, underscores and hyphens. It must start with "
            "letter, must not end with a hyphen, and must be at most 63 characters long.",
        )
    return found


def read_parent(name: str) -> tuple[str, str]:
    """Project and location of "projects/P/locations/L"; the location may be "-"."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "projects" or parts[2] != "locations":
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid location name: {name[:512]}")
    _check_project(parts[1])
    if parts[3] != ANYWHERE:
        check_region(parts[3])
    return parts[1], parts[3]


def check_region(location: str) -> None:
    if location not in regions.ALL:
        raise RpcError(
            Code.PERMISSION_DENIED,
            f"Permission denied on 'locations/{location[:64]}' (or it may not exist).",
        )


def service_id(function_id: str) -> str:
    """The Cloud Run service of a 2nd gen function: "the function ID lower-cased with '_' replaced with '-'"."""
    return function_id.lower().replace("_", "-")


def _check_project(project: str) -> None:
    if not projects.ID.fullmatch(project):
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid project resource name projects/{project[:128]}")
