"""Update expressions: SET, REMOVE, ADD and DELETE, all seeing the item as it was before any of them.

"Using update expressions in DynamoDB".
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.services.dynamodb import numbers
from fogbank.aws.services.dynamodb.expressions.lexer import (
    FUNCTION_NAME,
    OPERANDS,
    SECTION,
    TYPES,
    BadExpression,
    Compiled,
    Path,
    Reader,
    check_paths,
    look_up,
    type_check,
    wrong_type,
)
from fogbank.aws.services.dynamodb.values import SETS, Item, Value, kind_of, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECTIONS: Final = ("SET", "REMOVE", "ADD", "DELETE")
_WRONG_TYPE: Final = "An operand in the update expression has an incorrect data type"
_NO_PATH: Final = "The document path provided in the update expression is invalid for update"
_NO_ATTRIBUTE: Final = "The provided expression refers to an attribute that does not exist in the item"
_LONG_NAMES: Final = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "NULL": "NULL",
    "BOOL": "BOOLEAN",
    "L": "LIST",
    "M": "MAP",
}


@dataclass(frozen=True, slots=True)
class Action:
    kind: str
    path: Path
    get: Callable[[Item, Mapping[str, Value]], Value] | None = None


def compile_update(text: str, names: Mapping[str, str]) -> Compiled:
    reader = Reader(text, names)
    actions: list[Action] = []
    seen: set[str] = set()
    while reader.peek().kind != "end":
        if not reader.at_word(*SECTIONS):
            raise reader.syntax_error()
        section = reader.take().text.upper()
        if section in seen:
            reader.problem(SECTION, f'The "{section}" section can only be used once in an update expression;')
        seen.add(section)
        actions.append(_action(reader, section))
        while reader.accept(","):
            actions.append(_action(reader, section))
    paths = [action.path for action in actions]
    check_paths(reader, paths)
    return reader.compiled(paths=paths, run=lambda item, values: apply(actions, item, values))


# Parsing -------------------------------------------------------------------------------------------------------------


def _action(reader: Reader, section: str) -> Action:
    path = reader.path()
    if section == "SET":
        reader.expect("=")
        return Action(section, path, _sum(reader))
    if section == "REMOVE":
        return Action(section, path)
    name = reader.value()
    type_check(
        reader,
        name,
        SETS | {"N"} if section == "ADD" else SETS,
        lambda kind: (
            "Incorrect operand type for operator or function; "
            f"operator: {section}, operand type: {_LONG_NAMES.get(kind, kind)}"
        ),
    )
    return Action(section, path, lambda _item, values: values[name])


def _sum(reader: Reader, depth: int = 0) -> Callable[[Item, Mapping[str, Value]], Value]:
    left, left_name = _operand(reader, depth)
    if not reader.at("+", "-"):
        return left
    sign = reader.take().text
    reader.operator()
    right, right_name = _operand(reader, depth)
    for name in (left_name, right_name):
        if name:
            type_check(reader, name, frozenset("N"), wrong_type(sign))
    compute = numbers.add if sign == "+" else numbers.subtract

    def run(item: Item, values: Mapping[str, Value]) -> Value:
        one, other = left(item, values), right(item, values)
        if "N" not in one or "N" not in other:
            raise refuse(_WRONG_TYPE)
        try:
            return {"N": compute(one["N"], other["N"])}
        except numbers.NotANumber as error:
            raise refuse(str(error)) from None

    return run


def _operand(reader: Reader, depth: int) -> tuple[Callable[[Item, Mapping[str, Value]], Value], str]:
    """How to get it, and its name if it is a placeholder's value."""
    if depth > 30:  # Deeper than functions make sense.
        raise BadExpression("The expression is nested too deeply;")
    if reader.accept("("):
        inner = _sum(reader, depth + 1)
        reader.expect(")")
        return inner, ""
    if reader.peek().kind == ":":
        name = reader.value()
        return (lambda _item, values: values[name]), name
    following = reader.peek(1)
    if reader.peek().kind == "name" and following.kind == "op" and following.text == "(":
        return _call(reader, depth), ""
    path = reader.path()
    return (lambda item, _values: _existing(item, path)), ""


def _existing(item: Item, path: Path) -> Value:
    value = look_up(item, path)
    if value is None:
        raise refuse(_NO_ATTRIBUTE)
    return deepcopy(value) if "M" in value or "L" in value else value


