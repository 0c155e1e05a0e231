"""Lists in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE = 50
T = TypeVar("T")


def page(request: dict[str, Any], rows: list[T], name: Callable[[T], str]) -> tuple[list[T], dict[str, str]]:
    after, limit = request.get("NextToken", ""), request.get("MaxResults", _PAGE)
    behind = sorted((row for row in rows if name(row) > after), key=name)
    more = {"NextToken": name(behind[limit - 1])} if len(behind) > limit else {}
    return behind[:limit], more
