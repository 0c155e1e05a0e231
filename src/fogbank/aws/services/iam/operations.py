"""IAM's operations on roles and policies."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote

import orjson

from fogbank.aws.protocol.times import moment
from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.iam import state
from fogbank.aws.services.iam.state import Policy, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.store import Tx

_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAGE = 100
_ATTACHED_MAX, _TAGS_MAX = 10, 50  # "IAM and AWS STS quotas".
_NAME = re.compile(r"[\w+=,.@-]+")
_PATH = re.compile(r"/|/[\x21-\x7e]+/")


class Iam(Operations):
    service: ClassVar = "iam"
    refused: ClassVar = {
        "CreateRole": {"MaxSigninSessionDuration": ()},
        "UpdateRole": {"MaxSigninSessionDuration": (), "ResetMaxSigninSessionDuration": (False,)},
    }

    # -- roles --

    def create_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["RoleName"]
        if not _NAME.fullmatch(name):
            told = "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-"  # noqa: E501
            raise ServiceError("ValidationError", told)
        if not _PATH.fullmatch(request.get("Path", "/")):
            told = "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters."  # noqa: E501
            raise ServiceError("ValidationError", told)
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
        return _paged(request, "Roles", [_role(one) for one in every], lambda row: str(row["RoleName"]))

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
        names = state.role(tx, call, request["RoleName"]).inline
        return _paged(request, "PolicyNames", list(names), str)

    def attach_role_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role, arn = state.role(tx, call, request["RoleName"]), request["PolicyArn"]
        state.check_attachable(tx, call, arn)
        if arn not in role.attached:
            if len(role.attached) >= _ATTACHED_MAX:
                told = f"Cannot exceed quota for PoliciesPerRole: {_ATTACHED_MAX}"
                raise ServiceError("LimitExceeded", told, status=409)
            self._put(tx, replace(role, attached=[*role.attached, arn]))

    def detach_role_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role, arn = state.role(tx, call, request["RoleName"]), request["PolicyArn"]
        if arn not in role.attached:
            raise state.missing(f"Policy {arn} was not found.")
        self._put(tx, replace(role, attached=[one for one in role.attached if one != arn]))

    def list_attached_role_policies(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        role = state.role(tx, call, request["RoleName"])
        prefix = request.get("PathPrefix", "/")
        rows = [
            {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn}
            for arn in role.attached
            if arn.partition(":policy")[2].startswith(prefix)
        ]
        return _paged(request, "AttachedPolicies", rows, lambda row: row["PolicyArn"])

    def list_instance_profiles_for_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        state.role(tx, call, request["RoleName"])
        return _paged(request, "InstanceProfiles", [], str)

    def tag_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role = state.role(tx, call, request["RoleName"])
        tags = role.tags | _tags(request)
        if len(tags) > _TAGS_MAX:
            told = f"The number of tags has reached the maximum limit of {_TAGS_MAX}."
            raise ServiceError("LimitExceeded", told, status=409)
        self._put(tx, replace(role, tags=tags))

    def untag_role(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        role = state.role(tx, call, request["RoleName"])
        self._put(tx, replace(role, tags={k: v for k, v in role.tags.items() if k not in request["TagKeys"]}))

    def list_role_tags(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        role = state.role(tx, call, request["RoleName"])
        return _paged(request, "Tags", _listed(role.tags), lambda row: row["Key"])

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
        tags = {"Tags": _listed(made.tags)} if made.tags else {}
        return {"Policy": {**_policy(made, 0), **tags}}

    def get_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.policy(tx, call, request["PolicyArn"])
        attached = sum(1 for role in state.ROLES.all(tx, call.account) if found.arn in role.attached)
        tags = {"Tags": _listed(found.tags)} if found.tags else {}
        return {"Policy": {**_policy(found, attached), **tags}}

    def list_policies(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Of the account itself: AWS's own are not listed here."""
        every = [] if request.get("Scope") == "AWS" else state.POLICIES.all(tx, call.account)
        prefix = request.get("PathPrefix", "/")
        boundaries = request.get("PolicyUsageFilter") == "PermissionsBoundary"
        roles = state.ROLES.all(tx, call.account)
        rows = []
        for one in every:
            attached = sum(1 for role in roles if one.arn in role.attached)
            bounds = sum(1 for role in roles if role.boundary == one.arn)
            used = bounds if boundaries else attached
            if one.path.startswith(prefix) and (used or not (request.get("OnlyAttached") or boundaries)):
                rows.append({**_policy(one, attached), "PermissionsBoundaryUsageCount": bounds})
        return _paged(request, "Policies", rows, lambda row: str(row["Arn"]))

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
        return _paged(request, "Versions", rows, lambda row: f"{int(str(row['VersionId'])[1:]):09d}")

    def set_default_policy_version(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        policy, name = state.policy(tx, call, request["PolicyArn"]), request["VersionId"]
        if name not in policy.versions:
            raise state.missing(f"Policy {policy.arn} version {name} does not exist or is not attachable.")
        state.POLICIES.put(tx, call.account, policy.arn, row=replace(policy, default=name, modified_ms=call.now_ms))

    def delete_policy_version(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        policy, name = state.policy(tx, call, request["PolicyArn"]), request["VersionId"]
        if name == policy.default:
            raise ServiceError("DeleteConflict", "Cannot delete the default version of a policy.", status=409)
        if name not in policy.versions:
            raise state.missing(f"Policy {policy.arn} version {name} does not exist or is not attachable.")
        versions = {known: document for known, document in policy.versions.items() if known != name}
        state.POLICIES.put(tx, call.account, policy.arn, row=replace(policy, versions=versions))

    def delete_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        policy = state.policy(tx, call, request["PolicyArn"])
        if any(policy.arn in role.attached for role in state.ROLES.all(tx, call.account)):
            raise ServiceError("DeleteConflict", "Cannot delete a policy attached to entities.", status=409)
        if len(policy.versions) > 1:
            told = "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy."  # noqa: E501
            raise ServiceError("DeleteConflict", told, status=409)
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
    boundary = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": role.boundary} if role.boundary else {}
    optional = {"Description": role.description, "Tags": _listed(role.tags), "PermissionsBoundary": boundary}
    return shown | {name: value for name, value in optional.items() if value}


def _policy(policy: Policy, attached: int) -> dict[str, Any]:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default,
        "AttachmentCount": attached,
        "IsAttachable": True,
        "CreateDate": policy.created_ms / 1000,
        "UpdateDate": policy.modified_ms / 1000,
        **({"Description": policy.description} if policy.description else {}),
    }


T = TypeVar("T")


def _paged(request: dict[str, Any], member: str, rows: list[T], name: Callable[[T], str]) -> dict[str, Any]:
    """In the order of names that are each row's own."""
    limit = request.get("MaxItems", _PAGE)
    rest = sorted((row for row in rows if name(row) > request.get("Marker", "")), key=name)
    more = {"Marker": name(rest[limit - 1])} if len(rest) > limit else {}
    return {member: rest[:limit], "IsTruncated": bool(more), **more}


def _tags(request: dict[str, Any]) -> dict[str, str]:
    """User Guide, "Tags for AWS Identity and Access Management resources": fifty at most."""
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
    if len(tags) < len(request.get("Tags", [])):
        raise ServiceError("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return tags


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
