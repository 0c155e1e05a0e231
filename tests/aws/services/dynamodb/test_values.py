"""Values are checked, brought to their normal form and measured as "DynamoDB item sizes and formats" says."""

from __future__ import annotations

from typing import Any

import pytest

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodb.values import check_item

INVALID = "One or more parameter values were invalid: "


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"id": {"S": "abc"}}, 5),
        ({"größe": {"S": "ü"}}, 9),
        ({"b": {"B": b"12345"}}, 6),
        ({"n": {"N": "27"}}, 3),
        ({"t": {"BOOL": True}}, 2),
        ({"t": {"NULL": True}}, 2),
        ({"s": {"SS": ["ab", "c"]}}, 4),
        ({"l": {"L": []}}, 4),
        ({"l": {"L": [{"S": "ab"}, {"BOOL": False}]}}, 1 + 3 + (2 + 1) + (1 + 1)),
        ({"m": {"M": {"k": {"S": "v"}}}}, 1 + 3 + 1 + 1 + 1),
    ],
)
def test_the_size_of_an_item(item: dict[str, Any], size: int) -> None:
    assert check_item(item) == size


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        (
            {"S": "a", "N": "1"},
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported "
            "datatypes",
        ),
        ({"NULL": False}, INVALID + "Null attribute value types must have the value of true"),
        ({"SS": []}, INVALID + "An string set  may not be empty"),
        ({"NS": []}, INVALID + "An number set  may not be empty"),
        ({"BS": []}, INVALID + "Binary sets should not be empty"),
        ({"SS": ["a", "a"]}, INVALID + "Input collection [a, a] contains duplicates."),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
        ({"BS": [b"\xff", b"\xff"]}, INVALID + "Input collection [/w==, /w==]of type BS contains duplicates."),
        ({"L": [{"N": "x"}]}, "The parameter cannot be converted to a numeric value: x"),
    ],
)
def test_a_bad_value_is_refused_in_the_words_of_dynamodb(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        check_item({"bad": value})
    assert (caught.value.code, caught.value.message) == ("ValidationException", message)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(levels):
        value = {"M": {"n": value}}
    return value


def test_a_leaf_may_stand_at_level_32_and_no_deeper() -> None:
    """ "Quotas in Amazon DynamoDB", nested attribute depth."""
    check_item({"data": nested(31)})
    with pytest.raises(ServiceError, match="Nesting Levels have exceeded supported limits"):
        check_item({"data": nested(32)})


def test_sets_come_to_their_own_order_and_may_hold_an_empty_string() -> None:
    item: dict[str, Any] = {"s": {"SS": ["b", "", "a"]}, "n": {"NS": ["10", "9.0", "-1"]}, "b": {"BS": [b"\xff", b""]}}
    check_item(item)
    assert item == {"s": {"SS": ["", "a", "b"]}, "n": {"NS": ["-1", "9", "10"]}, "b": {"BS": [b"", b"\xff"]}}
