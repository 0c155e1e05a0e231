"""Names of logs: "projects/PROJECT/logs/LOG", where the log's id is URL-encoded; and whose they are.

`primitives.logs` keeps them by owner (a project's id; "folders/1" of what is no project) and by the log's id as it
reads decoded, in one group.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from fogbank.gcp.identity import projects
from fogbank.gcp.service import Code, RpcError
from fogbank.primitives import logs

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

GROUP = "cloud.google.com/logging"
_KINDS = rf"(projects|organizations|folders|billingAccounts)/({projects.ANY})"
_PARENT = re.compile(_KINDS)
_VIEW = re.compile(_KINDS + r"/locations/[^/]+/buckets/[^/]+/views/[^/]+")
_LOG = re.compile(r"/?" + _KINDS + r"/logs/([^/]+)")
_LOG_ID = re.compile(r"[A-Za-z0-9/_.\-]{1,511}")


@dataclass(frozen=True, slots=True)
class LogName:
    owner: str
    id: str  # Decoded: "run.googleapis.com/stdout".

    def __str__(self) -> str:
        return f"{parent_of(self.owner)}/logs/{quote(self.id, safe='')}"


def parent_of(owner: str) -> str:
    return owner if "/" in owner else f"projects/{owner}"


def log(tx: Tx, name: str) -> LogName:
    """Raises `RpcError`."""
    found = _LOG.fullmatch(name)
    if found is None or not _LOG_ID.fullmatch(unquote(found[3])):
        raise invalid(f"Invalid log name: {name[:512]!r}")
    return LogName(_owner(tx, found), unquote(found[3]))


def owner(tx: Tx, name: str) -> str:
    """Of a parent, or of one of its views: there is one bucket, and all is in it. Raises `RpcError`."""
    found = _PARENT.fullmatch(name) or _VIEW.fullmatch(name)
    if found is None:
        raise invalid(f"Invalid resource name: {name[:512]!r}")
    return _owner(tx, found)


def _owner(tx: Tx, found: re.Match[str]) -> str:
    """ "The project number is translated to its corresponding PROJECT_ID internally": of those that have logs."""
    if found[1] != "projects":
        return f"{found[1]}/{found[2]}"
    if found[2].isdigit():
        known = {str(key[-2]) for key, _ in logs.GROUPS.scan(tx)}
        return next((one for one in sorted(known) if "/" not in one and projects.number(one) == found[2]), found[2])
    return found[2]


def invalid(text: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, text)
