"""Names of secrets and versions: "projects/PROJECT/secrets/SECRET", and the same below a location.

A project may be told by its id or its number; answers tell the number, as Secret Manager's do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fogbank.gcp.identity import projects
from fogbank.gcp.service import Code, RpcError

_PROJECT = rf"projects/({projects.ANY})"
_LOCATION = r"(?:/locations/([a-z0-9-]{1,64}))?"
_PARENT = re.compile(_PROJECT + _LOCATION)
_SECRET = re.compile(_PROJECT + _LOCATION + r"/secrets/([^/]+)")
_VERSION = re.compile(_PROJECT + _LOCATION + r"/secrets/([^/]+)/versions/([^/]+)")
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True, slots=True)
class Parent:
    project: str  # Its number.
    location: str = ""  # "": the secrets of the project that are not of one region.

    @property
    def name(self) -> str:
        return f"projects/{self.project}" + (f"/locations/{self.location}" if self.location else "")

    @property
    def scope(self) -> str:
        return f"{self.project}/{self.location}"


@dataclass(frozen=True, slots=True)
class SecretName:
    parent: Parent
    id: str

    def __str__(self) -> str:
        return f"{self.parent.name}/secrets/{self.id}"


@dataclass(frozen=True, slots=True)
class VersionName:
    secret: SecretName
    version: str  # "3", "latest" or an alias.

    def __str__(self) -> str:
        return f"{self.secret}/versions/{self.version}"


def parent(name: str) -> Parent:
    found = _PARENT.fullmatch(name)
    if found is None:
        raise _malformed(name, "projects/*")
    return _parent(found)


def secret(name: str) -> SecretName:
    found = _SECRET.fullmatch(name)
    if found is None or not _ID.fullmatch(found[3]):
        raise _malformed(name, "projects/*/secrets/*")
    return SecretName(_parent(found), found[3])


def new_secret(parent_name: str, secret_id: str) -> SecretName:
    place = parent(parent_name)
    if not secret_id:
        raise RpcError(Code.INVALID_ARGUMENT, "Secret ID must be provided.")
    if not _ID.fullmatch(secret_id):
        text = f"Secret ID [{secret_id[:300]}] must match [a-zA-Z_0-9-]+ and be no longer than 255 characters."
        raise RpcError(Code.INVALID_ARGUMENT, text)
    return SecretName(place, secret_id)


def version(name: str) -> VersionName:
    found = _VERSION.fullmatch(name)
    if found is None or not _ID.fullmatch(found[3]):
        raise _malformed(name, "projects/*/secrets/*/versions/*")
    return VersionName(SecretName(_parent(found), found[3]), found[4])


def _parent(found: re.Match[str]) -> Parent:
    return Parent(projects.number(found[1]), found[2] or "")


def _malformed(name: str, form: str) -> RpcError:
    return RpcError(
        Code.INVALID_ARGUMENT, f"The provided resource name [{name[:512]}] does not match the expected format [{form}]"
    )
