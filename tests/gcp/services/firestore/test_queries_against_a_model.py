"""Whatever is written and asked, the engine answers as one does who looks at every document, now and as it was."""

from __future__ import annotations

import asyncio
import math
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fogbank.gcp.services.firestore import messages
from fogbank.gcp.services.firestore.names import Database
from fogbank.gcp.services.firestore.queries import run, shape
from fogbank.gcp.services.firestore.state import Documents
from fogbank.gcp.services.firestore.writes import write_all
from tests.gcp.services.firestore import naive
from tests.support.stores import DRIVERS, fresh

DATABASE = Database("p", "(default)")
SCALARS = st.sampled_from(
    [("null", 0), ("boolean", True), ("number", 0), ("number", -0.0), ("number", 1), ("number", 1.0), ("number", 2),
     ("number", math.nan), ("string", ""), ("string", "x"), ("string", "x" * 1600), ("string", "x" * 1599 + "y")]
)  # fmt: skip
OFTEN = st.one_of(st.sampled_from([("number", 1), ("number", 1.0), ("number", 2)]), SCALARS)  # Equals are what is hard.
ARRAYS = st.tuples(st.just("array"), st.lists(SCALARS, max_size=2))
FIELDS = st.fixed_dictionaries(
    {}, optional={"a": OFTEN, "b": OFTEN, "c": ARRAYS, "m": st.just(("map", {"x": ("number", 1)}))}
)
DOCUMENTS = st.one_of(
    st.dictionaries(st.sampled_from("pqrstuv"), FIELDS, max_size=7),
    st.fixed_dictionaries({name: st.fixed_dictionaries({"a": OFTEN, "b": OFTEN}) for name in "pqrstuv"}),
)
EQUALITIES, RANGES = ("EQUAL",), ("LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL")
COMPARISONS = st.one_of(
    st.tuples(st.sampled_from("ab"), st.sampled_from(EQUALITIES + RANGES), SCALARS),
    st.tuples(st.sampled_from("ab"), st.just("IN"), st.lists(SCALARS, min_size=1, max_size=3)),
    st.tuples(st.just("c"), st.just("ARRAY_CONTAINS"), SCALARS),
    st.tuples(st.sampled_from("ab"), st.sampled_from(("IS_NULL", "IS_NAN")), st.none()),
)
NEGATIONS = st.one_of(
    st.tuples(st.sampled_from("ab"), st.just("NOT_EQUAL"), SCALARS),
    st.tuples(st.sampled_from("ab"), st.sampled_from(("IS_NOT_NULL", "IS_NOT_NAN")), st.none()),
)
ALL = st.lists(COMPARISONS, min_size=1, max_size=3).filter(lambda leaves: [leaf[0] for leaf in leaves].count("c") <= 1)
TREES = st.one_of(
    st.none(), COMPARISONS, NEGATIONS,
    st.tuples(st.just("AND"), ALL),
    st.tuples(st.just("OR"), st.lists(COMPARISONS, min_size=1, max_size=3)),
)  # fmt: skip
ORDERS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "__name__"]), st.booleans()), max_size=2, unique_by=lambda order: order[0]
)
ASKED = st.tuples(
    TREES, ORDERS, st.integers(0, 2), st.one_of(st.none(), st.integers(0, 4)), st.integers(0, 2), st.booleans()
)


# What one does who looks at every document --------------------------------------------------------------------------


def _holds(op: str, there: Any, operand: Any) -> bool:
    if there is None:
        return False
    nan = there[0] == "number" and math.isnan(there[1])
    if op.startswith("IS_"):
        null = there[0] == "null"
        return {"IS_NULL": null, "IS_NAN": nan, "IS_NOT_NULL": not null, "IS_NOT_NAN": not null and not nan}[op]
    if op == "IN":
        return any(_holds("EQUAL", there, each) for each in operand)
    if op == "ARRAY_CONTAINS":
        return there[0] == "array" and any(_holds("EQUAL", each, operand) for each in there[1])
    strange = operand[0] == "null" or (operand[0] == "number" and math.isnan(operand[1]))
    if op == "NOT_EQUAL":
        return there[0] != "null" and operand[0] != "null" and (strange or naive.compare(there, operand) != 0)
    if strange or nan or there[0] != operand[0]:
        return False
    different = naive.compare(there, operand)
    return {
        "EQUAL": different == 0, "LESS_THAN": different < 0, "LESS_THAN_OR_EQUAL": different <= 0,
        "GREATER_THAN": different > 0, "GREATER_THAN_OR_EQUAL": different >= 0,
    }[op]  # fmt: skip


def _leaves(tree: Any) -> list[Any]:
    if tree is None:
        return []
    return list(tree[1]) if tree[0] in ("AND", "OR") else [tree]


def _orders(tree: Any, orders: list[Any]) -> list[Any]:
    descending = bool(orders) and orders[-1][1]
    unequal = {field for field, op, operand in _leaves(tree) if _sorts(op, operand)}
    return orders + [
        (field, descending) for field in (*sorted(unequal), "__name__") if field not in {o[0] for o in orders}
    ]


def _sorts(op: str, operand: Any) -> bool:
    """What nothing can match asks for no order."""
    if op in RANGES:
        return operand[0] != "null" and not (operand[0] == "number" and math.isnan(operand[1]))
    return "NOT" in op and (operand is None or operand[0] != "null")


