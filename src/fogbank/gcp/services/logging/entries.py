"""Entries: what may be written, and how one is kept as a line and read again.

A line is a LogEntry as JSON. Functions' lines come from elsewhere and leave out what follows from the line itself: its
moment, and a name for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from google.protobuf import json_format

from fogbank.gcp.protocol import json_values
from fogbank.gcp.protocol.descriptors import Package, pool
from fogbank.gcp.protocol.times import is_moment, milliseconds
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.logging import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.services.logging.names import LogName
    from fogbank.kernel.store import Tx

LOGGING = Package("google.logging.v2")
_ENTRY_MAX = 256 * 1024  # "Size of a LogEntry" ("Quotas and limits"), as the service counts it.
_AHEAD_MAX_MS, KEPT_MS = 86_400_000, 30 * 86_400_000
_LABEL_KEY_MAX, _LABEL_VALUE_MAX = 512, 64 * 1024


def completed(tx: Tx, given: Any, request: Any, now_ms: int, new_id: Callable[[], str]) -> tuple[LogName, Any]:
    """An entry of a WriteLogEntriesRequest with what the request says for all of them. Raises `RpcError`."""
    entry = LOGGING.LogEntry()
    entry.CopyFrom(given)
    if not entry.log_name:
        entry.log_name = request.log_name
    if not entry.log_name:
        raise names.invalid("LogEntry.log_name is required.")
    name = names.log(tx, entry.log_name)
    entry.log_name = str(name)
    if not entry.HasField("resource"):
        entry.resource.CopyFrom(request.resource)
    if not entry.resource.type:
        raise names.invalid("LogEntry.resource is required.")
    if "/" not in name.owner and "project_id" not in entry.resource.labels:
        entry.resource.labels["project_id"] = name.owner
    for key, value in request.labels.items():
        if key not in entry.labels:
            entry.labels[key] = value
    _cut_labels(entry)
    if entry.HasField("proto_payload"):
        raise RpcError(Code.UNIMPLEMENTED, "fogbank does not serve proto_payload: entries of audit logs.")
    if entry.ByteSize() > _ENTRY_MAX:
        size = entry.ByteSize() / 1024
        raise names.invalid(f"Log entry with size {size:.1f}K exceeds maximum size of 256.0K")
    if not entry.HasField("timestamp"):
        entry.timestamp.FromMilliseconds(now_ms)
    elif not is_moment(entry.timestamp):
        raise names.invalid("LogEntry.timestamp is not a valid time.")
    entry.insert_id = entry.insert_id or new_id().replace("-", "")
    entry.ClearField("receive_timestamp")
    return name, entry


def _cut_labels(entry: Any) -> None:
    """ "Cloud Logging truncates label keys that exceed 512 B and label values that exceed 64 KB … indicated by an
    ellipsis"."""
    for key, value in list(entry.labels.items()):
        short, told = _cut(key, _LABEL_KEY_MAX), _cut(value, _LABEL_VALUE_MAX)
        if (short, told) != (key, value):
            del entry.labels[key]
            entry.labels[short] = told


def _cut(text: str, most: int) -> str:
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - 3].decode("utf-8", "ignore") + "…"


def is_kept(entry: Any, now_ms: int) -> bool:
    """ "Log entries outside those time boundaries aren't ingested by Logging." """
    return -_AHEAD_MAX_MS <= now_ms - milliseconds(entry.timestamp) <= KEPT_MS


def line(entry: Any) -> str:
    return orjson.dumps(json_values.answer(entry)).decode()


def read(owner: str, at_ms: int, line_name: str, taken_ms: int, stream: str, text: str) -> Any:
    """The entry that a line is."""
    entry = LOGGING.LogEntry()
    try:
        json_format.ParseDict(orjson.loads(text), entry, ignore_unknown_fields=True, descriptor_pool=pool())
    except (orjson.JSONDecodeError, json_format.ParseError, TypeError, AttributeError):
        entry.Clear()
        entry.text_payload = text
    if not entry.log_name:
        entry.log_name = f"{names.parent_of(owner)}/logs/{quote(stream, safe='')}"
    if not entry.HasField("timestamp"):
        entry.timestamp.FromMilliseconds(at_ms)
    entry.insert_id = entry.insert_id or line_name
    entry.receive_timestamp.FromMilliseconds(taken_ms)
    return entry
