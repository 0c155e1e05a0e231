"""Expressions mean what the documentation says: checked against a small evaluator of their own, and text by text."""

from __future__ import annotations

import re
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodb.expressions import request as expressions
from fogbank.aws.services.dynamodb.expressions.reserved import WORDS
from fogbank.aws.services.dynamodb.values import check_item

Item = dict[str, Any]


def holds(text: str, item: Item, values: Item | None = None, names: dict[str, str] | None = None) -> bool:
    request = {"ConditionExpression": text}
    request |= {"ExpressionAttributeValues": values} if values else {}  # type: ignore[dict-item]  # Any request.
    request |= {"ExpressionAttributeNames": names} if names else {}  # type: ignore[dict-item]  # Any request.
    check_item(item)
    return bool(expressions.read(request, ("ConditionExpression",))["ConditionExpression"].run(item, values or {}))


def update(text: str, item: Item, values: Item | None = None, names: dict[str, str] | None = None) -> Item:
    request: dict[str, Any] = {"UpdateExpression": text}
    request |= {"ExpressionAttributeValues": values} if values else {}
    request |= {"ExpressionAttributeNames": names} if names else {}
    changed = deepcopy(item)
    expressions.read(request, ("UpdateExpression",))["UpdateExpression"].run(changed, values or {})
    check_item(changed)
    return changed


def fault(text: str, kind: str = "ConditionExpression", **request: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        expressions.read({kind: text, **request}, (kind,))
    return caught.value.message


# Conditions against a model ------------------------------------------------------------------------------------------

ATTRIBUTES = ("a1", "b1", "c1")
SCALARS = st.one_of(
    st.integers(-3, 3).map(lambda number: {"N": str(number)}),
    st.sampled_from(["", "x", "xy", "z"]).map(lambda text: {"S": text}),
    st.booleans().map(lambda truth: {"BOOL": truth}),
)
ORDERED = st.one_of(
    st.integers(-3, 3).map(lambda number: {"N": str(number)}),
    st.sampled_from(["x", "xy", "z"]).map(lambda text: {"S": text}),
)


def compare(operator: str, one: Item | None, other: Item) -> bool:
    if operator == "=":
        return one == other
    if operator == "<>":
        return one != other
    if one is None or one.keys() != other.keys() or "BOOL" in one:
        return False
    [(kind, mine)], [theirs] = one.items(), other.values()
    left, right = (Decimal(mine), Decimal(theirs)) if kind == "N" else (mine, theirs)
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


@st.composite
def conditions(draw: st.DrawFn, depth: int = 3) -> tuple[str, Any, Item]:
    """A condition's text, the model's function of an item, and its values."""
    if depth and draw(st.booleans()):
        word = draw(st.sampled_from(["AND", "OR", "NOT"]))
        text, test, values = draw(conditions(depth - 1))
        if word == "NOT":
            return f"NOT ({text})", lambda item: not test(item), values
        other_text, other_test, other_values = draw(conditions(depth - 1))
        both = (
            (lambda item: test(item) and other_test(item))
            if word == "AND"
            else (lambda item: test(item) or other_test(item))
        )
        return f"({text}) {word} ({other_text})", both, values | other_values
    name = draw(st.sampled_from(ATTRIBUTES))
    kind = draw(st.sampled_from(["compare", "exists", "missing", "in"]))
    if kind in {"exists", "missing"}:
        function = "attribute_exists" if kind == "exists" else "attribute_not_exists"
        return f"{function}({name})", lambda item: (name in item) == (kind == "exists"), {}
    if kind == "in":
        value = draw(SCALARS)
        placeholder = named(value)
        return f"{name} IN ({placeholder})", lambda item: item.get(name) == value, {placeholder: value}
    operator = draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))
    wanted = draw(SCALARS if operator in {"=", "<>"} else ORDERED)
    placeholder = named(wanted)
    return (
        f"{name} {operator} {placeholder}",
        lambda item: compare(operator, item.get(name), wanted),
        {placeholder: wanted},
    )


def named(value: Item) -> str:
    """A placeholder of its own for each value, and one for equal ones."""
    return ":v" + repr(value).encode().hex()


@settings(max_examples=200, deadline=None)
@given(conditions(), st.dictionaries(st.sampled_from(ATTRIBUTES), SCALARS))
def test_a_condition_holds_where_the_model_says_so(condition: tuple[str, Any, Item], item: Item) -> None:
    text, test, values = condition
    assert holds(text, item, values) == test(item)


