"""What an owner may set of a bucket: read from the resource, checked, merged ("Buckets" in the reference)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.storage import lifecycle, resources
from fogbank.gcp.services.storage.errors import StorageError, invalid, not_served

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fogbank.gcp.services.storage.state import Bucket

_LOCATION: Final = re.compile(r"[A-Z][A-Z0-9-]{1,39}")
_LABEL: Final = re.compile(r"[a-z0-9_\-\u00df-\uffff]{0,63}")
_LABELS_MAX: Final = 64
_SOFT_DELETE_S: Final = (7 * 86_400, 90 * 86_400)  # "between 7 days and 90 days", or 0.
_RETENTION_MAX_S: Final = 3_155_760_000  # "100 years".
_UNCHANGEABLE: Final = ("location", "name", "customPlacementConfig", "hierarchicalNamespace")
_PREVENTION: Final = ("inherited", "enforced", "unspecified")


def of_new(told: Mapping[str, Any]) -> dict[str, Any]:
    """With what a new bucket has where nothing is told."""
    location = str(told.get("location") or "US").upper()
    if not _LOCATION.fullmatch(location):
        raise invalid(
            f"The specified location constraint is not valid: {location[:64]}", code="InvalidLocationConstraint"
        )
    return checked({"storageClass": "STANDARD", **told, "location": location})


def patched(bucket: Bucket, told: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396 for most members, as the API has it: null takes away, objects are merged."""
    changed = {name: value for name, value in told.items() if name not in _UNCHANGEABLE}
    _check_unchanged(bucket, told)
    return checked(_merged(bucket.settings, changed))


def updated(bucket: Bucket, told: Mapping[str, Any]) -> dict[str, Any]:
    """All members: what is not told is taken away."""
    _check_unchanged(bucket, told)
    fixed: dict[str, Any] = {name: bucket.settings[name] for name in _UNCHANGEABLE if name in bucket.settings}
    return checked({"storageClass": "STANDARD", **told, **fixed})


def _check_unchanged(bucket: Bucket, told: Mapping[str, Any]) -> None:
    location = told.get("location")
    if location is not None and str(location).upper() != bucket.location:
        raise invalid("The location of a bucket cannot be changed.")


def _merged(was: Any, told: Any) -> Any:
    if not isinstance(told, dict) or not isinstance(was, dict):
        return _without_nulls(told)
    merged = dict(was)
    for name, value in told.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged


def _without_nulls(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _without_nulls(value) for name, value in told.items() if value is not None}
    return told


def checked(told: Mapping[str, Any]) -> dict[str, Any]:
    """The members that are kept, each in its form. Raises `StorageError` by name."""
    kept = {"location": told["location"]}
    for name, check in _MEMBERS.items():
        value = told.get(name)
        if value is not None:
            kept[name] = check(value)
    for name in ("autoclass", "hierarchicalNamespace"):
        if isinstance(told.get(name), dict) and told[name].get("enabled"):
            raise not_served(f"buckets with {name}")
    if told.get("ipFilter"):
        raise not_served("the ipFilter of buckets")
    return kept


def _storage_class(value: Any) -> str:
    if value not in resources.CLASSES:
        raise invalid(f"Invalid argument. Invalid storage class: {str(value)[:64]}", code="InvalidStorageClass")
    return str(value)


def _labels(value: Any) -> dict[str, str]:
    """ "Requirements for labels" in the manual."""
    labels = {name: text for name, text in _object(value, "labels").items() if text is not None}
    if len(labels) > _LABELS_MAX:
        raise invalid(f"Invalid argument. A bucket can have at most {_LABELS_MAX} labels.")
    for name, text in labels.items():
        if not name or not isinstance(text, str) or not _LABEL.fullmatch(name) or not _LABEL.fullmatch(text):
            raise invalid(f"Invalid argument. Invalid label: {name[:64]}: {str(text)[:64]}")
    return labels


