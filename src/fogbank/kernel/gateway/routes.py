"""Which of several answers a request is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from fogbank.kernel.gateway.messages import Request, Response, Route


class Routes:
    """The first route that takes a request answers it; what none takes goes to `default`."""

    def __init__(self, routes: Sequence[Route], default: Callable[[Request], Awaitable[Response]]) -> None:
        self._routes, self._default = tuple(routes), default

    def answer(self, request: Request) -> Awaitable[Response]:
        for route in self._routes:
            if route.takes(request):
                return route.answer(request)
        return self._default(request)
