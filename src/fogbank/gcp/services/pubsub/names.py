"""Names of Pub/Sub's resources: "projects/PROJECT/topics/TOPIC"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fogbank.gcp.identity import projects
from fogbank.gcp.service import Code, RpcError

# "Resource names": 3 to 255 characters, the first a letter, not beginning with "goog".
_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}")
_PROJECT = re.compile(projects.ANY)
DELETED_TOPIC = "_deleted-topic_"


@dataclass(frozen=True, slots=True)
class Name:
    project: str
    id: str


def read(name: str, kind: str) -> Name:
    """`kind`: "topics", "subscriptions", "snapshots" or "schemas". Raises `RpcError` for what no resource can have."""
    parts = name.split("/")
    if (
        len(parts) != 4
        or parts[0] != "projects"
        or parts[2] != kind
        or not _PROJECT.fullmatch(parts[1])
        or not _ID.fullmatch(parts[3])
    ):
        raise _invalid(name)
    return Name(parts[1], parts[3])


def read_project(name: str) -> str:
    parts = name.split("/")
    if len(parts) != 2 or parts[0] != "projects" or not _PROJECT.fullmatch(parts[1]):
        raise _invalid(name)
    return parts[1]


def missing(name: Name) -> RpcError:
    return RpcError(Code.NOT_FOUND, f"Resource not found (resource={name.id}).")


def taken(name: Name) -> RpcError:
    return RpcError(Code.ALREADY_EXISTS, f"Resource already exists in the project (resource={name.id}).")


def _invalid(name: str) -> RpcError:
    return RpcError(
        Code.INVALID_ARGUMENT,
        f"Invalid resource name given (name={name[:512]}). Refer to "
        "https://cloud.google.com/pubsub/docs/admin#resource_names for more information.",
    )
