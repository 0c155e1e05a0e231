"""What a writer may tell of an object, read from the resource that it sends and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.storage import times
from fogbank.gcp.services.storage.errors import StorageError, invalid, not_served

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.gcp.services.storage.state import Bucket, Object

CLASSES: Final = (
    "STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL", "DURABLE_REDUCED_AVAILABILITY",
)  # fmt: skip
_TEXTS: Final = (
    "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "customTime",
    "kmsKeyName",
)  # fmt: skip
_FLAGS: Final = ("eventBasedHold", "temporaryHold")
_UNCHANGEABLE: Final = ("kmsKeyName",)
_METADATA_BYTES_MAX: Final = 8 * 1024  # "Quotas & limits": of all custom keys and values of an object together.


def storage_class(told: Mapping[str, Any], owner: Bucket) -> str:
    given = told.get("storageClass")
    if given is None:
        return owner.storage_class
    if given not in CLASSES:
        raise invalid(f"Invalid argument. Invalid storage class: {str(given)[:64]}", code="InvalidStorageClass")
    return str(given)


def of_new(told: Mapping[str, Any], owner: Bucket, now_ms: int) -> dict[str, Any]:
    """The members to keep of an object that is about to be."""
    kept = _members(told)
    if owner.settings.get("defaultEventBasedHold") and "eventBasedHold" not in kept:
        kept["eventBasedHold"] = True
    if "retention" in kept:
        _check_retention(kept["retention"], owner, now_ms)
    key = kept.get("kmsKeyName") or owner.settings.get("encryption", {}).get("defaultKmsKeyName")
    return kept | ({"kmsKeyName": key} if key else {})


def patched(row: Object, told: Mapping[str, Any], owner: Bucket, now_ms: int, *, overrides: bool) -> dict[str, Any]:
    """The members as they are after a patch: what is null is taken away, metadata key by key."""
    merged = dict(row.told)
    for name in told:
        if name not in (*_TEXTS, *_FLAGS, "metadata", "retention", "contexts"):
            continue
        if name == "metadata" and isinstance(told[name], dict):
            both = {**row.told.get("metadata", {}), **told[name]}
            merged[name] = {key: value for key, value in both.items() if value is not None}
        elif told[name] is None or (isinstance(told[name], dict) and not any(told[name].values())):
            merged.pop(name, None)
        else:
            merged[name] = told[name]
    return _changed(row, merged, owner, now_ms, overrides=overrides)


def updated(row: Object, told: Mapping[str, Any], owner: Bucket, now_ms: int, *, overrides: bool) -> dict[str, Any]:
    """The members as they are after an update: what is not told is taken away."""
    return _changed(row, {name: value for name, value in told.items() if value is not None}, owner, now_ms,
                    overrides=overrides)  # fmt: skip


def _changed(row: Object, told: dict[str, Any], owner: Bucket, now_ms: int, *, overrides: bool) -> dict[str, Any]:
    kept = _members(told)
    for name in _UNCHANGEABLE:
        if name in row.told:
            kept[name] = row.told[name]
    _check_custom_time(row, kept)
    was, now = row.told.get("retention"), kept.get("retention")
    if was != now:
        _check_retention_change(row, was, now, now_ms, overrides=overrides)
        if now is not None:
            _check_retention(now, owner, now_ms)
    return kept


def _members(told: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name in _TEXTS:
        value = told.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise invalid(f"Invalid value for: {name}: {str(value)[:64]}")
        kept[name] = value
    if kept.get("customTime") is not None:
        kept["customTime"] = times.told(times.read(kept["customTime"], "customTime"))
    for name in _FLAGS:
        value = told.get(name)
        if value is not None:
            if not isinstance(value, bool):
                raise invalid(f"Invalid value for: {name}: {str(value)[:64]} is not a valid boolean")
            kept[name] = value
    if told.get("metadata"):
        kept["metadata"] = _metadata(told["metadata"])
    if told.get("retention"):
        kept["retention"] = _retention(told["retention"])
    if told.get("contexts"):
        raise not_served("object contexts")
    return kept


def _metadata(told: Any) -> dict[str, str]:
    if not isinstance(told, dict) or not all(isinstance(value, str | None) for value in told.values()):
        raise invalid("Invalid value for: metadata: values must be strings")
    kept = {name: value for name, value in told.items() if value is not None}
    if sum(len(name.encode()) + len(value.encode()) for name, value in kept.items()) > _METADATA_BYTES_MAX:
        raise invalid(
            "The total size of your custom metadata exceeds the limit of 8192 bytes.", code="MetadataTooLarge"
        )
    return kept


def _retention(told: Any) -> dict[str, str]:
    if not isinstance(told, dict) or told.get("mode") not in ("Locked", "Unlocked"):
        raise invalid("Invalid value for: retention.mode: it must be Locked or Unlocked")
    until_ms = times.read(told.get("retainUntilTime"), "retention.retainUntilTime")
    return {"mode": told["mode"], "retainUntilTime": times.told(until_ms)}


def _check_retention(retention: dict[str, str], owner: Bucket, now_ms: int) -> None:
    """ "Object Retention Lock": only of buckets that have it enabled."""
    if owner.settings.get("objectRetention", {}).get("mode") != "Enabled":
        told = f"Object retention is not enabled on the bucket '{owner.name}'."
        raise StorageError(400, "invalid", told)
    if times.read(retention["retainUntilTime"], "retainUntilTime") <= now_ms:
        raise invalid("The retainUntilTime of an object's retention must be in the future.")


def _check_retention_change(
    row: Object, was: dict[str, str] | None, now: dict[str, str] | None, now_ms: int, *, overrides: bool
) -> None:
    if was is None or times.read(was["retainUntilTime"], "retainUntilTime") <= now_ms:
        return
    longer = now is not None and now["retainUntilTime"] >= was["retainUntilTime"]
    if was["mode"] == "Locked" and not (longer and now is not None and now["mode"] == "Locked"):
        told = f"Object '{row.name}' has a locked retention: it can neither be shortened nor removed."
        raise StorageError(403, "forbidden", told)
    if not longer and not overrides:
        told = "An unlocked retention is shortened or removed only with overrideUnlockedRetention."
        raise StorageError(403, "forbidden", told)


def _check_custom_time(row: Object, kept: dict[str, Any]) -> None:
    """ "Custom-Time": "Once a Custom-Time has been set on an object, the metadata cannot be removed, and … cannot be
    set to an earlier date/time"."""
    was = row.told.get("customTime")
    if was is not None and kept.get("customTime", "") < was:
        raise invalid("Custom time cannot be removed or set to an earlier date and time.")
