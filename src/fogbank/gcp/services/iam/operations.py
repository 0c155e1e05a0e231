"""google.iam.v1.IAMPolicy, for every resource that a link (`iam_to_…`) knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.iam.state import EMPTY_ETAG, POLICIES, Policy

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

IAM = Package("google.iam.v1")
_VERSIONS = (0, 1, 3)
# "Policy": "there can be at most 1,500 principals", each once for every binding that it stands in.
_PRINCIPALS_MAX = 1500


class Policies(Service):
    service = "google.iam.v1.IAMPolicy"

    def set_iam_policy(self, tx: Tx, call: Call, request: Any) -> Any:
        key = self._resource(tx, request.resource)
        kept = POLICIES.get(tx, *key, lock=True)
        etag = self._policy(request.resource, kept).etag
        policy = IAM.Policy()
        policy.CopyFrom(request.policy)
        if policy.etag and policy.etag != etag:
            raise RpcError(
                Code.ABORTED,
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential "
                "backoff.",
            )
        _check(policy)
        policy.etag = call.new_id().encode()[:18]
        policy.version = policy.version or 1
        POLICIES.put(tx, *key, row=Policy(policy.SerializeToString()))
        return policy

    def get_iam_policy(self, tx: Tx, call: Call, request: Any) -> Any:
        key = self._resource(tx, request.resource)
        return self._policy(request.resource, POLICIES.get(tx, *key))

    def test_iam_permissions(self, tx: Tx, call: Call, request: Any) -> Any:
        """All of them: policies are not enforced."""
        self._resource(tx, request.resource)
        for permission in request.permissions:
            if "*" in permission:
                text = f"Permission {permission[:256]} is not valid: wildcards are not allowed."
                raise RpcError(Code.INVALID_ARGUMENT, text)
        return IAM.TestIamPermissionsResponse(permissions=request.permissions)

    def _policy(self, name: str, kept: Policy | None) -> Any:
        """What was set; else what the resource has from its beginning on."""
        if kept is not None:
            return IAM.Policy.FromString(kept.told)
        first = getattr(self._link(name), "first_policy", None)
        policy = first(name) if first is not None else IAM.Policy()
        policy.etag = EMPTY_ETAG
        return policy

    def _resource(self, tx: Tx, name: str) -> tuple[str, str]:
        """Name and id. Raises `RpcError` where there is none."""
        return name, self._link(name).resource_id(tx, name)

    def _link(self, name: str) -> Any:
        for link in self.house.links.values():
            pattern = getattr(link, "POLICIED", None)
            if pattern is not None and pattern.fullmatch(name):
                return link
        raise RpcError(Code.UNIMPLEMENTED, f"fogbank keeps no policies of {name[:256] or 'a resource without a name'}.")


def _check(policy: Any) -> None:
    if policy.version not in _VERSIONS:
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid policy version given (version={policy.version}).")
    for binding in policy.bindings:
        if not binding.role.startswith(("roles/", "projects/", "organizations/")):
            text = f"Role {binding.role[:256]} is not supported for this resource."
            raise RpcError(Code.INVALID_ARGUMENT, text)
        if binding.HasField("condition") and policy.version != 3:
            raise RpcError(Code.INVALID_ARGUMENT, "A policy with conditions must have version 3.")
    if sum(len(binding.members) for binding in policy.bindings) > _PRINCIPALS_MAX:
        raise RpcError(Code.INVALID_ARGUMENT, f"The policy has more than {_PRINCIPALS_MAX} members.")
