"""Path patterns against paths."""

from __future__ import annotations

import time

import pytest

from fogbank.gcp.services.eventarc.patterns import BadPattern, compiled


@pytest.mark.parametrize(
    ("pattern", "path", "named"),
    [
        ("users/marie", "users/marie", {}),
        ("users/marie", "users/marie2", None),
        ("users/*", "users/marie", {}),
        ("users/*", "users/marie/posts/1", None),
        ("users/{user}", "users/marie", {"user": "marie"}),
        ("/users/{user=*}/", "users/marie", {"user": "marie"}),
        ("users/{user}/posts/{post}", "users/marie/posts/1", {"user": "marie", "post": "1"}),
        ("users/**", "users", {}),
        ("users/**", "users/a/b/c", {}),
        ("users/{rest=**}", "users/a/b/c", {"rest": "a/b/c"}),
        ("{all=**}", "users/a", {"all": "users/a"}),
        ("**/posts/*", "users/a/posts/1", {}),
        ("**/posts/*", "posts/1", {}),
        ("users/**/x", "users/x", {}),
        ("users/**/x", "users/a/b/x", {}),
        ("users/**/x", "users/a/b/y", None),
        ("users/ma*e", "users/marie", {}),
        ("users/ma*e", "users/mae", {}),
        ("users/ma*e", "users/me", None),
        ("users/*a*b*", "users/xaxbx", {}),
        ("users/*a*b*", "users/xbxax", None),
        ("a.c/d", "abc/d", None),
    ],
)
def test_a_pattern_matches_the_whole_of_a_path(pattern: str, path: str, named: dict[str, str] | None) -> None:
    assert compiled(pattern).match(path) == named


@pytest.mark.parametrize("pattern", ["", "a/**/b/**", "a/x**", "a/{b", "a/{b}/c/{b}", "a//b", "a/{b=c}", "a" * 7000])
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        compiled(pattern)


def test_a_hostile_pattern_costs_no_more_than_its_length() -> None:
    began = time.process_time()
    assert compiled("x/" + "*a" * 1000 + "*b").match("x/" + "a" * 1500) is None
    assert time.process_time() - began < 1
