"""Which of several answers a request is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.kernel.gateway.messages import Answer, Request, Route

_HOSTS_MAX = 1024


class Routes:
    """The first route that takes a request answers it; what none takes goes to `default`."""

    def __init__(self, routes: Sequence[Route], default: Callable[[Request], Answer]) -> None:
        self._routes, self._default = tuple(routes), default
        self._by_host: dict[str, tuple[Route, ...]] = {}  # Those that a Host header leaves in question.

    def answer(self, request: Request) -> Answer:
        host = request.headers.get("host", "")
        candidates = self._by_host.get(host)
        if candidates is None:
            candidates = self._of_host(host, request)
        for route in candidates:
            if route.path is None or route.path.match(request.path) is not None:
                return route.answer(request)
        return self._default(request)

    def _of_host(self, host: str, request: Request) -> tuple[Route, ...]:
        found = tuple(route for route in self._routes if route.host is None or route.host.fullmatch(request.host))
        if len(self._by_host) >= _HOSTS_MAX:  # Hosts are the callers' to make up.
            self._by_host.clear()
        self._by_host[host] = found
        return found
