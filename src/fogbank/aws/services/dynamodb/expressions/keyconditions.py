"""Key conditions, from an expression or from the legacy KeyConditions: which attribute, which test, which values."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fogbank.aws.services.dynamodb.expressions.conditions import Node, parse
from fogbank.aws.services.dynamodb.values import Item, Value, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIRRORED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_INVALID: Final = "Invalid condition in KeyConditionExpression: "


class KeyTest(NamedTuple):
    attribute: str
    test: str  # "=", "<", "<=", ">", ">=", "BETWEEN", "begins_with".
    values: tuple[Value, ...]


def from_expression(text: str, names: Mapping[str, str], values: Item) -> dict[str, KeyTest]:
    """By attribute; the expression is known to be a valid condition."""
    return {
        attribute: KeyTest(attribute, test, tuple(values[name] for name in placeholders))
        for attribute, test, placeholders in _tests(text, tuple(names.items()))
    }


@lru_cache(maxsize=1024)
def _tests(text: str, names: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    tree, _ = parse(text, dict(names))
    found: dict[str, Any] = {}
    _gather(tree, found)
    return tuple(found.values())


def _gather(node: Node, found: dict[str, Any]) -> None:
    if node.kind == "and":
        for arg in node.args:
            _gather(arg, found)
        return
    _check_operator(node)
    attribute, position = "", 0
    for index, arg in enumerate(node.args):
        if arg.kind == "path":
            if attribute:
                raise refuse(f"{_INVALID}Multiple attribute names used in one condition")
            if len(arg.path) > 1:
                raise refuse("KeyConditionExpressions cannot have conditions on nested attributes")
            attribute, position = str(arg.path[0]), index
        elif arg.kind == "call":
            raise refuse("KeyConditionExpressions cannot contain nested operations")
    if not attribute:
        raise refuse(f"{_INVALID}No key attribute specified")
    if attribute in found:
        raise refuse("Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key")
    test = _MIRRORED[node.name] if position else node.name
    values = tuple(arg.name for index, arg in enumerate(node.args) if index != position)
    found[attribute] = (attribute, test, values)


def _check_operator(node: Node) -> None:
    if node.kind in {"or", "not", "in"} or node.name == "<>":
        name = "<>" if node.name == "<>" else node.kind.upper()
        raise refuse(f"Invalid operator used in KeyConditionExpression: {name}")
    if node.kind == "call" and node.name == "size":
        raise refuse("KeyConditionExpressions cannot contain nested operations")
    if node.kind == "call" and node.name != "begins_with":
        raise refuse(f"Invalid operator used in KeyConditionExpression: {node.name}")
    if (node.kind == "between" or node.name == "begins_with") and node.args[0].kind != "path":
        raise refuse(f"{_INVALID}{node.name} operator must have the key attribute as its first operand")