def _flagged(*flags: str) -> Callable[[Any], dict[str, Any]]:
    def check(value: Any) -> dict[str, Any]:
        told = _object(value, flags[0])
        for flag in flags:
            if not isinstance(told.get(flag, False), bool):
                raise invalid(f"Invalid value for: {flag}: {str(told[flag])[:64]} is not a valid boolean")
        return {flag: told[flag] for flag in flags if flag in told}

    return check


def _iam(value: Any) -> dict[str, Any]:
    told = _object(value, "iamConfiguration")
    uniform = told.get("uniformBucketLevelAccess") or told.get("bucketPolicyOnly")
    kept: dict[str, Any] = {}
    if uniform is not None:
        kept["uniformBucketLevelAccess"] = _flagged("enabled")(uniform)
    prevention = told.get("publicAccessPrevention")
    if prevention is not None:
        if prevention not in _PREVENTION:
            raise invalid(f"Invalid value for: publicAccessPrevention: {str(prevention)[:64]}")
        kept["publicAccessPrevention"] = "inherited" if prevention == "unspecified" else prevention
    return kept


def _retention(value: Any) -> dict[str, str]:
    seconds = _whole(_object(value, "retentionPolicy").get("retentionPeriod"), "retentionPolicy.retentionPeriod")
    if not 0 < seconds < _RETENTION_MAX_S:
        raise invalid("Invalid argument. The retention period must be between 1 second and 100 years.")
    return {"retentionPeriod": str(seconds)}


def _soft_delete(value: Any) -> dict[str, str]:
    told = _object(value, "softDeletePolicy").get("retentionDurationSeconds", _SOFT_DELETE_S[0])
    seconds = _whole(told, "softDeletePolicy.retentionDurationSeconds")
    if seconds and not _SOFT_DELETE_S[0] <= seconds <= _SOFT_DELETE_S[1]:
        raise invalid("Invalid argument. Soft delete retention duration must be 0, or between 7 and 90 days.")
    return {"retentionDurationSeconds": str(seconds)}


def _cors(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(rule, dict) for rule in value):
        raise invalid("Invalid value for: cors: it must be a list of objects")
    for rule in value:
        for name in ("origin", "method", "responseHeader"):
            texts = rule.get(name, [])
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise invalid(f"Invalid value for: cors.{name}: it must be a list of strings")
        _whole(rule.get("maxAgeSeconds", 0), "cors.maxAgeSeconds")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid(f"Invalid value for: defaultEventBasedHold: {str(value)[:64]} is not a valid boolean")
    return value


def _as_told(value: Any) -> dict[str, Any]:
    return _object(value, "resource")


def _rpo(value: Any) -> str:
    if value not in ("DEFAULT", "ASYNC_TURBO"):
        raise invalid(f"Invalid value for: rpo: {str(value)[:64]}")
    return str(value)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"Invalid value for: {name}: it must be an object")
    return value


def _whole(value: Any, name: str) -> int:
    """An integer, which JSON has as text or as a number."""
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise invalid(f"Invalid value for: {name}: {text[:64]}")
    return int(text)


_MEMBERS: Final[dict[str, Callable[[Any], Any]]] = {
    "storageClass": _storage_class,
    "labels": _labels,
    "versioning": _flagged("enabled"),
    "lifecycle": lifecycle.checked,
    "cors": _cors,
    "iamConfiguration": _iam,
    "retentionPolicy": _retention,
    "softDeletePolicy": _soft_delete,
    "defaultEventBasedHold": _flag,
    "billing": _flagged("requesterPays"),
    "rpo": _rpo,
    "website": _as_told,
    "logging": _as_told,
    "encryption": _as_told,
    "objectRetention": _as_told,
    "customPlacementConfig": _as_told,
}


def check_retention_change(bucket: Bucket, settings: Mapping[str, Any]) -> None:
    """ "Locked retention policies": "cannot be removed or reduced"."""
    new_ms = int(settings.get("retentionPolicy", {}).get("retentionPeriod", 0)) * 1000
    if bucket.retention_locked and new_ms < bucket.retention_ms:
        told = f"Cannot reduce retention duration of a locked Retention Policy for bucket '{bucket.name}'."
        raise StorageError(403, "forbidden", told)
