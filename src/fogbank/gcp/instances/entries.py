"""Log entries of functions: what Cloud Logging makes of a line, and what the platform says itself.

An entry is a google.logging.v2.LogEntry as JSON, in one line; its time is the line's, unless the function says another.
"Structured logging" (Cloud Logging), "Special JSON fields in messages".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

if TYPE_CHECKING:
    from fogbank.functions.http.messages import Visit
    from fogbank.functions.model import Version

_SEVERITIES: Final = frozenset(
    ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
)
_OTHER_SEVERITIES: Final = {"WARN": "WARNING", "FATAL": "CRITICAL", "TRACE": "DEBUG", "CRIT": "CRITICAL"}
_SPECIAL: Final = {
    "logging.googleapis.com/insertId": "insertId",
    "logging.googleapis.com/operation": "operation",
    "logging.googleapis.com/sourceLocation": "sourceLocation",
    "logging.googleapis.com/spanId": "spanId",
    "logging.googleapis.com/trace": "trace",
    "logging.googleapis.com/trace_sampled": "traceSampled",
    "httpRequest": "httpRequest",
    "time": "timestamp",
    "timestamp": "timestamp",
}
_OBJECTS: Final = ("operation", "sourceLocation", "httpRequest")
_LABELS: Final = "logging.googleapis.com/labels"
STDOUT, STDERR = "run.googleapis.com/stdout", "run.googleapis.com/stderr"
REQUESTS, SYSTEM = "run.googleapis.com/requests", "run.googleapis.com/varlog/system"
FIRST_GENERATION = "cloudfunctions.googleapis.com/cloud-functions"


def entry(version: Version, log: str, labels: dict[str, str], **members: Any) -> str:
    project = version.facts["project"]
    name = f"projects/{project}/logs/{quote(log, safe='')}"
    return orjson.dumps({"logName": name, "resource": _resource(version), "labels": labels, **members}).decode()


def _resource(version: Version) -> dict[str, Any]:
    facts = version.facts
    if version.dialect == "gcp-1":
        labels = {"function_name": facts["function"], "region": facts["region"], "project_id": facts["project"]}
        return {"type": "cloud_function", "labels": labels}
    labels = {
        "project_id": facts["project"], "location": facts["region"], "service_name": facts["service"],
        "configuration_name": facts["service"], "revision_name": facts["revision"],
    }  # fmt: skip
    return {"type": "cloud_run_revision", "labels": labels}


def of_line(version: Version, log: str, labels: dict[str, str], line: str, severity: str, visit: Visit | None) -> str:
    """One JSON object in a line is a structured entry; anything else is text."""
    members = trace_of(version, visit)
    text = line.rstrip("\n")
    found = _object(text)
    if found is None:
        return entry(version, log, labels, severity=severity, textPayload=text, **members)
    members["severity"] = _severity(found.pop("severity", None), severity)
    own = found.pop(_LABELS, None)
    if isinstance(own, dict):
        labels = labels | {str(key): str(value) for key, value in own.items() if value is not None}
    for name, member in _SPECIAL.items():
        value = found.get(name)
        if value is not None and isinstance(value, dict if member in _OBJECTS else str | bool):
            members[member] = found.pop(name)
        elif name.startswith("logging.googleapis.com/"):
            found.pop(name, None)
    # "message is saved as textPayload if it is the only field remaining".
    if found.keys() == {"message"} and isinstance(found["message"], str):
        members["textPayload"] = found["message"].rstrip("\n")
    else:
        members["jsonPayload"] = found
    return entry(version, log, labels, **members)


def _object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _severity(said: object, usual: str) -> str:
    name = str(said).upper() if said is not None else usual
    name = _OTHER_SEVERITIES.get(name, name)
    return name if name in _SEVERITIES else "DEFAULT"


def trace_of(version: Version, visit: Visit | None) -> dict[str, Any]:
    if visit is None or not visit.trace:
        return {}
    return {"trace": f"projects/{version.facts['project']}/traces/{visit.trace}", "spanId": visit.span}
