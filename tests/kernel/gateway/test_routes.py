"""Which of several answers a request is for."""

from __future__ import annotations

import re
from typing import Any

from fogbank.kernel.gateway import Routes
from fogbank.kernel.gateway.messages import Request, Route


def request(path: str = "/a", host: str = "h", **headers: str) -> Request:
    return Request("GET", path, "", {"host": host, **headers}, [], b"", "", "", "")


def answering(name: str) -> Any:
    return lambda _: name


def test_the_first_route_whose_host_and_path_match_answers() -> None:
    routes = Routes(
        [
            Route(answering("host"), host=re.compile(r".+\.example")),
            Route(answering("path"), path=re.compile("/a")),
            Route(answering("later"), path=re.compile("/a/b")),
        ],
        answering("default"),
    )
    assert routes.answer(request(host="x.example:80")) == "host"
    assert routes.answer(request("/a/b")) == "path"
    assert routes.answer(request("/b")) == "default"


def test_of_one_path_each_request_goes_to_the_first_route_that_takes_it() -> None:
    routes = Routes(
        [
            Route(answering("red"), path=re.compile("/a"), only=lambda asked: "red" in asked.headers),
            Route(answering("blue"), path=re.compile("/a"), only=lambda asked: "blue" in asked.headers),
        ],
        answering("default"),
    )
    for _ in range(2):  # What is known of an address is not what was answered there.
        assert routes.answer(request(blue="1")) == "blue"
        assert routes.answer(request(red="1", blue="1")) == "red"
        assert routes.answer(request()) == "default"


def test_behind_a_route_that_takes_all_nobody_is_asked() -> None:
    routes = Routes(
        [
            Route(answering("some"), only=lambda asked: "red" in asked.headers),
            Route(answering("all")),
            Route(answering("never"), only=lambda _: True),
        ],
        answering("default"),
    )
    assert [routes.answer(request(red="1")), routes.answer(request())] == ["some", "all"]
