"""What a server has one of is made when it is first asked for, and is another's on another server."""

from __future__ import annotations

from fogbank.kernel.shared import Shared


def test_it_is_made_once_for_each_server_by_whatever_makes_it() -> None:
    one, another = Shared(), Shared()
    made = one.get(list, "ab")
    assert made == ["a", "b"] and one.get(list, "ab") is made
    assert one.get(tuple, "ab") == ("a", "b")
    assert another.get(list, "ab") is not made
