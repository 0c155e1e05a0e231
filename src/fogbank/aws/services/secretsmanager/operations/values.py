"""Values: read, put, labelled; and passwords made for new ones."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.secretsmanager import state
from fogbank.aws.services.secretsmanager.filters import matches
from fogbank.aws.services.secretsmanager.state import SECRETS, VERSIONS, Secret, Version

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_DAY_MS = 86_400_000
_BATCH_MAX = 20
_PUNCTUATION = string.punctuation  # GetRandomPassword lists exactly these.


class Values(Operations):
    service: ClassVar = "secretsmanager"
    without_effect: ClassVar = {
        "PutSecretValue": {
            "RotationToken": "It says which role of another account rotates; here none has to be assumed."
        }
    }

    def get_secret_value(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"])
        one = state.version(tx, found, request.get("VersionId", ""), request.get("VersionStage", ""))
        today_ms = call.now_ms // _DAY_MS * _DAY_MS  # LastAccessedDate: "The time is omitted".
        if found.accessed_ms < today_ms:
            state.put(tx, replace(found, accessed_ms=today_ms))
        return _value(found, one)

    def batch_get_secret_value(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """By names, or by filters in pages: "You must include Filters or SecretIdList, but not both"."""
        ids, filters = request.get("SecretIdList"), request.get("Filters")
        if bool(ids) == bool(filters):
            told = "Either 'SecretIdList' or 'Filters' must be provided, but not both."
            raise ServiceError("InvalidParameterException", told)
        more: dict[str, str] = {}
        if filters:
            every = [
                one.arn for one in SECRETS.all(tx, call.account, call.region)
                if not one.deleted_ms and all(matches(one, chosen) for chosen in filters)
            ]  # fmt: skip
            ids, more = state.page(request, every, _BATCH_MAX)
        elif "MaxResults" in request or "NextToken" in request:
            told = "You can't use MaxResults or NextToken with SecretIdList."
            raise ServiceError("InvalidParameterException", told)
        if len(ids or ()) > _BATCH_MAX:
            raise ServiceError("InvalidParameterException", "You can only batch get up to 20 secrets at a time.")
        values: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for secret_id in ids or ():
            try:
                values.append(self.get_secret_value(tx, call, {"SecretId": secret_id}))
            except ServiceError as error:
                errors.append({"SecretId": secret_id, "ErrorCode": error.code, "Message": error.message})
        return {"SecretValues": values, "Errors": errors, **more}

    def put_secret_value(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"])
        token = request.get("ClientRequestToken") or call.new_id()
        stages = request.get("VersionStages") or [state.CURRENT]
        new = kept_version(call, request, token, stages)
        if new is None:
            raise ServiceError("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
        answer = {"ARN": found.arn, "Name": found.name, "VersionId": token, "VersionStages": stages}
        known = VERSIONS.get(tx, found.id, token)
        if known is not None and not known.empty:
            if (known.text, known.binary) != (new.text, new.binary):
                told = f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret {found.arn}."  # noqa: E501
                raise ServiceError("ResourceExistsException", told)
            return answer | {"VersionStages": known.stages}
        if state.staged(tx, found, state.CURRENT) is None and state.CURRENT not in stages:
            new = replace(new, stages=[*stages, state.CURRENT])  # The first value is the current one.
        state.add(tx, found, new)
        state.put(tx, replace(found, changed_ms=call.now_ms))
        return answer | {"VersionStages": new.stages}

    def update_secret_version_stage(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"])
        stage = request["VersionStage"]
        holder = state.staged(tx, found, stage)
        giver, taker = request.get("RemoveFromVersionId"), request.get("MoveToVersionId")
        if holder is not None and (giver or "") != holder.id and (taker != holder.id):
            told = f"The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version {holder.id}, so you must explicitly reference that version in RemoveFromVersionId."  # noqa: E501
            raise ServiceError("InvalidParameterException", told)
        if taker:
            if VERSIONS.get(tx, found.id, taker) is None:
                raise state.no_value(f"VersionId: {taker}")
            state.relabel(tx, found, stage, taker)
        elif stage == state.CURRENT:
            told = "You can't remove the AWSCURRENT staging label; move it to another version instead."
            raise ServiceError("InvalidParameterException", told)
        else:
            state.unlabel(tx, found, stage)
        return {"ARN": found.arn, "Name": found.name}

    def list_secret_version_ids(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"], deleted=True)
        every = [one for one in VERSIONS.all(tx, found.id) if one.stages or request.get("IncludeDeprecated")]
        every.sort(key=lambda one: one.created_ms, reverse=True)
        page, more = state.page(request, every)
        rows = [
            {
                "VersionId": one.id,
                "CreatedDate": one.created_ms / 1000,
                **({"VersionStages": one.stages} if one.stages else {}),
            }
            for one in page
        ]
        return {"ARN": found.arn, "Name": found.name, "Versions": rows, **more}

    def get_random_password(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        kinds = [
            letters for member, letters in (
                ("ExcludeLowercase", string.ascii_lowercase), ("ExcludeUppercase", string.ascii_uppercase),
                ("ExcludeNumbers", string.digits), ("ExcludePunctuation", _PUNCTUATION),
            ) if not request.get(member)
        ] + ([" "] if request.get("IncludeSpace") else [])  # fmt: skip
        excluded = set(request.get("ExcludeCharacters", ""))
        kinds = [left for kind in kinds if (left := "".join(letter for letter in kind if letter not in excluded))]
        length, each = request.get("PasswordLength", 32), request.get("RequireEachIncludedType", True)
        if not kinds:
            told = "You can't generate a password with all the character types excluded."
            raise ServiceError("InvalidParameterException", told)
        if each and length < len(kinds):
            told = "Password length must be at least as long as the number of character types required."
            raise ServiceError("InvalidParameterException", told)
        token = self.house.ids.token
        letters = [token(1, kind) for kind in kinds] if each else []
        letters += token(length - len(letters), "".join(kinds))
        return {"RandomPassword": "".join(self.house.ids.shuffled(letters))}


def kept_version(call: Call, request: dict[str, Any], token: str, stages: list[str]) -> Version | None:
    """Of the value that a request brings, if it does."""
    text, binary = request.get("SecretString"), request.get("SecretBinary")
    if text is not None and binary is not None:
        told = "You can't specify both a binary secret value and a string secret value in the same secret."
        raise ServiceError("InvalidParameterException", told)
    if text is None and binary is None:
        return None
    return Version(token, call.now_ms, text, None if binary is None else bytes(binary), list(stages))


def _value(secret: Secret, one: Version) -> dict[str, Any]:
    shown = {
        "ARN": secret.arn, "Name": secret.name, "VersionId": one.id, "VersionStages": one.stages,
        "CreatedDate": one.created_ms / 1000,
    }  # fmt: skip
    return shown | ({"SecretString": one.text} if one.text is not None else {"SecretBinary": one.binary})
