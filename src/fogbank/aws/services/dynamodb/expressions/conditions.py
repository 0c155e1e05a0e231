"""Condition, filter and key condition expressions: text to a tree, a tree to a function of an item.

"Condition and filter expressions, operators, and functions in DynamoDB": BETWEEN, IN and comparisons bind strongest,
then NOT, AND, OR.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fogbank.aws.services.dynamodb.expressions import compare
from fogbank.aws.services.dynamodb.expressions.lexer import (
    DEPTH_MAX,
    DISTINCT,
    FUNCTION_NAME,
    MISUSED,
    OPERANDS,
    PARENS,
    TYPES,
    BadExpression,
    Compiled,
    Path,
    Reader,
    look_up,
    path_text,
    type_check,
    wrong_type,
)
from fogbank.aws.services.dynamodb.values import Item, Value, kind_of, sort_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

COMPARATORS: Final = ("=", "<>", "<", "<=", ">", ">=")
IN_OPERANDS_MAX: Final = 100
_ARITY: Final = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
}
_ORDERED: Final = frozenset(("S", "N", "B"))
_TEXTUAL: Final = frozenset(("S", "B"))
_SIZED: Final = frozenset(("S", "B", "SS", "NS", "BS", "L", "M"))
_TYPE_NAMES: Final = ("B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M")


@dataclass(frozen=True, slots=True)
class Node:
    """An operand ("path", "value", "call") or a condition ("compare", "between", "in", "call", "and", "or", "not")."""

    kind: str
    name: str = ""  # The placeholder, the function or the comparator.
    path: Path = ()
    args: tuple[Node, ...] = ()
    in_parens: bool = False

    @property
    def is_operand(self) -> bool:
        return self.kind in {"path", "value"} or (self.kind == "call" and self.name == "size")

    @property
    def is_condition(self) -> bool:
        return self.kind not in {"path", "value"} and not (self.kind == "call" and self.name == "size")


def parse(text: str, names: Mapping[str, str]) -> tuple[Node, Reader]:
    reader = Reader(text, names)
    tree = _condition(reader, _either(reader, 0))
    if reader.peek().kind != "end":
        raise reader.syntax_error()
    return tree, reader


def compile_condition(text: str, names: Mapping[str, str]) -> Compiled:
    tree, reader = parse(text, names)
    return reader.compiled(run=_runner(tree))


def compile_key_condition(text: str, names: Mapping[str, str]) -> Compiled:
    """Only here are redundant parentheses taken (seen on AWS)."""
    compiled = compile_condition(text, names)
    compiled.problems = [problem for problem in compiled.problems if problem[0] != (PARENS,)]
    return compiled


# Parsing -------------------------------------------------------------------------------------------------------------


def _condition(reader: Reader, node: Node) -> Node:
    """A bare operand is no condition; what follows it is what DynamoDB stumbles over."""
    if node.kind in {"path", "value"}:
        raise reader.syntax_error()
    if not node.is_condition:
        reader.problem(MISUSED, _misused(node.name))
    return node


def _misused(name: str) -> str:
    return f"The function is not allowed to be used this way in an expression; function: {name}"


def _either(reader: Reader, depth: int) -> Node:
    node = _both(reader, depth)
    while reader.at_word("OR"):
        reader.take()
        reader.operator()
        node = Node("or", args=(_condition(reader, node), _condition(reader, _both(reader, depth))))
    return node


def _both(reader: Reader, depth: int) -> Node:
    node = _negated(reader, depth)
    while reader.at_word("AND"):
        reader.take()
        reader.operator()
        node = Node("and", args=(_condition(reader, node), _condition(reader, _negated(reader, depth))))
    return node


def _negated(reader: Reader, depth: int) -> Node:
    if depth > DEPTH_MAX:
        raise BadExpression("The expression is nested too deeply;")
    if reader.at_word("NOT"):
        reader.take()
        reader.operator()
        return Node("not", args=(_condition(reader, _negated(reader, depth + 1)),))
    return _relation(reader, depth)


def _relation(reader: Reader, depth: int) -> Node:
    node = _one_relation(reader, depth)
    reader.clause += 1
    return node


def _one_relation(reader: Reader, depth: int) -> Node:
    left = _primary(reader, depth)
    if reader.at(*COMPARATORS):
        name = reader.take().text
        reader.operator()
        node = Node("compare", name, args=(left, _operand(reader, depth)))
    elif reader.at_word("BETWEEN"):
        reader.take()
        reader.operator()
        low = _operand(reader, depth)
        if not reader.at_word("AND"):
            raise reader.syntax_error()
        reader.take()
        node = Node("between", "BETWEEN", args=(left, low, _operand(reader, depth)))
    elif reader.at_word("IN"):
        reader.take()
        reader.operator()
        reader.expect("(")
        node = Node("in", "IN", args=(left, *_arguments(reader, depth)))
    else:
        return left
    _check_relation(reader, node)
    return node


def _operand(reader: Reader, depth: int) -> Node:
    return _primary(reader, depth)


def _primary(reader: Reader, depth: int) -> Node:
    if reader.accept("("):
        node = _either(reader, depth + 1)
        if not reader.at(")"):
            raise reader.syntax_error()
        reader.take()
        if node.in_parens:
            reader.problem(PARENS, "The expression has redundant parentheses;")
        return replace(node, in_parens=True)
    token = reader.peek()
    if token.kind == ":":
        return Node("value", reader.value())
    following = reader.peek(1)
    if token.kind == "name" and following.kind == "op" and following.text == "(":
        if token.text.upper() in {"AND", "OR", "NOT", "BETWEEN", "IN"}:
            raise reader.syntax_error()
        return _call(reader, depth)
    if token.kind == "name" and token.text.upper() in {"AND", "OR", "NOT", "BETWEEN", "IN"}:
        raise reader.syntax_error()
    return Node("path", path=reader.path())


def _call(reader: Reader, depth: int) -> Node:
    name = reader.take().text
    reader.operator()
    reader.expect("(")
    node = Node("call", name, args=tuple(_arguments(reader, depth)))
    _check_call(reader, node)
    return node


def _arguments(reader: Reader, depth: int) -> list[Node]:
    arguments = [_primary(reader, depth + 1)]
    while reader.accept(","):
        arguments.append(_primary(reader, depth + 1))
    reader.expect(")")
    return arguments


# Checks that need no item --------------------------------------------------------------------------------------------


def _check_operands(reader: Reader, nodes: Sequence[Node]) -> None:
    for node in nodes:
        if node.kind == "call" and node.name != "size":
            reader.problem(MISUSED, _misused(node.name))
        elif not node.is_operand:
            raise reader.syntax_error()


def _check_distinct(reader: Reader, name: str, args: Sequence[Node]) -> None:
    first = args[0]
    if first.kind == "path" and any(arg.path == first.path for arg in args[1:]):
        reader.problem(
            DISTINCT,
            "The first operand must be distinct from the remaining operands for this operator or function; "
            f"operator: {name}, first operand: {path_text(first.path)}",
        )


def _check_relation(reader: Reader, node: Node) -> None:
    _check_operands(reader, node.args)
    if node.kind != "between":
        _check_distinct(reader, node.name, node.args)
    if node.kind == "between":
        _check_bounds(reader, *node.args[1:])
    if node.kind == "in" and len(node.args) - 1 > IN_OPERANDS_MAX:
        reader.problem(
            OPERANDS,
            f"The IN operator is provided with too many operands; number of operands: {len(node.args) - 1}",
        )
    if node.kind == "between" or node.name in {"<", "<=", ">", ">="}:
        for arg in node.args:
            if arg.kind == "value":
                type_check(reader, arg.name, _ORDERED, wrong_type(node.name))


def _check_bounds(reader: Reader, low: Node, high: Node) -> None:
    if low.kind != "value" or high.kind != "value":
        return

    def test(values: Mapping[str, Value]) -> str | None:
        lower, upper = values[low.name], values[high.name]
        shown = [f"bound operand: AttributeValue: {_shown(bound)}" for bound in (lower, upper)]
        bounds = f"lower {shown[0]}, upper {shown[1]}"
        if kind_of(lower) != kind_of(upper):
            return f"The BETWEEN operator requires same data type for lower and upper bounds; {bounds}"
        first, last = sort_key(lower), sort_key(upper)
        if first is not None and last is not None and first > last:
            return f"The BETWEEN operator requires upper bound to be greater than or equal to lower bound; {bounds}"
        return None

    reader.check(TYPES, (low.name, high.name), test)


def _shown(value: Value) -> str:
    kind = kind_of(value)
    return f"{{{kind}:{value[kind]}}}"


def _check_call(reader: Reader, node: Node) -> None:
    name, args = node.name, node.args
    if name not in _ARITY:
        reader.problem(FUNCTION_NAME, f"Invalid function name; function: {name}")
        return
    _check_operands(reader, args)
    if len(args) != _ARITY[name]:
        reader.problem(
            OPERANDS,
            "Incorrect number of operands for operator or function; "
            f"operator or function: {name}, number of operands: {len(args)}",
        )
        return
    _check_distinct(reader, name, args)
    if name in {"attribute_exists", "attribute_not_exists"} and args[0].kind != "path":
        reader.problem(TYPES, f"Operator or function requires a document path; operator or function: {name}")
    elif name == "begins_with":
        for arg in args:
            _check_type(reader, name, arg, _TEXTUAL)
    elif name == "size":
        _check_type(reader, name, args[0], _SIZED)
    elif name == "attribute_type":
        _check_type_name(reader, args[1])


def _check_type(reader: Reader, function: str, arg: Node, allowed: frozenset[str]) -> None:
    if arg.kind == "value":
        type_check(reader, arg.name, allowed, wrong_type(function))
    elif arg.kind == "call" and "N" not in allowed:
        reader.problem(TYPES, wrong_type(function)("N"))


def _check_type_name(reader: Reader, arg: Node) -> None:
    if arg.kind != "value":
        reader.problem(TYPES, wrong_type("attribute_type")("{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"))
        return
    type_check(reader, arg.name, frozenset("S"), wrong_type("attribute_type"))

    def test(values: Mapping[str, Value]) -> str | None:
        named = values[arg.name].get("S")
        if named is None or named in _TYPE_NAMES:
            return None
        return f"Invalid attribute type name found; type: {named}, valid types: {{{','.join(_TYPE_NAMES)}}}"

    reader.check(TYPES, (arg.name,), test)


# Running -------------------------------------------------------------------------------------------------------------

Run = "Callable[[Item, Mapping[str, Value]], bool]"
Get = "Callable[[Item, Mapping[str, Value]], Value | None]"


def _getter(node: Node) -> Callable[[Item, Mapping[str, Value]], Value | None]:
    if node.kind == "value":
        name = node.name
        return lambda _item, values: values[name]
    if node.kind == "path":
        path = node.path
        if len(path) == 1:
            head = str(path[0])
            return lambda item, _values: item.get(head)
        return lambda item, _values: look_up(item, path)
    inner = _getter(node.args[0]) if node.args else (lambda _item, _values: None)
    return lambda item, values: compare.size_of(inner(item, values))


def _runner(node: Node) -> Callable[[Item, Mapping[str, Value]], bool]:
    if node.kind in {"and", "or"}:
        one, two = (_runner(arg) for arg in node.args)
        if node.kind == "and":
            return lambda item, values: one(item, values) and two(item, values)
        return lambda item, values: one(item, values) or two(item, values)
    if node.kind == "not":
        inner = _runner(node.args[0])
        return lambda item, values: not inner(item, values)
    test: Callable[..., bool] = compare.TESTS.get(node.name, _never)
    getters = [_getter(arg) for arg in node.args]
    if len(getters) == 1:
        only = getters[0]
        return lambda item, values: test(only(item, values))
    if len(getters) == 2:  # The usual case, without a list.
        left, right = getters
        return lambda item, values: test(left(item, values), right(item, values))
    return lambda item, values: test(*(get(item, values) for get in getters))


def _never(*_: Value | None) -> bool:
    return False