def _call(reader: Reader, depth: int) -> Callable[[Item, Mapping[str, Value]], Value]:
    name = reader.take().text
    reader.operator()
    reader.expect("(")
    start = reader.peek()
    args: list[tuple[Callable[[Item, Mapping[str, Value]], Value], str]] = []
    first_path: Path | None = None
    if start.kind in {"name", "#"} and not (reader.peek(1).kind == "op" and reader.peek(1).text == "("):
        first_path = reader.path()
        path = first_path
        args.append(((lambda item, _values: _existing(item, path)), ""))
    else:
        args.append(_operand(reader, depth + 1))
    while reader.accept(","):
        args.append(_operand(reader, depth + 1))
    reader.expect(")")
    if name not in {"if_not_exists", "list_append"}:
        reader.problem(FUNCTION_NAME, f"Invalid function name; function: {name}")
    elif len(args) != 2:  # Both functions take two.
        reader.problem(
            OPERANDS,
            "Incorrect number of operands for operator or function; "
            f"operator or function: {name}, number of operands: {len(args)}",
        )
    elif name == "if_not_exists":
        if first_path is None:
            message = f"Operator or function requires a document path; operator or function: {name}"
            reader.problem(TYPES, message)
        else:
            return _if_not_exists(first_path, args[1][0])
    else:
        for _, placeholder in args:
            if placeholder:
                type_check(reader, placeholder, frozenset("L"), wrong_type(name))
        return _list_append(args[0][0], args[1][0])
    return lambda _item, _values: {}


def _if_not_exists(path: Path, otherwise: Any) -> Callable[[Item, Mapping[str, Value]], Value]:
    def run(item: Item, values: Mapping[str, Value]) -> Value:
        return otherwise(item, values) if look_up(item, path) is None else _existing(item, path)

    return run


def _list_append(left: Any, right: Any) -> Callable[[Item, Mapping[str, Value]], Value]:
    def run(item: Item, values: Mapping[str, Value]) -> Value:
        one, other = left(item, values), right(item, values)
        if "L" not in one or "L" not in other:
            raise refuse(_WRONG_TYPE)
        return {"L": one["L"] + other["L"]}

    return run


# Applying ------------------------------------------------------------------------------------------------------------

_GONE: Final[Value] = {"gone": None}  # Keeps its place in a list until all actions are done.


def apply(actions: list[Action], item: Item, values: Mapping[str, Value]) -> None:
    """Change the item in place. Every value is worked out before anything is changed."""
    wanted = [None if action.get is None else action.get(item, values) for action in actions]
    lists: dict[int, list[Value]] = {}  # Those that may hold gaps now, by identity.
    added: dict[int, dict[int, Value]] = {}  # Elements set beyond the end of a list.
    for action, value in zip(actions, wanted, strict=True):
        holder, last = _holder(item, action.path), action.path[-1]
        if isinstance(holder, list) and isinstance(last, int):
            lists[id(holder)] = holder
            _act_on_element(action, value, holder, last, added.setdefault(id(holder), {}))
        elif isinstance(holder, dict):
            _act(action, value, holder, last)
    for identity, holder in lists.items():
        holder.extend(value for _, value in sorted(added[identity].items()))
        holder[:] = [element for element in holder if element is not _GONE]


def _holder(item: Item, path: Path) -> Item | list[Value]:
    """The map or list that the last part of the path is looked up in."""
    if len(path) == 1:
        return item
    value = look_up(item, path[:-1])
    content = None if value is None else value.get("L" if isinstance(path[-1], int) else "M")
    if content is None:
        raise refuse(_NO_PATH)
    return content  # type: ignore[no-any-return]  # An L holds a list, an M a map.


def _act(action: Action, value: Value | None, holder: Any, last: Any) -> None:
    if action.kind == "REMOVE":
        holder.pop(last, None)
        return
    result = value if action.kind == "SET" else combined(action.kind, holder.get(last), value or {})
    if result is None:
        holder.pop(last, None)
    else:
        holder[last] = result


def _act_on_element(
    action: Action, value: Value | None, holder: list[Value], index: int, added: dict[int, Value]
) -> None:
    """A list grows only at its end, and closes up only after all actions ("Removing elements from a list")."""
    old = holder[index] if index < len(holder) else None
    if action.kind == "REMOVE":
        if old is not None:
            holder[index] = _GONE
        return
    result = value if action.kind == "SET" else combined(action.kind, old, value or {})
    if result is None:
        if old is not None:
            holder[index] = _GONE
    elif old is None:
        added[index] = result
    else:
        holder[index] = result


def combined(kind: str, old: Value | None, value: Value, wrong_type_message: str = _WRONG_TYPE) -> Value | None:
    """What ADD or DELETE makes of an attribute; None: it is gone, for no set may be empty."""
    value_kind = kind_of(value)
    if old is not None and value_kind not in old:
        raise refuse(wrong_type_message)
    if value_kind == "N":
        try:
            return {"N": numbers.add(old["N"] if old else "0", value["N"])}
        except numbers.NotANumber as error:
            raise refuse(str(error)) from None
    members = old[value_kind] if old else []
    if kind == "ADD":
        return {value_kind: members + [member for member in value[value_kind] if member not in members]}
    left = [member for member in members if member not in value[value_kind]]
    return {value_kind: left} if left else None
