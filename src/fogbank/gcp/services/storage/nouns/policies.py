"""IAM policies of buckets: kept and told, and not enforced ("Buckets: setIamPolicy" in the reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace

from fogbank.gcp.services.storage import state
from fogbank.gcp.services.storage.errors import StorageError, condition_not_met, invalid, required
from fogbank.gcp.services.storage.nouns.buckets import keep
from fogbank.gcp.services.storage.nouns.noun import Noun

if TYPE_CHECKING:
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.state import Bucket
    from fogbank.kernel.store import Tx

_BINDINGS_MAX, _VERSIONS = 1500, (0, 1, 3)


class Policies(Noun):
    noun: ClassVar = "buckets"

    def get_iam_policy(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        return _shown(state.bucket(tx, asked.parameters["bucket"]))

    def set_iam_policy(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        found = state.locked_bucket(tx, asked.parameters["bucket"])
        told = asked.resource
        if told.get("etag") and told["etag"] != _etag(found):
            raise condition_not_met("If-Match")
        policy = {"version": told.get("version", 1), "bindings": _bindings(told)}
        if policy["version"] not in _VERSIONS:
            raise invalid(f"Invalid argument. Invalid policy version: {str(policy['version'])[:16]}")
        return _shown(keep(tx, replace(found, policy=policy), asked))

    def test_iam_permissions(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        """All of them: policies are not enforced."""
        state.bucket(tx, asked.parameters["bucket"])
        permissions = asked.lists.get("permissions", [])
        if not permissions:
            raise required("permissions")
        for permission in permissions:
            if not permission.startswith("storage.") or "*" in permission:
                raise StorageError(400, "invalid", f"Invalid argument. Invalid permission: {permission[:128]}")
        return {"kind": "storage#testIamPermissionsResponse", "permissions": permissions}


def _bindings(told: dict[str, Any]) -> list[dict[str, Any]]:
    bindings = told.get("bindings", [])
    if not isinstance(bindings, list) or len(bindings) > _BINDINGS_MAX:
        raise invalid("Invalid value for: bindings")
    for binding in bindings:
        if not isinstance(binding, dict) or not str(binding.get("role", "")).startswith(
            ("roles/", "projects/", "organ")
        ):
            raise invalid("Invalid argument. A binding needs a role.")
        members = binding.get("members", [])
        if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
            raise invalid("Invalid value for: bindings.members")
        if binding.get("condition") and told.get("version") != 3:
            raise invalid("Invalid argument. A policy with conditions must have version 3.")
    return bindings


def _etag(bucket: Bucket) -> str:
    return state.etag_of(bucket.metageneration)


def _shown(bucket: Bucket) -> dict[str, Any]:
    policy = bucket.policy or {"version": 1, "bindings": _usual(bucket.project)}
    return {
        "kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket.name}", **policy, "etag": _etag(bucket),
    }  # fmt: skip


def _usual(project: str) -> list[dict[str, Any]]:
    """ "Legacy" roles, for those who work in the project."""
    owners = [f"projectEditor:{project}", f"projectOwner:{project}"]
    return [
        {"role": "roles/storage.legacyBucketOwner", "members": owners},
        {"role": "roles/storage.legacyBucketReader", "members": [f"projectViewer:{project}"]},
    ]
