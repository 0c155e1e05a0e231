"""Settings of secrets: what they may be, and which of them may change.

The texts of errors, with their slips, are those that Secret Manager has been seen to give.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import masks
from fogbank.gcp.protocol.times import is_moment, milliseconds
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.secretmanager.state import SECRETMANAGER

if TYPE_CHECKING:
    from collections.abc import Mapping

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_CENTURY_MS = 876_000 * _HOUR_MS
_LABELS_MAX, _ALIASES_MAX, _TOPICS_MAX, _ANNOTATIONS_BYTES = 64, 50, 10, 16 * 1024
_ANNOTATION = re.compile(r"[a-z0-9A-Z]([a-z0-9A-Z_.-]*[a-z0-9A-Z])?")
_ALIAS = re.compile(r"(?!(latest|NEW)$)[a-zA-Z][a-zA-Z0-9_-]{0,62}")
_LABEL_KEY, _LABEL_VALUE = r"[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}", r"[\p{Ll}\p{Lo}\p{N}_-]{0,63}"
_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")

_CHANGEABLE = {
    "labels", "annotations", "version_aliases", "expire_time", "ttl", "version_destroy_ttl", "topics", "rotation",
    "rotation.next_rotation_time", "rotation.rotation_period",
}  # fmt: skip
_PASSED_OVER = {"name", "create_time", "tags", "etag"}
_IMMUTABLE = {"secret_type", "policy_member"}


def invalid(text: str = "Request contains an invalid argument.") -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, text)


def new(request: Any, *, regional: bool, now_ms: int) -> Any:
    """Of a CreateSecretRequest. Raises `RpcError`."""
    if not request.HasField("secret"):
        raise invalid("Secret must be provided.")
    secret = SECRETMANAGER.Secret()
    secret.CopyFrom(request.secret)
    replication = secret.replication.WhichOneof("replication")
    if regional and replication:
        raise invalid("Secret.replication should not be provided.")
    if not regional and not replication:
        raise invalid("Secret.replication must be provided.")
    if replication == "user_managed":
        _check_replicas(secret.replication.user_managed.replicas)
    _refuse_keys(secret)
    for unsaid in ("tags", "name", "policy_member"):
        secret.ClearField(unsaid)
    _settle(secret, set(_CHANGEABLE), 0, now_ms)
    return secret


def changed(old: Any, request: Any, *, versions: int, now_ms: int) -> Any:
    """After an UpdateSecretRequest. Raises `RpcError`."""
    if not request.HasField("update_mask"):
        raise invalid("Field [update_mask] is required.")
    secret = SECRETMANAGER.Secret()
    secret.CopyFrom(old)
    paths = [path for path in request.update_mask.paths if path not in _PASSED_OVER]
    for path in paths:
        _check_path(path, old, request.secret)
    told = {path for path in paths if path in _CHANGEABLE}
    if told & {"ttl", "expire_time"}:  # Either says when it is to end; whichever is given counts.
        told = told - {"ttl"} | {"expire_time"}
        _take_expiry(request.secret, secret)
    masks.apply(told - {"expire_time"}, request.secret, secret)
    _settle(secret, told, versions, now_ms)
    return secret


def _take_expiry(given: Any, secret: Any) -> None:
    secret.ClearField("expire_time")
    secret.ClearField("ttl")
    kind = given.WhichOneof("expiration")
    if kind:
        getattr(secret, kind).CopyFrom(getattr(given, kind))


def _check_path(path: str, old: Any, given: Any) -> None:
    if path in _CHANGEABLE:
        return
    if path in _IMMUTABLE:
        raise invalid(f"Field '{path}' is immutable and cannot be updated.")
    if path == "customer_managed_encryption":
        _refuse_keys(given)
        return
    if path == "replication":
        kept = old.replication.WhichOneof("replication")
        if kept is None:
            raise invalid(
                'Field mask paths starting with "replication" are not supported in updates of regional secret.'
            )
        if given.replication != old.replication:
            kept = kept.replace("_", "-")
            raise invalid(
                f"Existing secret has {kept} replication, but requested secret does not. Updating secret replication "
                "is not supported."
            )
        return
    raise invalid()


def _refuse_keys(secret: Any) -> None:
    replicas = secret.replication.user_managed.replicas
    if (
        secret.HasField("customer_managed_encryption")
        or secret.replication.automatic.HasField("customer_managed_encryption")
        or any(replica.HasField("customer_managed_encryption") for replica in replicas)
    ):
        raise RpcError(Code.UNIMPLEMENTED, "fogbank does not serve customer_managed_encryption of secrets.")
    if secret.secret_type:
        raise RpcError(Code.UNIMPLEMENTED, "fogbank does not serve secret_type: secrets whose rotation is managed.")


def _check_replicas(replicas: Any) -> None:
    locations = [replica.location for replica in replicas]
    if not locations or not all(locations):
        raise invalid("Replication.user_managed.replicas must name at least one location.")
    if len(set(locations)) != len(locations):
        raise invalid("Replication.user_managed.replicas must have distinct locations.")


def _settle(secret: Any, told: set[str], versions: int, now_ms: int) -> None:
    """Check the whole; of times, which pass, only those that the request tells."""
    if secret.HasField("ttl"):
        secret.expire_time.FromMilliseconds(now_ms + max(0, min(milliseconds(secret.ttl), 2 * _CENTURY_MS)))
    if "expire_time" in told and secret.HasField("expire_time"):
        _check_moment(secret.expire_time, "Expiration time", _MINUTE_MS, "1m", now_ms)
    _check_topics(secret)
    _check_rotation(secret, told, now_ms)
    if "version_destroy_ttl" in told and secret.HasField("version_destroy_ttl"):
        ttl_ms = milliseconds(secret.version_destroy_ttl)
        if ttl_ms < 24 * _HOUR_MS:
            raise invalid("Version destroy TTL must be at least [24h].")
        if ttl_ms > 24_000 * _HOUR_MS:
            raise invalid("Version destroy TTL cannot be more than [24000h].")
    _check_labels(secret.labels)
    _check_annotations(secret.annotations)
    if "version_aliases" in told:
        _check_aliases(secret.version_aliases, versions)


def _check_moment(at: Any, what: str, least_ms: int, least: str, now_ms: int) -> None:
    if not is_moment(at):
        raise invalid()
    ahead_ms = milliseconds(at) - now_ms
    if ahead_ms < least_ms:
        raise invalid(f"{what} must be at least [{least}] in the future.")
    if ahead_ms > _CENTURY_MS:
        raise invalid(f"{what} cannot be more than [876000h] from now.")


def _check_rotation(secret: Any, told: set[str], now_ms: int) -> None:
    rotation = secret.rotation
    next_one, period = rotation.HasField("next_rotation_time"), rotation.HasField("rotation_period")
    if not next_one and not period:
        secret.ClearField("rotation")
        return
    if not secret.topics:
        raise invalid("There must be at least one topic configured when a Rotation policy is set.")
    if not next_one:
        raise RpcError(Code.FAILED_PRECONDITION, "Next rotation time must be set while the rotation period is set.")
    if told & {"rotation", "rotation.next_rotation_time"}:
        _check_moment(rotation.next_rotation_time, "Next rotation time", 5 * _MINUTE_MS, "5m", now_ms)
    if period and milliseconds(rotation.rotation_period) < _HOUR_MS:
        raise invalid("Rotation period cannot be shorter than [1h].")


def _check_topics(secret: Any) -> None:
    names = [topic.name for topic in secret.topics]
    if len(names) > _TOPICS_MAX:
        raise invalid("No more than 10 topics can be configured on a secret.")
    if len(set(names)) != len(names):
        raise invalid("Topics must have distinct names.")
    for name in names:
        if not _TOPIC.fullmatch(name):
            raise invalid(f"Failed to Publish to topic [{name[:512]}], got an error from Pub/Sub.")


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > _LABELS_MAX:
        raise invalid(f'Invalid field "labels"; at most 64 entries allowed but found {len(labels)}')
    for key, value in labels.items():
        problem = _label_problem(key, "character", _LABEL_KEY)
        if problem:
            raise invalid(f'Invalid field "labels"; key "{key[:256]}" {problem}')
        problem = _label_problem(value, "value", _LABEL_VALUE)
        if problem:
            raise invalid(f'Invalid field "labels.{key}"; value "{value[:256]}" {problem}')


def _label_problem(text: str, what: str, pattern: str) -> str | None:
    if len(text.encode()) > 128:
        return "exceeds maximum byte length 128"
    if len(text) > 63:
        return f"exceeds maximum {what} length 63"
    letters = [unicodedata.category(letter) in ("Ll", "Lo") for letter in text]
    fine = all(
        is_letter or letter in "_-" or unicodedata.category(letter)[0] == "N"
        for letter, is_letter in zip(text, letters, strict=True)
    )
    if fine and (pattern == _LABEL_VALUE or letters[:1] == [True]):
        return None
    return f'does not conform to regular expression "{pattern}"'


def _check_annotations(annotations: Mapping[str, str]) -> None:
    for key in annotations:
        if not _ANNOTATION.fullmatch(key) or len(key) > 63:
            raise invalid(
                f"[{key[:256]}] must follow pattern [a-z0-9A-Z]+([_\\.\\-]*[a-z0-9A-Z]+)*), be less than 64 "
                "characters, and must have a UTF encoding of less than 128 bytes"
            )
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _ANNOTATIONS_BYTES:
        raise invalid("Annotation map must not exceed 16kib.")


def _check_aliases(aliases: Mapping[str, int], versions: int) -> None:
    if len(aliases) > _ALIASES_MAX:
        raise invalid("No more than 50 aliases can be assgined to any given secret")
    for alias, number in aliases.items():
        if not _ALIAS.fullmatch(alias):
            raise invalid(
                f"[{alias[:256]}] must follow pattern [a-zA-Z][a-Aa-Z0-9_-]+, be less than 64 characters and cannot be "
                '"latest" or "NEW"'
            )
        if not 1 <= number <= versions:
            raise invalid("Aliases cannot be assigned to versions that don't exist")