def _allowed(asked: Any) -> bool:
    """ "order by clause cannot contain more fields after the key"."""
    return [field for field, _ in _orders(asked[0], asked[1])].index("__name__") == len(_orders(asked[0], asked[1])) - 1


def _expected(documents: dict[str, Any], asked: Any) -> list[str]:
    tree, orders, offset, limit, prefix, before = asked
    together = any if tree and tree[0] == "OR" else all
    full = _orders(tree, orders)

    def value(name: str, field: str) -> Any:
        return ("reference", ("c", name)) if field == "__name__" else documents[name].get(field)

    def compare(one: str, other: str, upon: list[Any]) -> int:
        for field, descending in upon:
            if different := naive.compare(value(one, field), value(other, field)):
                return -different if descending else different
        return 0

    found = [
        name
        for name in documents
        if together(_holds(op, documents[name].get(field), operand) for field, op, operand in _leaves(tree))
        and all(value(name, field) is not None for field, _ in full)
    ]
    found.sort(key=cmp_to_key(lambda one, other: compare(one, other, full)))
    start = _start(documents, asked)
    if start is not None:
        some = orders[: min(prefix, len(orders))]
        found = [
            name for name in found if (compare(name, start, some) >= 0 if before else compare(name, start, some) > 0)
        ]
    return found[offset:][:limit]


def _start(documents: dict[str, Any], asked: Any) -> str | None:
    """The cursor stands at the first document that has what is sorted by."""
    _, orders, _, _, prefix, _ = asked
    some = orders[: min(prefix, len(orders))]
    able = [
        name for name in sorted(documents) if all(field == "__name__" or field in documents[name] for field, _ in some)
    ]
    return able[0] if some and able else None


# What is asked of the engine ----------------------------------------------------------------------------------------


def _filter(leaf: Any) -> Any:
    field, op, operand = leaf
    made = messages.StructuredQuery.Filter()
    if op.startswith("IS_"):
        made.unary_filter.field.field_path, made.unary_filter.op = field, op
        return made
    made.field_filter.field.field_path, made.field_filter.op = field, op
    made.field_filter.value.CopyFrom(naive.value(("array", operand) if isinstance(operand, list) else operand))
    return made


def _query(documents: dict[str, Any], asked: Any) -> Any:
    tree, orders, offset, limit, prefix, before = asked
    query = messages.StructuredQuery(offset=offset)
    getattr(query, "from").add(collection_id="c")
    if tree and tree[0] in ("AND", "OR"):
        query.where.composite_filter.op = tree[0]
        query.where.composite_filter.filters.extend(map(_filter, tree[1]))
    elif tree:
        query.where.CopyFrom(_filter(tree))
    for field, descending in orders:
        query.order_by.add(direction="DESCENDING" if descending else "ASCENDING").field.field_path = field
    if limit is not None:
        query.limit.value = limit
    start = _start(documents, asked)
    if start is not None:
        query.start_at.before = before
        for field, _ in orders[: min(prefix, len(orders))]:
            there = ("reference", ("c", start)) if field == "__name__" else documents[start][field]
            query.start_at.values.append(naive.value(there))
    return query


def _write(tx: Any, documents: dict[str, Any], gone: set[str], number: int) -> int:
    documents_ = Documents.open_or_create(tx, DATABASE, uid="u", now_us=1)
    writes: list[Any] = []
    for name, content in documents.items():
        write = messages.Write()
        write.update.name = DATABASE.document(("c", name))
        for field, each in content.items():
            write.update.fields[field].CopyFrom(naive.value(each))
        writes.append(write)
    writes += [messages.Write(delete=DATABASE.document(("c", name))) for name in gone]
    return write_all(documents_, writes, now_us=number)[1]


def _found(tx: Any, query: Any, at_us: int | None) -> list[str]:
    documents = Documents.open(tx, DATABASE)
    return [each.name.rsplit("/", 1)[1] for each in run.answers(documents, shape.read((), query), at_us=at_us)]


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_engine_and_the_plain_way_find_the_same(driver: str) -> None:
    runner = asyncio.Runner()

    @settings(
        max_examples=40 if driver == "postgresql" else 250, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(DOCUMENTS, DOCUMENTS, st.lists(ASKED, min_size=1, max_size=4))
    def check(first: dict[str, Any], then: dict[str, Any], queries: list[Any]) -> None:
        store = stores.pop() if stores else runner.run(fresh(driver))
        try:
            at_us = runner.run(store.transact(_write, first, set(), 10))
            runner.run(store.transact(_write, then, first.keys() - then.keys(), 20))
            for asked in filter(_allowed, queries):
                now = runner.run(store.transact(_found, _query(then, asked), None))
                assert now == _expected(then, asked)
                before = runner.run(store.transact(_found, _query(first, asked), at_us))
                assert before == _expected(first, asked)
        finally:
            runner.run(store.transact(_clear))
            stores.append(store)

    stores: list[Any] = []
    try:
        check()
    finally:
        for store in stores:
            runner.run(store.close())
        runner.close()


def _clear(tx: Any) -> None:
    for key, _ in list(tx.scan(("a",), ("z",))):
        tx.delete(key)