@given(st.booleans(), st.booleans(), st.booleans())
def test_not_binds_before_and_and_before_or(one: bool, two: bool, three: bool) -> None:
    """ "Precedence in conditions"."""
    item = {name: {"BOOL": truth} for name, truth in (("a1", one), ("b1", two), ("c1", three))}
    values = {":t": {"BOOL": True}}
    assert holds("a1 = :t OR b1 = :t AND NOT c1 = :t", item, values) == (one or (two and not three))
    assert holds("NOT a1 = :t AND b1 = :t OR c1 = :t", item, values) == (((not one) and two) or three)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("begins_with(word, :el)", False),
        ("begins_with(word, :he)", True),
        ("contains(word, :el)", True),
        ("contains(tags, :he)", True),
        ("contains(things, :el)", True),
        ("contains(things, :he)", False),
        ("size(word) = :five", True),
        ("size(tags) < :five", True),
        ("size(info) = :five", False),
        ("size(amount) = :five", False),
        ("attribute_type(info, :map)", True),
        ("info.deep[1] = :he", True),
        ("attribute_exists(info.deep[2])", False),
        ("word BETWEEN :el AND :zz", True),
        ("amount BETWEEN :five AND :five", True),
        (":five = amount", True),
        ("(amount) = (:five)", True),
        ("nothing <> :five", True),
        ("nothing < :five", False),
        ("word = amount", False),
        ("tags = :tags", True),
        ("info <> :map", True),
    ],
)
def test_functions_and_paths(text: str, expected: bool) -> None:
    item: Item = {
        "word": {"S": "hello"},
        "amount": {"N": "5.0"},
        "tags": {"SS": ["he", "she"]},
        "things": {"L": [{"S": "el"}]},
        "info": {"M": {"deep": {"L": [{"N": "1"}, {"S": "he"}]}}},
    }
    every: Item = {
        ":el": {"S": "el"}, ":he": {"S": "he"}, ":zz": {"S": "zz"}, ":five": {"N": "5"}, ":map": {"S": "M"},
        ":tags": {"SS": ["she", "he"]},
    }  # fmt: skip
    used = {name: value for name, value in every.items() if name in re.findall(r":\w+", text)}
    assert holds(text, item, used) is expected


# Updates -------------------------------------------------------------------------------------------------------------


def test_every_action_sees_the_item_as_it_was() -> None:
    item = {"a1": {"N": "1"}, "b1": {"N": "2"}}
    assert update("SET a1 = b1, b1 = a1", item) == {"a1": {"N": "2"}, "b1": {"N": "1"}}


@given(
    st.lists(st.integers(0, 9), max_size=6),
    st.sets(st.integers(0, 8), max_size=3),
    st.sets(st.integers(0, 8), max_size=3),
)
def test_list_elements_are_removed_and_set_by_their_old_places(
    numbers: list[int], removed: set[int], assigned: set[int]
) -> None:
    """ "Removing elements from a list", "Adding elements to a list": beyond the end, elements go to the end."""
    assigned -= removed
    if not removed and not assigned:
        return
    item = {"list1": {"L": [{"N": str(number)} for number in numbers]}}
    clauses = []
    if assigned:
        clauses.append("SET " + ", ".join(f"list1[{index}] = :new" for index in sorted(assigned, reverse=True)))
    if removed:
        clauses.append("REMOVE " + ", ".join(f"list1[{index}]" for index in removed))
    model = [100 if index in assigned else number for index, number in enumerate(numbers)]
    model = [number for index, number in enumerate(model) if index not in removed]
    model += [100 for index in assigned if index >= len(numbers)]
    changed = update(" ".join(clauses), item, {":new": {"N": "100"}} if assigned else None)
    assert [int(element["N"]) for element in changed["list1"]["L"]] == model


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SET amount = amount + :one", {"amount": {"N": "6"}}),
        ("SET amount = amount - :one", {"amount": {"N": "4"}}),
        ("SET fresh = if_not_exists(fresh, :one)", {"fresh": {"N": "1"}}),
        ("SET amount = if_not_exists(amount, :one)", {}),
        ("SET hits = if_not_exists(hits, :one) + :one", {"hits": {"N": "2"}}),
        ("SET things = list_append(things, :list)", {"things": {"L": [{"S": "el"}, {"N": "9"}]}}),
        ("SET things = list_append(:list, things)", {"things": {"L": [{"N": "9"}, {"S": "el"}]}}),
        ("SET log1 = list_append(if_not_exists(log1, :list), :list)", {"log1": {"L": [{"N": "9"}, {"N": "9"}]}}),
        ("SET info.deep = :one", {"info": {"M": {"deep": {"N": "1"}}}}),
        ("ADD amount :one", {"amount": {"N": "6"}}),
        ("ADD fresh :one", {"fresh": {"N": "1"}}),
        ("ADD tags :tags", {"tags": {"SS": ["a", "b", "c"]}}),
        ("DELETE tags :tags", {"tags": {"SS": ["a"]}}),
        ("set amount = :one add fresh :one", {"amount": {"N": "1"}, "fresh": {"N": "1"}}),
    ],
)
def test_what_an_update_makes_of_an_item(text: str, expected: Item) -> None:
    item: Item = {
        "amount": {"N": "5"}, "tags": {"SS": ["a", "b"]}, "things": {"L": [{"S": "el"}]}, "info": {"M": {}},
    }  # fmt: skip
    every: Item = {":one": {"N": "1"}, ":list": {"L": [{"N": "9"}]}, ":tags": {"SS": ["b", "c"]}}
    used = {name: value for name, value in every.items() if name in text}
    assert update(text, item, used) == item | expected


