"""Stack policies: which resources an update may not touch.

CloudFormation User Guide, "Prevent updates to stack resources".
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import orjson


def check(text: str) -> str:
    """What is wrong with a policy's form, in CloudFormation's words; nothing if nothing is."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "Error validating stack policy: Invalid stack policy"
    statements = document.get("Statement") if isinstance(document, dict) else None
    if not isinstance(statements, list) or not all(isinstance(one, dict) for one in statements):
        return "Error validating stack policy: Invalid stack policy"
    for one in statements:
        if one.get("Effect") not in ("Allow", "Deny") or not ({"Action", "NotAction"} & one.keys()):
            return "Error validating stack policy: Invalid stack policy"
    return ""


def denial(text: str, action: str, logical_id: str, type_name: str) -> str:
    """Why `action` ("Update:Replace") may not be done; nothing if it may. Without a policy everything may."""
    if not text:
        return ""
    told = f"does not allow [{action}] for resource [LogicalResourceId/{logical_id}];"
    allowed = False
    for number, statement in enumerate(orjson.loads(text)["Statement"], 1):
        if not _applies(statement, action, logical_id, type_name):
            continue
        if statement["Effect"] == "Deny":
            return f"Action denied by stack policy: Statement [#{number}] {told}"
        allowed = True
    return "" if allowed else f"Action denied by stack policy: no statement allows it and thus the policy {told}"


def _applies(statement: dict[str, Any], action: str, logical_id: str, type_name: str) -> bool:
    resource = f"LogicalResourceId/{logical_id}"
    if not _named(statement, "Action", action) or not _named(statement, "Resource", resource, default="*"):
        return False
    condition = statement.get("Condition") or {}
    return all(
        any(_matches(kind, type_name, pattern) for pattern in _list(patterns.get("ResourceType", [])))
        for kind, patterns in condition.items()
    )


def _named(statement: dict[str, Any], member: str, value: str, default: str = "") -> bool:
    if f"Not{member}" in statement:
        return not any(fnmatchcase(value.lower(), str(one).lower()) for one in _list(statement[f"Not{member}"]))
    return any(fnmatchcase(value.lower(), str(one).lower()) for one in _list(statement.get(member, default)))


def _matches(kind: str, value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern) if kind == "StringLike" else kind == "StringEquals" and value == pattern


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
