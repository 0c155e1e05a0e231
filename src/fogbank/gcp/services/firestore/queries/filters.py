"""Filters of a query, read and refused with the service's words, as trees that say whether a document matches."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import fieldpaths, ordering, values
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fogbank.gcp.services.firestore.fieldpaths import FieldPath
    from fogbank.gcp.services.firestore.queries.view import View

# "Query limitations".
DISJUNCTIONS_MAX: Final = 30
NOT_IN_MAX: Final = 10


class Op(Enum):
    LESS_THAN = 1
    LESS_THAN_OR_EQUAL = 2
    GREATER_THAN = 3
    GREATER_THAN_OR_EQUAL = 4
    EQUAL = 5
    NOT_EQUAL = 6
    ARRAY_CONTAINS = 7
    IN = 8
    ARRAY_CONTAINS_ANY = 9
    NOT_IN = 10
    IS_NAN = 102
    IS_NULL = 103
    IS_NOT_NAN = 104
    IS_NOT_NULL = 105


_UNARY: Final = {2: Op.IS_NAN, 3: Op.IS_NULL, 4: Op.IS_NOT_NAN, 5: Op.IS_NOT_NULL}  # By the wire's number.
RANGES: Final = frozenset((Op.LESS_THAN, Op.LESS_THAN_OR_EQUAL, Op.GREATER_THAN, Op.GREATER_THAN_OR_EQUAL))
_NEGATIVES: Final = frozenset((Op.NOT_EQUAL, Op.NOT_IN, Op.IS_NOT_NAN, Op.IS_NOT_NULL))
INEQUALITIES: Final = RANGES | _NEGATIVES
_LISTS: Final = {Op.IN: DISJUNCTIONS_MAX, Op.ARRAY_CONTAINS_ANY: DISJUNCTIONS_MAX, Op.NOT_IN: NOT_IN_MAX}
_ARRAYS: Final = frozenset((Op.ARRAY_CONTAINS, Op.ARRAY_CONTAINS_ANY))


@dataclass(frozen=True, slots=True)
class Comparison:
    field: FieldPath
    op: Op
    operands: tuple[bytes, ...]  # Encoded; one, but for the operators that take a list.

    def matches(self, view: View) -> bool:
        if self.op in _ARRAYS:
            return not view.members(self.field).isdisjoint(self.operands)
        key = view.key(self.field)
        return key is not None and _TESTS[self.op](key, self.operands)


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Filter, ...]

    def matches(self, view: View) -> bool:
        return all(part.matches(view) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple[Filter, ...]

    def matches(self, view: View) -> bool:
        return any(part.matches(view) for part in self.parts)


Filter = Comparison | All | Either
EVERYTHING: Final = All(())


def comparisons(tree: Filter) -> Iterator[Comparison]:
    if isinstance(tree, Comparison):
        yield tree
    else:
        for part in tree.parts:
            yield from comparisons(part)


def unequal_fields(tree: Filter) -> set[FieldPath]:
    """By which the answers are sorted although nobody says so. What nothing can match asks for no order."""
    return {leaf.field for leaf in comparisons(tree) if leaf.op in INEQUALITIES and not _matches_nothing(leaf)}


def _matches_nothing(leaf: Comparison) -> bool:
    return not leaf.operands if leaf.op in RANGES else ordering.NULL in leaf.operands


# Whether a value matches ---------------------------------------------------------------------------------------------


def _equal(key: bytes, operands: tuple[bytes, ...]) -> bool:
    return key in operands  # Those that equal nothing, NULL and NaN, were left out when the filter was read.


def _not_equal(key: bytes, operands: tuple[bytes, ...]) -> bool:
    """A field that is null differs from nothing; nothing differs from null, and everything from NaN."""
    return key != ordering.NULL and ordering.NULL not in operands and (key not in operands or ordering.is_nan(key))


def _range(holds: Callable[[bytes, bytes], bool]) -> Callable[[bytes, tuple[bytes, ...]], bool]:
    """Only values of the operand's own type are less or greater than it, and NaN is not."""

    def test(key: bytes, operands: tuple[bytes, ...]) -> bool:
        return bool(operands) and key[0] == operands[0][0] and not ordering.is_nan(key) and holds(key, operands[0])

    return test


_TESTS: Final[dict[Op, Callable[[bytes, tuple[bytes, ...]], bool]]] = {
    Op.EQUAL: _equal,
    Op.IN: _equal,
    Op.NOT_EQUAL: _not_equal,
    Op.NOT_IN: _not_equal,
    Op.LESS_THAN: _range(lambda key, operand: key < operand),
    Op.LESS_THAN_OR_EQUAL: _range(lambda key, operand: key <= operand),
    Op.GREATER_THAN: _range(lambda key, operand: key > operand),
    Op.GREATER_THAN_OR_EQUAL: _range(lambda key, operand: key >= operand),
    Op.IS_NULL: lambda key, _: key == ordering.NULL,
    Op.IS_NAN: lambda key, _: ordering.is_nan(key),
    Op.IS_NOT_NULL: lambda key, _: key != ordering.NULL,
    Op.IS_NOT_NAN: lambda key, _: key != ordering.NULL and not ordering.is_nan(key),
}


