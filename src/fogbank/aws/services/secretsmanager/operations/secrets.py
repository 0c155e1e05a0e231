"""Secrets: created, described, changed, listed, tagged, deleted and restored."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.protocol.times import moment
from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.secretsmanager import state
from fogbank.aws.services.secretsmanager.filters import matches
from fogbank.aws.services.secretsmanager.operations.values import kept_version
from fogbank.aws.services.secretsmanager.state import SECRETS, VERSIONS, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.store import Tx

_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]+")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_DAY_MS = 86_400_000
_WINDOW_DAYS = (7, 30)
_PAGE_MAX = 100
_PURGE_EVERY_MS = 3_600_000


class Secrets(Operations):
    service: ClassVar = "secretsmanager"

    refused: ClassVar = {
        "CreateSecret": {"AddReplicaRegions": ([],), "ForceOverwriteReplicaSecret": (False,),
                         "CrossAccountPrimaryARN": (), "Type": ()},
        "UpdateSecret": {"Type": ()},
        "PutResourcePolicy": {"PolicyName": ("default",)},
    }  # fmt: skip

    def backgrounds(self) -> list[Background]:
        return [Background("secretsmanager: forget deleted secrets", self._purge)]

    def create_secret(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Name"]
        if not _NAME.fullmatch(name):
            told = (
                "Invalid name. Must be a valid name containing alphanumeric characters, "
                "or any of the following: -/_+=.@!"
            )
            raise ServiceError("ValidationException", told)
        before = SECRETS.get(tx, call.account, call.region, name)
        token = request.get("ClientRequestToken") or call.new_id()
        if before is not None:
            return self._again(tx, before, token, request)
        arn = call.arn("secretsmanager", f"secret:{name}-{self.house.ids.token(6, _LETTERS)}")
        made = Secret(
            call.new_id(), name, arn, call.now_ms, call.now_ms, request.get("Description", ""),
            request.get("KmsKeyId", ""), {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])},
        )  # fmt: skip
        state.put(tx, made)
        new = kept_version(call, request, token, [state.CURRENT])
        if new is None:
            return {"ARN": arn, "Name": name}
        state.add(tx, made, new)
        return {"ARN": arn, "Name": name, "VersionId": token}

    def _again(self, tx: Tx, before: Secret, token: str, request: dict[str, Any]) -> dict[str, Any]:
        """A request that is sent twice creates once."""
        if before.deleted_ms:
            told = "You can't create this secret because a secret with this name is already scheduled for deletion."
            raise state.invalid(told)
        known = VERSIONS.get(tx, before.id, token)
        if known is not None and (known.text, known.binary) == (
            request.get("SecretString"),
            request.get("SecretBinary"),
        ):
            return {"ARN": before.arn, "Name": before.name, "VersionId": token}
        told = f"The operation failed because the secret {before.name} already exists."
        raise ServiceError("ResourceExistsException", told)

    def update_secret(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"])
        changed = replace(
            found, description=request.get("Description", found.description),
            kms_key=request.get("KmsKeyId", found.kms_key), changed_ms=call.now_ms,
        )  # fmt: skip
        state.put(tx, changed)
        token = request.get("ClientRequestToken") or call.new_id()
        new = kept_version(call, request, token, [state.CURRENT])
        if new is None:
            return {"ARN": found.arn, "Name": found.name}
        known = VERSIONS.get(tx, found.id, token)
        if known is not None and (known.text, known.binary) != (new.text, new.binary):
            told = f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret {found.arn}."  # noqa: E501
            raise ServiceError("ResourceExistsException", told)
        if known is None:
            state.add(tx, changed, new)
        return {"ARN": found.arn, "Name": found.name, "VersionId": token}

    def describe_secret(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"], deleted=True)
        stages = {one.id: one.stages for one in VERSIONS.all(tx, found.id) if one.stages}
        return _shown(found) | ({"VersionIdsToStages": stages} if stages else {})

    def list_secrets(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        every = [
            one for one in SECRETS.all(tx, call.account, call.region)
            if (not one.deleted_ms or request.get("IncludePlannedDeletion"))
            and all(matches(one, chosen) for chosen in request.get("Filters", []))
        ]  # fmt: skip
        order = _ORDERS[request.get("SortBy", "created-date")]
        every.sort(key=lambda one: (order(one), one.name), reverse=request.get("SortOrder", "desc") == "desc")
        page, more = state.page(request, every, _PAGE_MAX)
        rows = []
        for one in page:
            stages = {each.id: each.stages for each in VERSIONS.all(tx, one.id) if each.stages}
            rows.append(_shown(one) | ({"SecretVersionsToStages": stages} if stages else {}))
        return {"SecretList": rows, **more}

    # -- the end of a secret --

    def delete_secret(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        force, days = request.get("ForceDeleteWithoutRecovery", False), request.get("RecoveryWindowInDays")
        if force and days is not None:
            told = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
            raise ServiceError("InvalidParameterException", told)
        if days is not None and not _WINDOW_DAYS[0] <= days <= _WINDOW_DAYS[1]:
            told = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."
            raise ServiceError("InvalidParameterException", told)
        try:
            found = state.find(tx, call, request["SecretId"], deleted=force)
        except ServiceError:
            if not force:
                raise
            # ForceDeleteWithoutRecovery: "If you forcibly delete an already deleted or nonexistent secret, the
            # operation does not return ResourceNotFoundException."
            name = request["SecretId"].rpartition(":")[2]
            return {
                "ARN": call.arn("secretsmanager", f"secret:{name}"),
                "Name": name,
                "DeletionDate": moment(call.now_ms),
            }
        purge_ms = call.now_ms if force else call.now_ms + (days or _WINDOW_DAYS[1]) * _DAY_MS
        if force:
            state.forget(tx, found)
        else:
            state.put(tx, replace(found, deleted_ms=call.now_ms, purge_ms=purge_ms, rotates=False))
        return {"ARN": found.arn, "Name": found.name, "DeletionDate": moment(purge_ms)}

    def restore_secret(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"], deleted=True)
        state.put(tx, replace(found, deleted_ms=0, purge_ms=0))
        return {"ARN": found.arn, "Name": found.name}

    async def _purge(self) -> None:
        while True:
            await self.house.store.transact(_purge_due, self.house.clock.now_ms())
            await self.house.clock.sleep(_PURGE_EVERY_MS)

    # -- tags and policy --

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        found = state.find(tx, call, request["SecretId"])
        tags = found.tags | {tag["Key"]: tag.get("Value", "") for tag in request["Tags"]}
        state.put(tx, replace(found, tags=tags))

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        found = state.find(tx, call, request["SecretId"])
        left = {key: value for key, value in found.tags.items() if key not in request["TagKeys"]}
        state.put(tx, replace(found, tags=left))

    def put_resource_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"])
        document = _check_policy(request["ResourcePolicy"])
        if request.get("BlockPublicPolicy") and _is_public(document):
            told = "You can't attach a resource policy that allows broad access to the secret."
            raise ServiceError("PublicPolicyException", told)
        state.put(tx, replace(found, policy=request["ResourcePolicy"]))
        return {"ARN": found.arn, "Name": found.name}

    def get_resource_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"])
        _check_policy_name(request)
        shown = {"ARN": found.arn, "Name": found.name}
        return shown | ({"ResourcePolicy": found.policy} if found.policy else {})

    def delete_resource_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"])
        _check_policy_name(request)
        state.put(tx, replace(found, policy=""))
        return {"ARN": found.arn, "Name": found.name}


def _purge_due(tx: Tx, now_ms: int) -> None:
    for found in SECRETS.all(tx):
        if 0 < found.purge_ms <= now_ms:
            state.forget(tx, found)


def _check_policy_name(request: dict[str, Any]) -> None:
    """GetResourcePolicy, PolicyName: there is no other than the default one."""
    if request.get("PolicyName", "default") != "default":
        raise ServiceError("ResourceNotFoundException", "Secrets Manager can't find the specified resource policy.")


def _check_policy(text: str) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or "Statement" not in document:
        raise ServiceError("MalformedPolicyDocumentException", "This resource policy contains an invalid Json")
    return document


def _is_public(document: dict[str, Any]) -> bool:
    """PutResourcePolicy, BlockPublicPolicy: "policies that allow broad access to the secret, for example those that
    use a wildcard for the principal"."""
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    for statement in statements:
        principal = statement.get("Principal")
        named = principal.get("AWS") if isinstance(principal, dict) else principal
        every = named if isinstance(named, list) else [named]
        if statement.get("Effect") == "Allow" and "*" in every and not statement.get("Condition"):
            return True
    return False


_ORDERS: dict[str, Callable[[Secret], Any]] = {
    "created-date": lambda one: one.created_ms,
    "last-accessed-date": lambda one: one.accessed_ms,
    "last-changed-date": lambda one: one.changed_ms,
    "name": lambda one: one.name,
}


def _shown(secret: Secret) -> dict[str, Any]:
    moments = {
        "LastAccessedDate": secret.accessed_ms, "DeletedDate": secret.deleted_ms, "LastRotatedDate": secret.rotated_ms,
        "NextRotationDate": secret.next_rotation_ms,
    }  # fmt: skip
    further = {
        "Description": secret.description, "KmsKeyId": secret.kms_key, "RotationLambdaARN": secret.function_arn,
        "RotationRules": secret.rules, "Tags": [{"Key": key, "Value": value} for key, value in secret.tags.items()],
    }  # fmt: skip
    return {
        "ARN": secret.arn, "Name": secret.name, "CreatedDate": moment(secret.created_ms),
        "LastChangedDate": moment(secret.changed_ms), "RotationEnabled": secret.rotates,
        **{name: moment(at_ms) for name, at_ms in moments.items() if at_ms},
        **{name: value for name, value in further.items() if value},
    }  # fmt: skip
