"""Preconditions: what must be true of an object or a bucket for a request to be done.

"Request preconditions" in the manual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fogbank.gcp.services.storage.errors import condition_not_met, invalid, not_modified

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER_MAX = (1 << 63) - 1


class Numbered(Protocol):
    @property
    def generation(self) -> int: ...
    @property
    def metageneration(self) -> int: ...
    @property
    def etag(self) -> str: ...


def number(parameters: Mapping[str, str], name: str) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or int(digits) > _NUMBER_MAX:
        raise invalid(f"Invalid argument. Invalid value for: {name}: {text[:64]}", place=("parameter", name))
    return int(text)


def check(found: Numbered | None, parameters: Mapping[str, str], *, prefix: str = "if", reads: bool = False) -> None:
    """`found`: what is there now, if anything is. `reads`: a request that changes nothing, which "not match" makes a
    304."""
    if not any(name.startswith(prefix) for name in parameters):
        return
    wanted = number(parameters, f"{prefix}GenerationMatch")
    if wanted is not None and wanted != (found.generation if found is not None else 0):
        raise condition_not_met("If-Match")
    wanted = number(parameters, f"{prefix}MetagenerationMatch")
    if wanted is not None and (found is None or wanted != found.metageneration):
        raise condition_not_met("If-Match")
    unwanted = number(parameters, f"{prefix}GenerationNotMatch")
    if unwanted is not None and unwanted == (found.generation if found is not None else 0):
        raise _matches(found, reads=reads)
    unwanted = number(parameters, f"{prefix}MetagenerationNotMatch")
    if unwanted is not None and (found is None or unwanted == found.metageneration):
        raise _matches(found, reads=reads)


def check_headers(found: Numbered, headers: Mapping[str, str]) -> None:
    """HTTP's own, of a read: If-Match and If-None-Match."""
    wanted = headers.get("if-match")
    if wanted is not None and not _names(wanted, found.etag):
        raise condition_not_met("If-Match")
    unwanted = headers.get("if-none-match")
    if unwanted is not None and _names(unwanted, found.etag):
        raise not_modified(found.etag)


def _names(told: str, etag: str) -> bool:
    return any(one.strip().removeprefix("W/").strip('"') in ("*", etag) for one in told.split(","))


def _matches(found: Numbered | None, *, reads: bool) -> Exception:
    if reads and found is not None:
        return not_modified(found.etag)
    return condition_not_met("If-None-Match")