def test_a_set_that_loses_its_last_member_is_gone() -> None:
    assert update("DELETE tags :t", {"tags": {"SS": ["a"]}}, {":t": {"SS": ["a"]}}) == {}


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("SET a1 = b1", {}, "The provided expression refers to an attribute that does not exist in the item"),
        (
            "SET absent.deep = :v",
            {":v": {"S": "x"}},
            "The document path provided in the update expression is invalid for update",
        ),
        ("SET word = word + :v", {":v": {"N": "1"}}, "An operand in the update expression has an incorrect data type"),
        ("ADD word :v", {":v": {"N": "1"}}, "An operand in the update expression has an incorrect data type"),
        (
            "SET big = big + :v",
            {":v": {"N": "1"}},
            "Attempting to store more than 38 significant digits in a Number",
        ),
    ],
)
def test_an_update_that_the_item_does_not_allow(text: str, values: Item, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        update(text, {"word": {"S": "x"}, "big": {"N": "1" + "0" * 40}}, values)
    assert caught.value.message == message


# Projections ---------------------------------------------------------------------------------------------------------


def test_a_projection_keeps_the_way_to_what_it_names_and_closes_lists_up() -> None:
    """ "Using projection expressions in DynamoDB"."""
    item = {
        "id": {"S": "x"},
        "info": {"M": {"a1": {"N": "1"}, "b1": {"N": "2"}}},
        "list1": {"L": [{"N": "0"}, {"N": "1"}, {"N": "2"}]},
    }
    request = {"ProjectionExpression": "info.b1, list1[2], list1[0], nothing.there"}
    projection = expressions.read(request, ("ProjectionExpression",))["ProjectionExpression"]
    assert projection.run(item) == {"info": {"M": {"b1": {"N": "2"}}}, "list1": {"L": [{"N": "0"}, {"N": "2"}]}}


# What is refused -----------------------------------------------------------------------------------------------------


def test_there_are_573_reserved_words_and_none_may_stand_bare_in_any_case() -> None:
    assert len(WORDS) == 573
    for word in ("Name", "STATUS", "data"):
        message = f"Attribute name is a reserved keyword; reserved keyword: {word}"
        assert fault(f"attribute_exists({word})") == f"Invalid ConditionExpression: {message}"
        assert fault(f"REMOVE a.{word}", "UpdateExpression") == f"Invalid UpdateExpression: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The expression can not be empty;"),
        ("a1", 'Syntax error; token: "<EOF>", near: "a1"'),
        ("a-b", 'Syntax error; token: "-", near: "a-b"'),
        ("a1 = ", 'Syntax error; token: "<EOF>", near: "="'),
        ("size(a1) size(b1)", 'Syntax error; token: "size", near: ") size("'),
        ("attribute_not_exists(", 'Syntax error; token: "<EOF>", near: "("'),
        ("!!!", 'Syntax error; token: "!", near: "!!"'),
        ("a1 IN ()", 'Syntax error; token: ")", near: "()"'),
        ("((a1 = b1))", "The expression has redundant parentheses;"),
        ("a1 = a1", "The first operand must be distinct from the remaining operands for this operator or function; "
         "operator: =, first operand: [a1]"),
        ("a1 IN (b1, a1)", "The first operand must be distinct from the remaining operands for this operator or "
         "function; operator: IN, first operand: [a1]"),
        ("nonsense(a1)", "Invalid function name; function: nonsense"),
        ("if_not_exists(a1, b1)", "Invalid function name; function: if_not_exists"),
        ("size(a1)", "The function is not allowed to be used this way in an expression; function: size"),
        ("contains(a1)", "Incorrect number of operands for operator or function; operator or function: contains, "
         "number of operands: 1"),
        ("#x = b1", "An expression attribute name used in the document path is not defined; attribute name: #x"),
        ("a1 = :x", "An expression attribute value used in expression is not defined; attribute value: :x"),
    ],
)  # fmt: skip
def test_a_bad_condition_is_refused_in_the_words_of_dynamodb(text: str, message: str) -> None:
    assert fault(text) == f"Invalid ConditionExpression: {message}"


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("begins_with(a1, :v)", {"N": "1"}, "Incorrect operand type for operator or function; "
         "operator or function: begins_with, operand type: N"),
        ("a1 < :v", {"BOOL": True}, "Incorrect operand type for operator or function; "
         "operator or function: <, operand type: BOOL"),
        ("size(:v) = a1", {"N": "1"}, "Incorrect operand type for operator or function; "
         "operator or function: size, operand type: N"),
        ("attribute_type(a1, :v)", {"S": "X"}, "Invalid attribute type name found; type: X, "
         "valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"),
        ("attribute_exists(:v)", {"S": "X"}, "Operator or function requires a document path; "
         "operator or function: attribute_exists"),
    ],
)  # fmt: skip
def test_a_condition_with_a_value_of_the_wrong_type(text: str, values: Item, message: str) -> None:
    assert fault(text, ExpressionAttributeValues={":v": values}) == f"Invalid ConditionExpression: {message}"


