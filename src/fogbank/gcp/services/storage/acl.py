"""Access control lists: kept and told, and not enforced. An entry is an entity and its role.

"Access control lists (ACLs)", "Predefined ACLs" and "Default access controls" in the manual.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.identity import projects
from fogbank.gcp.services.storage.errors import StorageError, invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.gcp.services.storage.state import Bucket

Entries = list[list[str]]
OWNER, WRITER, READER = "OWNER", "WRITER", "READER"
_ENTITY: Final = re.compile(
    r"allUsers|allAuthenticatedUsers|(user|group|domain)-[^\s/]+|project-(owners|editors|viewers)-\d+"
)
_EVERYBODY, _KNOWN = ["allUsers", READER], ["allAuthenticatedUsers", READER]


def _team(project: str) -> tuple[str, str, str]:
    number = projects.number(project)
    return f"project-owners-{number}", f"project-editors-{number}", f"project-viewers-{number}"


def owner(project: str) -> str:
    """Whoever asks acts for the project."""
    return _team(project)[0]


def of_bucket(project: str, predefined: str = "") -> Entries:
    """`predefined`: "" is what a new bucket has."""
    named = _of_both(project) | {"publicReadWrite": [[owner(project), OWNER], ["allUsers", WRITER]]}
    return _chosen(named, predefined, "predefinedAcl")


def of_objects(project: str, predefined: str = "", parameter: str = "predefinedAcl") -> Entries:
    """`predefined`: "" is what a new bucket gives its objects."""
    private = [[owner(project), OWNER]]
    # The bucket's owners are the object's: nothing is left to grant.
    named = _of_both(project) | {"bucketOwnerRead": private, "bucketOwnerFullControl": private}
    return _chosen(named, predefined, parameter)


def _of_both(project: str) -> dict[str, Entries]:
    owners, editors, viewers = _team(project)
    shared = [[owners, OWNER], [editors, OWNER], [viewers, READER]]
    return {
        "": shared,
        "projectPrivate": shared,
        "private": [[owners, OWNER]],
        "authenticatedRead": [[owners, OWNER], _KNOWN],
        "publicRead": [[owners, OWNER], _EVERYBODY],
    }


def _chosen(named: dict[str, Entries], name: str, parameter: str) -> Entries:
    try:
        return named[name]
    except KeyError:
        raise invalid(f"Invalid argument. {parameter}: {name[:64]}", place=("parameter", parameter)) from None


def of_new_object(bucket: Bucket, resource: dict[str, Any], predefined: str = "") -> Entries:
    """As its writer wants it, or as the bucket has it for all."""
    if bucket.is_uniform:
        if resource.get("acl") or predefined:
            raise uniform("insert")
        return []
    if predefined:
        return of_objects(bucket.project, predefined)
    if resource.get("acl"):
        return with_entries([[owner(bucket.project), OWNER]], resource["acl"])
    return bucket.default_acl


def with_entries(entries: Entries, told: Any, *, roles: Sequence[str] = (OWNER, READER)) -> Entries:
    """With these (as JSON has them) in place of what they had."""
    if not isinstance(told, list):
        raise invalid("Invalid value for: acl: it must be a list")
    for one in told:
        entity, role = read(one, roles)
        entries = [*(entry for entry in entries if entry[0] != entity), [entity, role]]
    return entries


def read(told: Any, roles: Sequence[str]) -> tuple[str, str]:
    entity = told.get("entity") if isinstance(told, dict) else None
    role = told.get("role") if isinstance(told, dict) else None
    if not isinstance(entity, str):
        raise StorageError(400, "required", "Required", place=("parameter", "entity"))
    if not _ENTITY.fullmatch(entity):
        raise invalid(f"Invalid value for: entity: {entity[:256]}")
    if role not in roles:
        raise invalid(f"Invalid value for: role: {str(role)[:64]}")
    return entity, str(role)


def uniform(verb: str) -> StorageError:
    """ "Uniform bucket-level access": "Requests to set, read, or modify bucket and object ACLs fail with 400 Bad
    Request"."""
    return StorageError(
        400, "invalid",
        f"Cannot {verb} legacy ACL for an object when uniform bucket-level access is enabled. Read more at "
        "https://cloud.google.com/storage/docs/uniform-bucket-level-access",
        code="InvalidArgument",
    )  # fmt: skip


def shown(entry: list[str], kind: str, at: dict[str, Any], link: str, etag: str) -> dict[str, Any]:
    """As the JSON API has it: `kind` "bucket" or "object", `at` the names of what it controls."""
    entity, role = entry
    told = {
        "kind": f"storage#{kind}AccessControl",
        "id": "/".join([*(str(part) for part in at.values()), entity]),
        "selfLink": f"{link}/{entity}",
        **at,
        "entity": entity,
        "role": role,
        "etag": etag,
    }
    group, _, rest = entity.partition("-")
    if group == "project":
        team, _, number = rest.partition("-")
        told["projectTeam"] = {"projectNumber": number, "team": team}
    elif group in ("user", "group"):
        told["email"] = rest
    elif group == "domain":
        told["domain"] = rest
    return told
