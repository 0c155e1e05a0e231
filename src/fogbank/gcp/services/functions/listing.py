"""Lists of functions: in one location or in all, page by page, as a filter of AIP-160 wants them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import paging, regions
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions.names import ANYWHERE
from fogbank.gcp.services.functions.state import FUNCTIONS, Function

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.store import Tx

_TERM = re.compile(r'\s*([a-zA-Z_.]+)\s*(=|!=|:)\s*(?:"([^"]*)"|([^\s"()]+))\s*')


def page(
    tx: Tx, project: str, location: str, *, size: int, token: str, largest: int,
    accepts: Callable[[Any], bool] = lambda _: True,
) -> tuple[list[Function], str]:  # fmt: skip
    """Functions in the order of their names, and the next page's token. The token is the last name of this page."""
    if size < 0:
        raise RpcError(Code.INVALID_ARGUMENT, "The page_size must not be negative.")
    last = paging.decoded(token) if token else ""
    limit = min(size or largest, largest)
    found: list[Function] = []
    for region in regions.ALL if location == ANYWHERE else (location,):
        for _, function in FUNCTIONS.scan(tx, project, region):
            if function.name > last and accepts(function):
                found.append(function)
                if len(found) > limit:
                    return found[:limit], paging.encoded(found[limit - 1].name)
    return found, ""


def accepting(text: str) -> Callable[[Any], bool]:
    """For functions, and for what the API shows of runtimes. Terms of a filter are joined by AND."""
    terms = [_term(part) for part in re.split(r"\s+AND\s+", text.strip())] if text.strip() else []
    return lambda one: all((_value(one, name) == value) is equal for name, value, equal in terms)


def _term(part: str) -> tuple[str, str, bool]:
    found = _TERM.fullmatch(part)
    if found is None or found[1] not in ("environment", "state", "name"):
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid filter: {part[:256]}")
    return found[1], found[3] if found[3] is not None else found[4], found[2] != "!="


def _value(one: Any, name: str) -> str:
    if isinstance(one, Function):
        return f"GEN_{one.generation}" if name == "environment" else str(getattr(one, name))
    value = getattr(one, name, "")
    field = one.DESCRIPTOR.fields_by_name.get(name)
    if field is not None and field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    return str(value)
