"""Names of Eventarc's resources: "projects/PROJECT/locations/LOCATION/triggers/TRIGGER"."""

from __future__ import annotations

import re
from typing import Final

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol.places import Located
from fogbank.gcp.service import Code, RpcError

_LOCATION: Final = re.compile(rf"projects/({projects.ANY})/locations/([a-z][a-z0-9-]{{0,62}}|-)", re.IGNORECASE)
# "trigger_id": "must start with a letter … and can only contain letters, numbers, and hyphens", as the console says it.
_ID: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Name(Located):
    __slots__ = ()
    collection = "triggers"


def location(name: str) -> tuple[str, str]:
    """(project, location); "-" is every location."""
    found = _LOCATION.fullmatch(name)
    if found is None:
        raise _malformed("parent", name)
    return found[1], found[2]


def trigger(name: str) -> Name:
    parent, separator, trigger_id = name.partition("/triggers/")
    found = _LOCATION.fullmatch(parent)
    if found is None or not separator or not trigger_id or "/" in trigger_id or found[2] == "-":
        raise _malformed("name", name)
    return Name(found[1], found[2], trigger_id)


def new_trigger(parent: str, trigger_id: str) -> Name:
    project, place = location(parent)
    if place == "-":
        raise _malformed("parent", parent)
    if not _ID.fullmatch(trigger_id):
        text = (
            f'The request was invalid: invalid value for trigger_id: "{trigger_id[:256]}" must match "{_ID.pattern}".'
        )
        raise RpcError(Code.INVALID_ARGUMENT, text)
    return Name(project, place, trigger_id)


def _malformed(field: str, value: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, f'The request was invalid: malformed {field}: "{value[:512]}".')
