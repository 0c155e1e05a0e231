"""What Secrets Manager remembers: secrets by name, and every version of a secret's value that still has a label.

AWS Secrets Manager User Guide, "What's in a Secrets Manager secret?": a version without a label is deprecated; up to a
hundred of those are kept for a while, here until the next one comes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from fogbank.aws.service import Call, ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.kernel.store import Tx

T = TypeVar("T")
CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
_DEPRECATED_MAX = 100
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")


@dataclass(frozen=True, slots=True)
class Secret:
    id: str  # A new one each time the name is used again.
    name: str
    arn: str
    created_ms: int
    changed_ms: int
    description: str = ""
    kms_key: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    deleted_ms: int = 0  # When it was marked for deletion; 0: it is not.
    purge_ms: int = 0
    accessed_ms: int = 0
    policy: str = ""
    function_arn: str = ""  # Of its rotation.
    rules: dict[str, Any] = field(default_factory=dict)
    rotates: bool = False
    rotated_ms: int = 0
    next_rotation_ms: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    id: str
    created_ms: int
    text: str | None
    binary: bytes | None
    stages: list[str]
    accessed_ms: int = 0

    @property
    def empty(self) -> bool:
        """Announced by a rotation that has not put its value yet."""
        return self.text is None and self.binary is None


SECRETS = Records(Secret, "secretsmanager", "secret")  # (account, region, name)
VERSIONS = Records(Version, "secretsmanager", "version")  # (secret id, version id)


def put(tx: Tx, secret: Secret) -> None:
    account, region = secret.arn.split(":")[4], secret.arn.split(":")[3]
    SECRETS.put(tx, account, region, secret.name, row=secret)


def find(tx: Tx, call: Call, secret_id: str, *, deleted: bool = False) -> Secret:
    """By name, ARN, or an ARN without its last six letters. `deleted`: one that is marked for deletion will do."""
    account, region, name = call.account, call.region, secret_id
    if secret_id.startswith("arn:"):
        parts = secret_id.split(":", 6)
        if len(parts) < 7:
            raise missing()
        region, account, name = parts[3], parts[4], parts[6]
    found = SECRETS.get(tx, account, region, name)
    if found is None and secret_id.startswith("arn:") and _SUFFIX.search(name):
        found = SECRETS.get(tx, account, region, _SUFFIX.sub("", name))
        found = found if found is not None and found.arn == secret_id else None
    if found is None:
        raise missing()
    if found.deleted_ms and not deleted:
        raise invalid("You can't perform this operation on the secret because it was marked for deletion.")
    return found


def page(request: Mapping[str, Any], rows: list[T], most: int = 100) -> tuple[list[T], dict[str, str]]:
    """(rows of the page that NextToken says, the token of the next if there are more)."""
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise ServiceError("InvalidNextTokenException", "The NextToken value is invalid.")
    start, limit = int(token), min(request.get("MaxResults", most), most)
    more = {"NextToken": str(start + limit)} if len(rows) > start + limit else {}
    return rows[start : start + limit], more


def missing() -> ServiceError:
    return ServiceError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def invalid(told: str) -> ServiceError:
    return ServiceError("InvalidRequestException", told)


def version(tx: Tx, secret: Secret, version_id: str = "", stage: str = "") -> Version:
    """Raises ResourceNotFoundException, and InvalidRequestException where id and stage contradict each other."""
    if version_id:
        found = VERSIONS.get(tx, secret.id, version_id)
        if found is None or found.empty:
            raise no_value(f"VersionId: {version_id}")
        if stage and stage not in found.stages:
            raise invalid("You provided a VersionStage that is not associated to the provided VersionId.")
        return found
    label = stage or CURRENT
    labelled = staged(tx, secret, label)
    if labelled is None or labelled.empty:
        raise no_value(f"staging label: {label}")
    return labelled


def no_value(what: str) -> ServiceError:
    told = f"Secrets Manager can't find the specified secret value for {what}"
    return ServiceError("ResourceNotFoundException", told)


def staged(tx: Tx, secret: Secret, stage: str) -> Version | None:
    return next((one for one in VERSIONS.all(tx, secret.id) if stage in one.stages), None)


def add(tx: Tx, secret: Secret, new: Version) -> None:
    """Keep a version; the labels that it comes with leave whoever had them, and AWSPREVIOUS follows AWSCURRENT."""
    for stage in new.stages:
        _unlabel(tx, secret, stage)
    VERSIONS.put(tx, secret.id, new.id, row=new)
    _drop_deprecated(tx, secret)


def relabel(tx: Tx, secret: Secret, stage: str, version_id: str) -> None:
    """Give a label to a version that is there."""
    _unlabel(tx, secret, stage, unless=version_id)
    target = VERSIONS.get(tx, secret.id, version_id)
    if target is not None and stage not in target.stages:
        VERSIONS.put(tx, secret.id, version_id, row=replace(target, stages=[*target.stages, stage]))


def unlabel(tx: Tx, secret: Secret, stage: str) -> None:
    _unlabel(tx, secret, stage)


def _unlabel(tx: Tx, secret: Secret, stage: str, unless: str = "") -> None:
    holder = staged(tx, secret, stage)
    if holder is None or holder.id == unless:
        return
    left = [one for one in holder.stages if one != stage]
    if stage == CURRENT:
        _unlabel(tx, secret, PREVIOUS, unless=holder.id)
        left = [*(one for one in left if one != PREVIOUS), PREVIOUS]
    VERSIONS.put(tx, secret.id, holder.id, row=replace(holder, stages=left))


def _drop_deprecated(tx: Tx, secret: Secret) -> None:
    deprecated = sorted((one for one in VERSIONS.all(tx, secret.id) if not one.stages), key=lambda one: one.created_ms)
    for one in deprecated[:-_DEPRECATED_MAX]:
        VERSIONS.delete(tx, secret.id, one.id)


def forget(tx: Tx, secret: Secret) -> None:
    VERSIONS.clear(tx, secret.id)
    SECRETS.delete(tx, *secret.arn.split(":")[4:2:-1], secret.name)