def test_bounds_must_be_of_one_type_and_in_order() -> None:
    low, high = {"N": "2"}, {"N": "1"}
    bounds = "lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"
    assert fault("a1 BETWEEN :l AND :h", ExpressionAttributeValues={":l": low, ":h": high}) == (
        "Invalid ConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to lower "
        f"bound; {bounds}"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("INVALID SYNTAX HERE", 'Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
        ("SET", 'Syntax error; token: "<EOF>", near: "SET"'),
        ("REMOVE a1,", 'Syntax error; token: "<EOF>", near: ","'),
        ("SET a1 = b1 SET c1 = d1", 'The "SET" section can only be used once in an update expression;'),
        ("REMOVE a1, a1", "Two document paths overlap with each other; must remove or rewrite one of these paths; "
         "path one: [a1], path two: [a1]"),
        ("REMOVE a1.b1, a1", "Two document paths overlap with each other; must remove or rewrite one of these paths; "
         "path one: [a1, b1], path two: [a1]"),
        ("REMOVE a1.b1, a1[0]", "Two document paths conflict with each other; must remove or rewrite one of these "
         "paths; path one: [a1, b1], path two: [a1, [0]]"),
        ("SET a1 = size(b1)", "Invalid function name; function: size"),
        ("SET a1 = if_not_exists(:v, b1)", "An expression attribute value used in expression is not defined; "
         "attribute value: :v"),
    ],
)  # fmt: skip
def test_a_bad_update_is_refused_in_the_words_of_dynamodb(text: str, message: str) -> None:
    assert fault(text, "UpdateExpression") == f"Invalid UpdateExpression: {message}"


def test_a_set_operator_on_a_string_is_refused_before_any_item_is_read() -> None:
    message = fault("ADD a1 :v", "UpdateExpression", ExpressionAttributeValues={":v": {"S": "x"}})
    assert message == (
        "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING"
    )


def test_placeholders_must_be_well_formed_and_used() -> None:
    assert fault("attribute_exists(a1)", ExpressionAttributeNames={"#x": "y"}) == (
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}"
    )
    assert fault("attribute_exists(a1)", ExpressionAttributeValues={":x": {"S": "y"}}) == (
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x}"
    )
    assert fault("attribute_exists(a1)", ExpressionAttributeNames={"x": "y"}) == (
        'ExpressionAttributeNames contains invalid key: Syntax error; key: "x"'
    )
    assert fault("a1 = :v", ExpressionAttributeValues={":v": {"SS": []}}) == (
        "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: "
        "An string set  may not be empty for key :v"
    )


def test_an_expression_has_4096_bytes_at_most() -> None:
    name = "a" * (4096 - len("attribute_exists()"))
    assert not holds(f"attribute_exists({name})", {})
    assert "Expression size has exceeded the maximum allowed size" in fault(f"attribute_exists({name}a)")


def test_what_is_wrong_first_in_a_condition_is_told_first() -> None:
    """Seen on AWS: clauses are judged in the order they are written."""
    values = {":n": {"N": "1"}}
    one = fault("a1 = :missing AND begins_with(b1, :n)", ExpressionAttributeValues=values)
    two = fault("begins_with(b1, :n) AND a1 = :missing", ExpressionAttributeValues=values)
    assert ":missing" in one
    assert "begins_with, operand type: N" in two


def test_deep_nesting_is_refused_and_never_breaks_the_parser() -> None:
    assert fault("(" * 4000).startswith("Invalid ConditionExpression: ")
    assert fault("NOT " * 1000 + "a1 = b1").startswith("Invalid ConditionExpression: ")
    assert fault("size(" * 800).startswith("Invalid ConditionExpression: ")
    assert fault("SET a1 = " + "(" * 4000, "UpdateExpression").startswith("Invalid UpdateExpression: ")
    assert fault("SET a1 = " + "list_append(" * 300, "UpdateExpression").startswith("Invalid UpdateExpression: ")
