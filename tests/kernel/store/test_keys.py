"""Packed keys sort as the tuples do and come back as they were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fogbank.kernel.store import Key, within
from fogbank.kernel.store.keys import pack, unpack

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
PARTS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.binary(max_size=6),
)
KEYS = st.lists(PARTS, max_size=4).map(tuple)


def rank(part: int | str | bytes) -> tuple[int, int | bytes]:
    """Bytes before integers before text; inside a kind by value."""
    if isinstance(part, bytes):
        return 0, part
    return (1, part) if isinstance(part, int) else (2, part.encode())


@given(KEYS)
def test_a_key_comes_back_as_it_was(key: Key) -> None:
    assert unpack(pack(key)) == key


@given(KEYS, KEYS)
def test_packed_keys_sort_as_the_tuples_do(one: Key, other: Key) -> None:
    by_value = [rank(part) for part in one] < [rank(part) for part in other]
    assert (pack(one) < pack(other)) == by_value


@given(KEYS, KEYS)
def test_the_bounds_of_a_prefix_hold_what_begins_with_it_and_nothing_else(prefix: Key, key: Key) -> None:
    first, last = within(*prefix)
    assert (pack(first) <= pack(key) < pack(last)) == (key[: len(prefix)] == prefix)
