"""Numbers keep 38 digits, have one normal form, and sort as bytes as they do by value."""

from __future__ import annotations

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.aws.services.dynamodb import numbers

EXACT = Context(prec=600)


@st.composite
def valid(draw: st.DrawFn) -> str:
    digits = draw(st.text("0123456789", min_size=1, max_size=38))
    exponent = draw(st.integers(-130, 125 - len(digits)))
    return f"{draw(st.sampled_from(['', '-', '+']))}{digits}e{exponent}"


@given(valid(), valid())
def test_sortable_bytes_have_the_order_of_the_numbers(one: str, other: str) -> None:
    mine, theirs = (numbers.sortable(numbers.normalize(text)) for text in (one, other))
    assert (mine < theirs) == (Decimal(one) < Decimal(other))
    assert (mine == theirs) == (Decimal(one) == Decimal(other))


@given(valid())
def test_the_normal_form_is_the_same_number_without_exponent_or_idle_zeros(text: str) -> None:
    normal = numbers.normalize(text)
    assert Decimal(normal) == Decimal(text)
    assert numbers.normalize(normal) == normal
    assert "e" not in normal.lower() and not normal.startswith("+") and normal != "-0"
    assert "." not in normal or not normal.endswith(("0", "."))


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_sums_are_exact(one: int, other: int) -> None:
    assert numbers.add(str(one), str(other)) == str(one + other)
    assert numbers.subtract(str(one), str(other)) == str(one - other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The parameter cannot be converted to a numeric value"),
        ("abc", "The parameter cannot be converted to a numeric value: abc"),
        ("1_000", "The parameter cannot be converted to a numeric value: 1_000"),
        ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
        (" 1", "The parameter cannot be converted to a numeric value:  1"),
        ("1e", "The parameter cannot be converted to a numeric value: 1e"),
        ("1e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ("1e99999999999", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ("1e-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
        ("-1e-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
    ],
)
def test_what_is_no_number_is_refused_in_the_words_of_dynamodb(text: str, message: str) -> None:
    with pytest.raises(numbers.NotANumber) as caught:
        numbers.normalize(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "normal"),
    [("0042.1200", "42.12"), ("1E125", "1" + "0" * 125), ("-0", "0"), ("0e999", "0"), ("+7", "7"), (".5", "0.5")],
)
def test_a_number_comes_back_expanded(text: str, normal: str) -> None:
    assert numbers.normalize(text) == normal


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 1), ("1", 2), ("12", 2), ("123456", 4), ("3.14159", 5), ("-1", 3), ("1E125", 2), ("1E-130", 2), ("100", 2)],
)
def test_a_number_costs_half_a_byte_a_digit_on_each_side_of_the_point(text: str, size: int) -> None:
    """Measured on AWS at the 400 KB limit: "DynamoDB item sizes and formats" tells it only approximately."""
    assert numbers.size_bytes(numbers.normalize(text)) == size
