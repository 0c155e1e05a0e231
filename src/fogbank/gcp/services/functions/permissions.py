"""Who may invoke a function: by its own policy, its service's and its project's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.services.functions import shapes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fogbank.gcp.service import House
    from fogbank.gcp.services.functions.state import Function

_IAM = Package("google.iam.v1")
EVERYBODY, EVERYBODY_KNOWN = "allUsers", "allAuthenticatedUsers"
# The predefined roles with cloudfunctions.functions.invoke, and those with run.routes.invoke.
_FUNCTIONS = frozenset(f"roles/cloudfunctions.{role}" for role in ("invoker", "developer", "admin"))
_RUN = frozenset(
    f"roles/run.{role}" for role in ("invoker", "developer", "admin", "servicesInvoker", "sourceDeveloper")
)
_BASIC = frozenset(("roles/owner", "roles/editor"))


async def may_invoke(house: House, function: Function, principal: str | None) -> bool:
    """`principal` is an account's address; None for somebody unknown."""
    async for policy, roles in _policies(house, function):
        for binding in policy.bindings:
            if binding.role in roles and not binding.HasField("condition") and _is_among(principal, binding.members):
                return True
    return False


async def _policies(house: House, function: Function) -> AsyncIterator[tuple[Any, frozenset[str]]]:
    """Those that count, with the roles in them that let one in."""
    if function.generation == 2:
        yield await _policy(house, shapes.service_name(function)), _RUN
    yield await _policy(house, function.name), _FUNCTIONS
    yield await _policy(house, f"projects/{function.at.project}"), _FUNCTIONS | _RUN | _BASIC


async def _policy(house: House, resource: str) -> Any:
    request = _IAM.GetIamPolicyRequest(resource=resource)
    request.options.requested_policy_version = 3
    return await house.ask("google.iam.v1.IAMPolicy", "GetIamPolicy", request)


def _is_among(principal: str | None, members: Any) -> bool:
    if EVERYBODY in members:
        return True
    if principal is None:
        return False
    domain = principal.rpartition("@")[2]
    mine = (EVERYBODY_KNOWN, f"serviceAccount:{principal}", f"user:{principal}", f"domain:{domain}")
    return any(member in members for member in mine)
