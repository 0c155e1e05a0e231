"""Object lifecycle: rules of a bucket, and what they say of an object at a moment.

"Object Lifecycle Management" in the manual: an action takes place once all of its rule's conditions are met; of several
that are, Delete wins over SetStorageClass, and the class of the lowest price at rest over the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.storage import resources, times
from fogbank.gcp.services.storage.errors import invalid

if TYPE_CHECKING:
    from fogbank.gcp.services.storage.state import Object

DELETE, SET_CLASS, ABORT = "Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"
_DAY_MS: Final = 86_400_000
_RULES_MAX: Final = 100
_DAYS: Final = ("age", "daysSinceCustomTime", "daysSinceNoncurrentTime", "numNewerVersions")
_DATES: Final = ("createdBefore", "customTimeBefore", "noncurrentTimeBefore")
_TEXTS: Final = ("matchesPrefix", "matchesSuffix", "matchesStorageClass")
_OF_UPLOADS: Final = frozenset(("age", "matchesPrefix", "matchesSuffix"))
_CHEAPER: Final = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
# "SetStorageClass": "Durable Reduced Availability, Multi-Regional, Regional and Standard" go to any of these.
_FROM: Final = {"NEARLINE": ("COLDLINE", "ARCHIVE"), "COLDLINE": ("ARCHIVE",), "ARCHIVE": ()}


def checked(value: Any) -> dict[str, Any]:
    """The configuration as it is kept. Raises `StorageError`."""
    rules = value.get("rule", []) if isinstance(value, dict) else None
    if not isinstance(rules, list) or len(rules) > _RULES_MAX:
        raise invalid("Invalid value for: lifecycle.rule: it must be a list of at most 100 rules")
    for rule in rules:
        action = rule.get("action") if isinstance(rule, dict) else None
        condition = rule.get("condition") if isinstance(rule, dict) else None
        if not isinstance(action, dict) or action.get("type") not in (DELETE, SET_CLASS, ABORT):
            raise invalid("Invalid argument. A lifecycle rule needs an action of a known type.")
        if action["type"] == SET_CLASS and action.get("storageClass") not in resources.CLASSES:
            raise invalid("Invalid argument. SetStorageClass needs a storage class.")
        if not isinstance(condition, dict) or not condition:
            raise invalid("Invalid argument. A lifecycle rule needs at least one condition.")
        _check_condition(condition, action["type"])
    return {"rule": rules} if rules else {}


def _check_condition(condition: dict[str, Any], action: str) -> None:
    for name, given in condition.items():
        if action == ABORT and name not in _OF_UPLOADS:
            raise invalid(f"Invalid argument. {ABORT} takes no condition {name[:64]}.")
        if name in _DAYS:
            good = isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 100_000
        elif name in _DATES:
            good = times.day(given, name) is not None
        elif name in _TEXTS:
            good = isinstance(given, list) and all(isinstance(text, str) for text in given)
        else:
            good = name == "isLive" and isinstance(given, bool)
        if not good:
            raise invalid(f"Invalid value for: lifecycle.rule.condition.{name[:64]}: {str(given)[:64]}")


def action(rules: list[dict[str, Any]], row: Object, newer: int, now_ms: int) -> str:
    """DELETE, the storage class that it is to have, or "". `newer`: how many later generations its name has."""
    wanted = [rule["action"] for rule in rules if _holds(rule["condition"], row, newer, now_ms)]
    if any(one["type"] == DELETE for one in wanted):
        return DELETE
    classes = [one["storageClass"] for one in wanted if one["type"] == SET_CLASS]
    possible = [
        name for name in classes if name in _FROM.get(row.storage_class, _CHEAPER) and name != row.storage_class
    ]
    return max(possible, key=lambda name: _CHEAPER.index(name) if name in _CHEAPER else -1, default="")


def aborts(rules: list[dict[str, Any]], name: str, started_ms: int, now_ms: int) -> bool:
    """Whether an upload in parts is to be given up."""
    conditions = [rule["condition"] for rule in rules if rule["action"]["type"] == ABORT]
    return any(
        _names(one, name) and ("age" not in one or now_ms >= _after_days(started_ms, one["age"])) for one in conditions
    )


def _holds(condition: dict[str, Any], row: Object, newer: int, now_ms: int) -> bool:
    if not _names(condition, row.name):
        return False
    classes = condition.get("matchesStorageClass")
    if classes is not None and row.storage_class not in classes:
        return False
    if "isLive" in condition and condition["isLive"] != (not row.gone_ms):
        return False
    if "numNewerVersions" in condition and newer < condition["numNewerVersions"]:
        return False
    custom = row.told.get("customTime")
    custom_ms = times.read(custom, "customTime") if custom else None
    return all(
        _reached(condition, days, date, from_ms, now_ms)
        for days, date, from_ms in (
            ("age", "createdBefore", row.created_ms),
            ("daysSinceCustomTime", "customTimeBefore", custom_ms),
            ("daysSinceNoncurrentTime", "noncurrentTimeBefore", row.gone_ms or None),
        )
    )


def _reached(condition: dict[str, Any], days: str, date: str, from_ms: int | None, now_ms: int) -> bool:
    """Of a moment of the object's: it lies so many days back, and before that date."""
    if days not in condition and date not in condition:
        return True
    if from_ms is None:
        return False
    if days in condition and now_ms < _after_days(from_ms, condition[days]):
        return False
    return date not in condition or from_ms < times.day(condition[date], date)


def _after_days(from_ms: int, days: int) -> int:
    return from_ms + days * _DAY_MS


def _names(condition: dict[str, Any], name: str) -> bool:
    prefixes, suffixes = condition.get("matchesPrefix"), condition.get("matchesSuffix")
    return (prefixes is None or name.startswith(tuple(prefixes))) and (
        suffixes is None or name.endswith(tuple(suffixes))
    )