# Reading -------------------------------------------------------------------------------------------------------------


def read(message: Any) -> Filter:
    """Of a `StructuredQuery.Filter`. Raises `RpcError`."""
    kind = message.WhichOneof("filter_type")
    if kind == "composite_filter":
        return _read_composite(message.composite_filter)
    if kind == "field_filter":
        return _read_comparison(message.field_filter)
    if kind == "unary_filter":
        return _read_unary(message.unary_filter)
    raise invalid("Unknown Filter type.")


def _read_composite(message: Any) -> Filter:
    parts = tuple(map(read, message.filters))
    if message.op == 1:
        return parts[0] if len(parts) == 1 else All(parts)
    if message.op != 2:
        raise invalid("Unsupported CompositeFilter operator.")
    if not parts:
        raise invalid("Composite filter must have at least one sub-filter.")
    return Either(parts)


def _read_unary(message: Any) -> Comparison:
    field = fieldpaths.parse(message.field.field_path)
    if message.op not in _UNARY:
        raise invalid("Unknown UnaryFilter operator.")
    if field == fieldpaths.NAME:
        raise invalid("__key__ filter value must be a Key")
    return Comparison(field, _UNARY[message.op], ())


def _read_comparison(message: Any) -> Comparison:
    field = fieldpaths.parse(message.field.field_path)
    if not 1 <= message.op <= 10:
        raise invalid("Unknown FieldFilter operator.")
    op = Op(message.op)
    if field == fieldpaths.NAME and op in _ARRAYS:
        raise invalid("the name __key__ is reserved")
    operands = _members(op, message.value) if op in _LISTS else [message.value]
    for operand in operands:
        values.check_value(operand)
    if field == fieldpaths.NAME and any(each.WhichOneof("value_type") != "reference_value" for each in operands):
        raise invalid("__key__ filter value must be a Key")
    encoded = tuple(map(ordering.encode, operands))
    if op not in _NEGATIVES:
        encoded = tuple(each for each in encoded if each != ordering.NULL and not ordering.is_nan(each))
    return Comparison(field, op, encoded)


def _members(op: Op, value: Any) -> list[Any]:
    if value.WhichOneof("value_type") != "array_value":
        raise invalid(f"'{op.name}' requires an ArrayValue.")
    members = list(value.array_value.values)
    if not members:
        raise invalid(f"'{op.name}' requires an non-empty ArrayValue.")
    if len(members) > _LISTS[op]:
        raise invalid(f"'{op.name}' supports up to {_LISTS[op]} comparison values.")
    return members


# Disjunctions --------------------------------------------------------------------------------------------------------

Conjunction = tuple[Comparison, ...]


def disjunctions(tree: Filter) -> list[Conjunction]:
    """The tree as an "or" of "and"s, where an IN is an "or" of equalities. Raises `RpcError`."""
    count = _count(tree)
    if count > DISJUNCTIONS_MAX:
        raise invalid(
            f"Too many disjunctions after normalization. Result had {count} disjunctions which is more than the "
            f"maximum of {DISJUNCTIONS_MAX}"
        )
    return list(_normal(tree))


def _count(tree: Filter) -> int:
    if isinstance(tree, Comparison):
        return max(1, len(tree.operands)) if tree.op in (Op.IN, Op.ARRAY_CONTAINS_ANY) else 1
    counts = [_count(part) for part in tree.parts]
    if isinstance(tree, Either):
        return sum(counts)
    product = 1
    for count in counts:
        product *= count
    return product


_SINGLE: Final = {Op.IN: Op.EQUAL, Op.ARRAY_CONTAINS_ANY: Op.ARRAY_CONTAINS}


def _normal(tree: Filter) -> Iterator[Conjunction]:
    if isinstance(tree, Comparison):
        if tree.op in _SINGLE and tree.operands:
            for operand in tree.operands:
                yield (Comparison(tree.field, _SINGLE[tree.op], (operand,)),)
        else:
            yield (tree,)
    elif isinstance(tree, Either):
        for part in tree.parts:
            yield from _normal(part)
    else:
        for combination in itertools.product(*(list(_normal(part)) for part in tree.parts)):
            yield tuple(itertools.chain.from_iterable(combination))


def check(tree: Filter) -> None:
    """What may not stand together ("Query limitations"). Raises `RpcError`."""
    leaves = list(comparisons(tree))
    if sum(leaf.op in _NEGATIVES for leaf in leaves) > 1:
        raise invalid("Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter allowed per query.")
    ops = {leaf.op for leaf in leaves}
    if Op.NOT_IN in ops and (Op.IN in ops or Op.ARRAY_CONTAINS_ANY in ops or _has_either(tree)):
        raise invalid("'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'.")
    for conjunction in disjunctions(tree):
        if sum(leaf.op in _ARRAYS for leaf in conjunction) > 1:
            raise invalid("A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.")


def _has_either(tree: Filter) -> bool:
    return isinstance(tree, Either) or (isinstance(tree, All) and any(map(_has_either, tree.parts)))
