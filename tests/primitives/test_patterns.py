"""Event patterns. EventBridge User Guide, "Comparison operators for use in event patterns"."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.primitives.patterns import BadPattern, compiled

EVENT = {
    "source": "shop", "n": 300, "none": None, "yes": True, "ip": "10.0.0.7", "tags": ["a", "b"],
    "detail": {"state": "Running", "lines": [{"kind": "x", "n": 1}, {"kind": "y", "n": 2}]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        ({"source": ["shop"]}, True),
        ({"source": ["store", "shop"]}, True),
        ({"source": ["sho"]}, False),
        ({"n": [300.0]}, True),
        ({"n": ["300"]}, False),
        ({"yes": [True]}, True),
        ({"yes": [1]}, False),
        ({"none": [None]}, True),
        ({"missing": [None]}, False),
        ({"tags": ["b"]}, True),
        ({"source": ["shop"], "n": [1]}, False),
        ({"detail": {"state": ["Running"]}}, True),
        ({"source": [{"prefix": "sh"}]}, True),
        ({"source": [{"prefix": {"equals-ignore-case": "SH"}}]}, True),
        ({"source": [{"suffix": "op"}]}, True),
        ({"detail": {"state": [{"equals-ignore-case": "running"}]}}, True),
        ({"source": [{"wildcard": "s*p"}]}, True),
        ({"source": [{"wildcard": "s*x"}]}, False),
        ({"source": [{"anything-but": "shop"}]}, False),
        ({"source": [{"anything-but": ["a", "b"]}]}, True),
        ({"source": [{"anything-but": {"prefix": ["st", "sh"]}}]}, False),
        ({"missing": [{"anything-but": "x"}]}, False),
        ({"n": [{"numeric": [">", 0, "<=", 300]}]}, True),
        ({"n": [{"numeric": ["=", 301]}]}, False),
        ({"missing": [{"exists": False}]}, True),
        ({"source": [{"exists": True}]}, True),
        ({"detail": {"none": [{"exists": False}]}}, True),
        ({"ip": [{"cidr": "10.0.0.0/24"}]}, True),
        ({"$or": [{"source": ["x"]}, {"n": [{"numeric": [">", 100]}]}]}, True),
        ({"$or": [{"source": ["x"]}, {"n": [1]}]}, False),
        ({"detail": {"lines": {"kind": ["y"]}}}, True),
        ({"detail": {"lines": {"kind": ["y"], "n": [1]}}}, False),  # Not in the same object.
        ({}, True),
    ],
)
def test_a_pattern_means_the_events_that_have_what_it_asks_for(pattern: dict[str, Any], holds: bool) -> None:
    assert compiled(json.dumps(pattern))(EVENT) is holds


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"a": "x"}', '{"a": []}', '{"a": {}}', '{"a": [["x"]]}', '{"a": [{"near": 1}]}',
     '{"a": [{"prefix": 1}]}', '{"a": [{"numeric": ["<"]}]}', '{"a": [{"numeric": ["~", 1]}]}',
     '{"a": [{"exists": "yes"}]}', '{"a": [{"cidr": "x"}]}', '{"a": [{"wildcard": "a**"}]}',
     '{"a": [{"anything-but": {"numeric": ["=", 1]}}]}', '{"a": [{"prefix": "a", "suffix": "b"}]}',
     '{"a":' * 500 + "[1]" + "}" * 500],
)  # fmt: skip
def test_what_is_no_pattern_is_told_to_be_none(text: str) -> None:
    with pytest.raises(BadPattern):
        compiled(text)


def test_an_event_may_nest_its_lists_as_deep_as_it_likes() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert compiled('{"a": ["x"]}')({"a": deep})
    assert not compiled('{"a": ["y"]}')({"a": deep})
