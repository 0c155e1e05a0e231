"""The expression parameters of one request: compiled, complete, all placeholders used, not mixed with legacy ones."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.services.dynamodb.expressions.conditions import compile_condition, compile_key_condition
from fogbank.aws.services.dynamodb.expressions.lexer import BadExpression, Compiled
from fogbank.aws.services.dynamodb.expressions.projections import compile_projection
from fogbank.aws.services.dynamodb.expressions.updates import compile_update
from fogbank.aws.services.dynamodb.values import Item, measure, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_COMPILERS: Final[dict[str, Callable[[str, Mapping[str, str]], Compiled]]] = {
    "ConditionExpression": compile_condition,
    "FilterExpression": compile_condition,
    "KeyConditionExpression": compile_key_condition,
    "UpdateExpression": compile_update,
    "ProjectionExpression": compile_projection,
}
_is_name = re.compile(r"#[0-9a-zA-Z_]+").fullmatch
_is_value = re.compile(r":[0-9a-zA-Z_]+").fullmatch
_NO_NAMES: Final[dict[str, str]] = {}
_NO_VALUES: Final[Item] = {}


@lru_cache(maxsize=2048)
def compiled(kind: str, text: str, names: tuple[tuple[str, str], ...]) -> Compiled:
    """Compiled once for each text and set of names, for programs send the same few again and again."""
    try:
        return _COMPILERS[kind](text, dict(names))
    except BadExpression as error:
        raise refuse(f"Invalid {kind}: {error}") from None


def read(
    request: Mapping[str, Any], kinds: Sequence[str], legacy: Sequence[str] = (), *, check: bool = True
) -> dict[str, Compiled]:
    """The compiled expressions of the kinds that this operation takes, by kind. `legacy`: the parameters that they may
    not stand beside. Raises the ValidationException that DynamoDB gives."""
    if check:
        _check_mixture(request, kinds, legacy)
    names: Mapping[str, str] = request.get("ExpressionAttributeNames", _NO_NAMES)
    values: Item = request.get("ExpressionAttributeValues", _NO_VALUES)
    if names or values:
        _check_placeholders(request)
    found: dict[str, Compiled] = {}
    key = tuple(names.items())
    for kind in kinds:
        text = request.get(kind)
        if text is not None:
            found[kind] = expression = compiled(kind, text, key)
            _verify(kind, expression, values)
    if names or values:
        _check_all_used(found, names, values)
    return found


def _verify(kind: str, expression: Compiled, values: Item) -> None:
    try:
        expression.verify(values)
    except BadExpression as error:
        raise refuse(f"Invalid {kind}: {error}") from None


def _check_mixture(request: Mapping[str, Any], kinds: Sequence[str], legacy: Sequence[str]) -> None:
    given = [kind for kind in kinds if kind in request]
    old = [name for name in legacy if name in request]
    if given and old:
        raise refuse(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(old)}}} Expression parameters: {{{', '.join(given)}}}"
        )
    if given:
        return
    if "ExpressionAttributeNames" in request:
        raise refuse("ExpressionAttributeNames can only be specified when using expressions")
    if "ExpressionAttributeValues" in request:
        able = [kind for kind in kinds if kind != "ProjectionExpression"]
        verb = "are" if len(able) > 1 else "is"
        raise refuse(
            f"ExpressionAttributeValues can only be specified when using expressions: {' and '.join(able)} {verb} null"
        )


def _check_placeholders(request: Mapping[str, Any]) -> None:
    names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    if names is not None and not names:
        raise refuse("ExpressionAttributeNames must not be empty")
    for name in names or ():
        if not _is_name(name):
            raise refuse(f'ExpressionAttributeNames contains invalid key: Syntax error; key: "{name}"')
    if values is not None and not values:
        raise refuse("ExpressionAttributeValues must not be empty")
    for name, value in (values or {}).items():
        if not _is_value(name):
            raise refuse(f'ExpressionAttributeValues contains invalid key: Syntax error; key: "{name}"')
        try:
            measure(value)
        except ValueError as error:
            raise refuse(f"ExpressionAttributeValues contains invalid value: {error} for key {name}") from None


def _check_all_used(found: Mapping[str, Compiled], names: Mapping[str, str], values: Item) -> None:
    for parameter, given, used in (
        ("ExpressionAttributeNames", names, {name for each in found.values() for name in each.names}),
        ("ExpressionAttributeValues", values, {name for each in found.values() for name in each.values}),
    ):
        unused = [name for name in given if name not in used]
        if unused:
            raise refuse(f"Value provided in {parameter} unused in expressions: keys: {{{', '.join(unused)}}}")
