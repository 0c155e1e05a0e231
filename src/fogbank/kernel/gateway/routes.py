"""Which of several answers a request is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fogbank.kernel.gateway.messages import Answer, Request, Route

_KNOWN_MAX, _KNOWN_CHARACTERS_MAX = 1024, 512  # Hosts and paths are the callers' to make up.


class Routes:
    """The first route that takes a request answers it; what none takes goes to `default`."""

    def __init__(self, routes: Sequence[Route], default: Callable[[Request], Answer]) -> None:
        self._routes, self._default = tuple(routes), default
        self._known: dict[tuple[str, str], Callable[[Request], Answer]] = {}  # By the Host header and the path.

    def answer(self, request: Request) -> Answer:
        asked = request.headers.get("host", ""), request.path
        known = self._known.get(asked)
        if known is None:
            known = self._find(request)
            if len(asked[0]) + len(asked[1]) <= _KNOWN_CHARACTERS_MAX:
                if len(self._known) >= _KNOWN_MAX:
                    self._known.clear()
                self._known[asked] = known
        return known(request)

    def _find(self, request: Request) -> Callable[[Request], Answer]:
        host, path = request.host, request.path
        choosy: list[Route] = []  # Those that look at each request.
        for route in self._routes:
            if (route.host is None or route.host.fullmatch(host)) and (route.path is None or route.path.match(path)):
                if route.only is None:
                    return _choosing(choosy, route.answer)
                choosy.append(route)
        return _choosing(choosy, self._default)


def _choosing(choosy: list[Route], otherwise: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    if not choosy:
        return otherwise

    def answer(request: Request) -> Answer:
        found = next((route for route in choosy if route.only is not None and route.only(request)), None)
        return otherwise(request) if found is None else found.answer(request)

    return answer
