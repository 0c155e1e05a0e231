"""Lists in pages: MaxItems of them, from behind Marker on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
PAGE_MAX = 50  # "Lambda returns up to 50 […] in a single response, even if you set the number higher."


def page(
    request: dict[str, Any], rows: Iterable[T], name: Callable[[T], str], most: int = PAGE_MAX
) -> tuple[list[T], dict[str, str]]:
    """(rows of this page, NextMarker if there are more). Each row has a name of its own, and the names are kept to."""
    every = list(rows)
    after = request.get("Marker")
    if after:
        found = next((number for number, row in enumerate(every) if name(row) == after), None)
        every = every[found + 1 :] if found is not None else [row for row in every if name(row) > after]
    limit = min(request.get("MaxItems", most), most)
    more = {"NextMarker": name(every[limit - 1])} if len(every) > limit else {}
    return every[:limit], more
