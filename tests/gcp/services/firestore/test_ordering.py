"""Values are encoded so that their bytes sort as the service sorts values."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.gcp.services.firestore import names, ordering
from tests.gcp.services.firestore import naive

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=3)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
NUMBERS = st.one_of(
    INT64, st.floats(), st.integers(-3, 3), st.sampled_from([0.0, -0.0, 2.0**53, 2.0**63, -(2.0**63)]),
    st.integers((1 << 53) - 3, (1 << 53) + 3), st.integers((1 << 63) - 1030, (1 << 63) - 1),
    st.integers(-(1 << 63), -(1 << 63) + 1030),
)  # fmt: skip
SCALARS = st.one_of(
    st.tuples(st.just("null"), st.just(0)),
    st.tuples(st.just("boolean"), st.booleans()),
    st.tuples(st.just("number"), NUMBERS),
    st.tuples(st.just("timestamp"), st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)),
    st.tuples(st.just("string"), st.text(st.characters(codec="utf-8"), max_size=4)),
    st.tuples(st.just("bytes"), st.binary(max_size=4)),
    st.tuples(st.just("reference"), st.sampled_from([("a", "b"), ("a", "b", "c", "d"), ("a", "b-"), ("a-", "b")])),
    st.tuples(st.just("geo"), st.tuples(st.floats(-90, 90), st.floats(-180, 180))),
    st.tuples(st.just("vector"), st.lists(st.floats(-9, 9), min_size=1, max_size=3)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.tuples(st.just("array"), st.lists(inner, max_size=3)),
        st.tuples(st.just("map"), st.dictionaries(NAMES, inner, max_size=3)),
    ),
    max_leaves=5,
)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


@settings(max_examples=400, deadline=None)
@given(VALUES, VALUES)
def test_two_values_compare_as_their_bytes_do_and_backwards_as_the_complements(one: Any, other: Any) -> None:
    a, b = (ordering.encode(naive.value(each)) for each in (one, other))
    expected = _sign(naive.compare(one, other))
    assert (a > b) - (a < b) == expected
    c, d = ordering.inverted(a), ordering.inverted(b)
    assert (c > d) - (c < d) == -expected


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES)
def test_no_encoding_is_the_beginning_of_another_so_several_may_be_joined(one: Any, other: Any) -> None:
    a, b = (ordering.encode(naive.value(each)) for each in (one, other))
    assert a == b or not (a.startswith(b) or b.startswith(a))


@pytest.mark.parametrize(
    ("less", "more"),
    list(
        pairwise(
            [
                ("number", float("nan")),
                ("number", float("-inf")),
                ("number", -(1 << 63)),
                ("number", -1.5),
                ("number", 0),
                ("number", 5e-324),
                ("number", (1 << 53)),
                ("number", (1 << 53) + 1),
                ("number", 2.0**53 + 2),
                ("number", (1 << 63) - 1),
                ("number", 2.0**63),
            ]
        )
    ),
)
def test_whole_numbers_and_doubles_stand_in_one_order(less: Any, more: Any) -> None:
    assert ordering.encode(naive.value(less)) < ordering.encode(naive.value(more))


def test_what_the_service_holds_for_equal_has_one_encoding() -> None:
    zeros = {ordering.encode(naive.value(("number", each))) for each in (0, 0.0, -0.0)}
    assert len(zeros) == 1


def test_ids_of_datastore_sort_as_numbers_before_all_text() -> None:
    ids = ["__id9__", "__id10__", "!", "__ie__", "a"]
    encoded = [ordering.path_prefix(("c", each)) for each in ids]
    assert encoded == sorted(encoded)
    assert [names.shown(names.sortable(each)) for each in ids] == ids
    assert names.sortable("__id007__") == "__id007__"  # Not how a number is written: it stays itself.
