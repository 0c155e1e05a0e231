"""IAM's operations on roles and policies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import orjson

from fogbank.aws.protocol.times import moment
from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.iam import state
from fogbank.aws.services.iam.state import Policy, Role

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAGE = 100


class Iam(Operations):
    service: ClassVar = "iam"

    # -- roles --

    def create_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["RoleName"]
        _check_document(request["AssumeRolePolicyDocument"])
        if state.ROLES.get(tx, call.account, name) is not None:
            raise ServiceError("EntityAlreadyExists", f"Role with name {name} already exists.", status=409)
        made = Role(
            self._id("AROA"), call.account, name, request.get("Path", "/"), request["AssumeRolePolicyDocument"],
            call.now_ms, request.get("Description", ""), request.get("MaxSessionDuration", 3600),
            tags=_tags(request), boundary=request.get("PermissionsBoundary", ""),
        )  # fmt: skip
        state.ROLES.put(tx, call.account, name, row=made)
        return {"Role": _role(made)}

    def get_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Role": _role(state.role(tx, call, request["RoleName"]))}

    def list_roles(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        prefix = request.get("PathPrefix", "/")
        every = [one for one in state.ROLES.all(tx, call.account) if one.path.startswith(prefix)]
        return _paged(request, "Roles", [_role(one) for one in every], "RoleName")

    def update_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        role = state.role(tx, call, request["RoleName"])
        self._put(tx, replace(
            role, description=request.get("Description", role.description),
            session_s=request.get("MaxSessionDuration", role.session_s),
        ))  # fmt: skip
        return {}

    def update_assume_role_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        _check_document(request["PolicyDocument"])
        self._put(tx, replace(state.role(tx, call, request["RoleName"]), trust=request["PolicyDocument"]))

    def delete_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role = state.role(tx, call, request["RoleName"])
        if role.attached:
            raise ServiceError("DeleteConflict", "Cannot delete entity, must detach all policies first.", status=409)
        if role.inline:
            raise ServiceError("DeleteConflict", "Cannot delete entity, must delete policies first.", status=409)
        state.ROLES.delete(tx, call.account, role.name)

    def put_role_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        _check_document(request["PolicyDocument"])
        role = state.role(tx, call, request["RoleName"])
        self._put(tx, replace(role, inline=role.inline | {request["PolicyName"]: request["PolicyDocument"]}))

    def get_role_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        role = state.role(tx, call, request["RoleName"])
        document = role.inline.get(request["PolicyName"])
        if document is None:
            raise state.missing(f"The role policy with name {request['PolicyName']} cannot be found.")
        return {"RoleName": role.name, "PolicyName": request["PolicyName"], "PolicyDocument": quote(document)}

    def delete_role_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role = state.role(tx, call, request["RoleName"])
        if request["PolicyName"] not in role.inline:
            raise state.missing(f"The role policy with name {request['PolicyName']} cannot be found.")
        left = {name: document for name, document in role.inline.items() if name != request["PolicyName"]}
        self._put(tx, replace(role, inline=left))

    def list_role_policies(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"PolicyNames": sorted(state.role(tx, call, request["RoleName"]).inline), "IsTruncated": False}

    def attach_role_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role, arn = state.role(tx, call, request["RoleName"]), request["PolicyArn"]
        state.check_attachable(tx, call, arn)
        if arn not in role.attached:
            self._put(tx, replace(role, attached=[*role.attached, arn]))

    def detach_role_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role, arn = state.role(tx, call, request["RoleName"]), request["PolicyArn"]
        if arn not in role.attached:
            raise state.missing(f"Policy {arn} was not found.")
        self._put(tx, replace(role, attached=[one for one in role.attached if one != arn]))

    def list_attached_role_policies(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        role = state.role(tx, call, request["RoleName"])
        rows = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in role.attached]
        return {"AttachedPolicies": rows, "IsTruncated": False}

    def list_instance_profiles_for_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        state.role(tx, call, request["RoleName"])
        return {"InstanceProfiles": [], "IsTruncated": False}

    def tag_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role = state.role(tx, call, request["RoleName"])
        self._put(tx, replace(role, tags=role.tags | _tags(request)))

    def untag_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role = state.role(tx, call, request["RoleName"])
        self._put(tx, replace(role, tags={k: v for k, v in role.tags.items() if k not in request["TagKeys"]}))

    def list_role_tags(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        role = state.role(tx, call, request["RoleName"])
        return {"Tags": _listed(role.tags), "IsTruncated": False}

    # -- managed policies --

    def create_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        _check_document(request["PolicyDocument"])
        made = Policy(
            self._id("ANPA"), call.account, request["PolicyName"], request.get("Path", "/"),
            request.get("Description", ""), call.now_ms, call.now_ms, {"v1": request["PolicyDocument"]},
            tags=_tags(request),
        )  # fmt: skip
        if state.POLICIES.get(tx, call.account, made.arn) is not None:
            told = f"A policy called {made.name} already exists. Duplicate names are not allowed."
            raise ServiceError("EntityAlreadyExists", told, status=409)
        state.POLICIES.put(tx, call.account, made.arn, row=made)
        return {"Policy": _policy(made)}

    def get_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.policy(tx, call, request["PolicyArn"])
        attached = sum(1 for role in state.ROLES.all(tx, call.account) if found.arn in role.attached)
        return {"Policy": {**_policy(found), "AttachmentCount": attached}}

    def list_policies(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Of the account itself: AWS's own are not listed here."""
        every = [] if request.get("Scope") == "AWS" else state.POLICIES.all(tx, call.account)
        return _paged(request, "Policies", [_policy(one) for one in every], "PolicyName")

    def create_policy_version(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        _check_document(request["PolicyDocument"])
        policy = state.policy(tx, call, request["PolicyArn"])
        if len(policy.versions) >= 5:
            told = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version."  # noqa: E501
            raise ServiceError("LimitExceeded", told, status=409)
        name = f"v{policy.last + 1}"
        default = name if request.get("SetAsDefault") else policy.default
        versions = policy.versions | {name: request["PolicyDocument"]}
        changed = replace(policy, versions=versions, last=policy.last + 1, default=default, modified_ms=call.now_ms)
        state.POLICIES.put(tx, call.account, policy.arn, row=changed)
        return {
            "PolicyVersion": {"VersionId": name, "IsDefaultVersion": default == name, "CreateDate": call.now_ms / 1000}
        }

    def get_policy_version(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        policy, name = state.policy(tx, call, request["PolicyArn"]), request["VersionId"]
        if name not in policy.versions:
            raise state.missing(f"Policy {policy.arn} version {name} does not exist or is not attachable.")
        document = quote(policy.versions[name])
        shown = {"VersionId": name, "IsDefaultVersion": name == policy.default, "Document": document,
                 "CreateDate": policy.modified_ms / 1000}  # fmt: skip
        return {"PolicyVersion": shown}

    def list_policy_versions(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        policy = state.policy(tx, call, request["PolicyArn"])
        rows = [
            {"VersionId": name, "IsDefaultVersion": name == policy.default, "CreateDate": policy.modified_ms / 1000}
            for name in policy.versions
        ]
        return {"Versions": rows, "IsTruncated": False}

    def delete_policy_version(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        policy, name = state.policy(tx, call, request["PolicyArn"]), request["VersionId"]
        if name == policy.default:
            raise ServiceError("DeleteConflict", "Cannot delete the default version of a policy.", status=409)
        versions = {known: document for known, document in policy.versions.items() if known != name}
        state.POLICIES.put(tx, call.account, policy.arn, row=replace(policy, versions=versions))

    def delete_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        policy = state.policy(tx, call, request["PolicyArn"])
        if any(policy.arn in role.attached for role in state.ROLES.all(tx, call.account)):
            raise ServiceError("DeleteConflict", "Cannot delete a policy attached to entities.", status=409)
        state.POLICIES.delete(tx, call.account, policy.arn)

    def _put(self, tx: Tx, role: Role) -> None:
        state.ROLES.put(tx, role.account, role.name, row=role)

    def _id(self, prefix: str) -> str:
        return prefix + self.house.ids.token(17, _ID_LETTERS)


def _check_document(text: str) -> None:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ServiceError("MalformedPolicyDocument", "Syntax errors in policy.") from error
    if not isinstance(document, dict) or not isinstance(document.get("Statement"), list | dict):
        raise ServiceError("MalformedPolicyDocument", "Syntax errors in policy.")


def _role(role: Role) -> dict[str, Any]:
    shown = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": moment(role.created_ms),
        "AssumeRolePolicyDocument": quote(role.trust),
        "MaxSessionDuration": role.session_s,
        "RoleLastUsed": {},
    }
    optional = {"Description": role.description, "Tags": _listed(role.tags)}
    return shown | {name: value for name, value in optional.items() if value}


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default,
        "AttachmentCount": 0,
        "IsAttachable": True,
        "CreateDate": policy.created_ms / 1000,
        "UpdateDate": policy.modified_ms / 1000,
        **({"Description": policy.description} if policy.description else {}),
    }


def _paged(request: dict[str, Any], member: str, rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    limit = request.get("MaxItems", _PAGE)
    rest = [row for row in rows if row[name] > request.get("Marker", "")]
    more = len(rest) > limit
    return {member: rest[:limit], "IsTruncated": more, **({"Marker": rest[limit - 1][name]} if more else {})}


def _tags(request: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
