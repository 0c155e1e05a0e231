"""What a server has one of, made when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

H = TypeVar("H")
S = TypeVar("S")


class Shared:
    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}  # By what makes it: a class, or a function.

    def get(self, make: Callable[[H], S], house: H) -> S:
        """The one `make(house)` of this server."""
        found = self._made.get(make)
        if found is None:
            found = self._made[make] = make(house)
        return found
