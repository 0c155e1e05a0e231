"""Groups of users; a user's tokens name the groups it is in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.cognito_idp import attributes, state

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PAGE_MAX = 60


class Groups(Operations):
    service: ClassVar = "cognito-idp"

    def create_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        name = request["GroupName"]
        if state.GROUPS.get(tx, pool.id, name) is not None:
            raise ServiceError("GroupExistsException", "A group with the name already exists.")
        group = state.Group(
            name, request.get("Description", ""), request.get("RoleArn", ""), request.get("Precedence"),
            call.now_ms, call.now_ms,
        )  # fmt: skip
        state.GROUPS.put(tx, pool.id, name, row=group)
        return {"Group": _described(pool, group)}

    def get_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        return {"Group": _described(pool, _group(tx, pool, request["GroupName"]))}

    def update_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        group = _group(tx, pool, request["GroupName"])
        changed = replace(
            group, description=request.get("Description", group.description), modified_ms=call.now_ms,
            role_arn=request.get("RoleArn", group.role_arn), precedence=request.get("Precedence", group.precedence),
        )  # fmt: skip
        state.GROUPS.put(tx, pool.id, group.name, row=changed)
        return {"Group": _described(pool, changed)}

    def delete_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        pool = state.pool(tx, call, request["UserPoolId"])
        group = _group(tx, pool, request["GroupName"])
        for username in state.MEMBERS.all(tx, pool.id, group.name):
            state.MEMBERSHIPS.delete(tx, pool.id, username, group.name)
        state.MEMBERS.clear(tx, pool.id, group.name)
        state.GROUPS.delete(tx, pool.id, group.name)

    def list_groups(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        return _page(request, "Groups", [_described(pool, g) for g in state.GROUPS.all(tx, pool.id)], "GroupName")

    def admin_add_user_to_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        pool, group, user = self._three(tx, call, request)
        state.MEMBERS.put(tx, pool.id, group.name, user.username, row=user.username)
        state.MEMBERSHIPS.put(tx, pool.id, user.username, group.name, row=group.name)

    def admin_remove_user_from_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        pool, group, user = self._three(tx, call, request)
        state.MEMBERS.delete(tx, pool.id, group.name, user.username)
        state.MEMBERSHIPS.delete(tx, pool.id, user.username, group.name)

    def admin_list_groups_for_user(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        user = state.user(tx, pool, request["Username"])
        found = [_group(tx, pool, name) for name in state.MEMBERSHIPS.all(tx, pool.id, user.username)]
        return _page(request, "Groups", [_described(pool, group) for group in found], "GroupName")

    def list_users_in_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        group = _group(tx, pool, request["GroupName"])
        users = [state.user(tx, pool, username) for username in state.MEMBERS.all(tx, pool.id, group.name)]
        return _page(request, "Users", [described_user(user) for user in users], "Username")

    def _three(self, tx: Tx, call: Call, request: dict[str, Any]) -> tuple[state.Pool, state.Group, state.User]:
        pool = state.pool(tx, call, request["UserPoolId"])
        return pool, _group(tx, pool, request["GroupName"]), state.user(tx, pool, request["Username"])


def described_user(user: state.User) -> dict[str, Any]:
    """UserType."""
    return {
        "Username": user.username,
        "Attributes": attributes.listed(user.attributes, user.sub),
        "UserCreateDate": user.created_ms / 1000,
        "UserLastModifiedDate": user.modified_ms / 1000,
        "Enabled": user.enabled,
        "UserStatus": user.status,
    }


def _page(request: dict[str, Any], member: str, rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    limit = request.get("Limit", _PAGE_MAX) or _PAGE_MAX
    rest = [row for row in rows if row[name] > request.get("NextToken", "")]
    return {member: rest[:limit], **({"NextToken": rest[limit - 1][name]} if len(rest) > limit else {})}


def _group(tx: Tx, pool: state.Pool, name: str) -> state.Group:
    group = state.GROUPS.get(tx, pool.id, name)
    if group is None:
        raise ServiceError("ResourceNotFoundException", "Group not found.")
    return group


def _described(pool: state.Pool, group: state.Group) -> dict[str, Any]:
    optional = {"Description": group.description, "RoleArn": group.role_arn, "Precedence": group.precedence}
    return {
        "GroupName": group.name,
        "UserPoolId": pool.id,
        **{name: value for name, value in optional.items() if value not in ("", None)},
        "CreationDate": group.created_ms / 1000,
        "LastModifiedDate": group.modified_ms / 1000,
    }
