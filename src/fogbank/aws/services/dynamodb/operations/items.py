"""PutItem, GetItem, UpdateItem and DeleteItem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from fogbank.aws.service import Call, Operations
from fogbank.aws.services.dynamodb import capacity, collections, state, stored, writes
from fogbank.aws.services.dynamodb.expressions import request as expressions
from fogbank.aws.services.dynamodb.expressions.projections import project
from fogbank.aws.services.dynamodb.values import Item, check_item, refuse
from fogbank.primitives import documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.aws.services.dynamodb.expressions.lexer import Compiled
    from fogbank.aws.services.dynamodb.schema import Schema
    from fogbank.kernel.store import Tx

_REPORTS: Final = ("INDEXES", "TOTAL")


class Items(Operations):
    service: ClassVar = "dynamodb"

    def put_item(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _write(tx, call, "Put", request)

    def delete_item(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _write(tx, call, "Delete", request)

    def update_item(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _write(tx, call, "Update", request)

    def get_item(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        projection = projection_of(request)
        check_item(request["Key"])
        schema = state.find(tx, call, request["TableName"])
        raw = documents.get(tx, schema.table.id, schema.key_of_key(request["Key"]))
        check_nested(schema, projection)
        answer: dict[str, Any] = {}
        if raw is not None:
            item = stored.unpack(raw)
            answer["Item"] = item if projection is None else projection.run(item)
        report = request.get("ReturnConsumedCapacity")
        if report in _REPORTS:
            consistent = request.get("ConsistentRead", False)
            units = capacity.read_units(stored.size_of(raw) if raw else 0, consistent=consistent)
            consumed = capacity.Consumed(request["TableName"], units)
            answer["ConsumedCapacity"] = consumed.shown(report)
        return answer


def projection_of(request: dict[str, Any]) -> Compiled | None:
    """ProjectionExpression, or AttributesToGet made one; None: the whole item."""
    if "ProjectionExpression" in request or "ExpressionAttributeNames" in request:
        found = expressions.read(request, ("ProjectionExpression",), ("AttributesToGet",))
        return found["ProjectionExpression"]
    names = request.get("AttributesToGet")
    return None if names is None else attributes_to_get(names)


def attributes_to_get(names: list[str]) -> Compiled:
    for name in names:
        if names.count(name) > 1:
            raise refuse(f"One or more parameter values were invalid: Duplicate value in attribute name: {name}")
    text = ", ".join(f"#a{number}" for number in range(len(names)))
    placeholders = tuple((f"#a{number}", name) for number, name in enumerate(names))
    return expressions.compiled("ProjectionExpression", text, placeholders)


def check_nested(schema: Schema, expression: Compiled | None) -> None:
    """A key attribute is a scalar: no path leads into it."""
    if expression is None or not expression.nested:
        return
    for name in (*schema.key.names, *sorted(schema.index_keys)):
        if name in expression.nested:
            raise refuse(
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
                f"Key: {name}"
            )


# Writing -------------------------------------------------------------------------------------------------------------


def _write(tx: Tx, call: Call, verb: str, request: dict[str, Any]) -> dict[str, Any]:
    returned = request.get("ReturnValues", "NONE")
    if returned not in {"NONE", "ALL_OLD"} and verb != "Update":
        raise refuse("ReturnValues can only be ALL_OLD or NONE")
    report = request.get("ReturnConsumedCapacity")
    asked = writes.prepare(tx, call, verb, request)
    done = writes.decide(tx, asked, see_old=returned == "ALL_OLD" or report in _REPORTS)
    writes.commit(tx, call, done)
    answer: dict[str, Any] = {}
    if returned != "NONE":
        attributes = _RETURNED[returned](done)
        if attributes:
            answer["Attributes"] = attributes
    if report in _REPORTS:
        consumed = capacity.Consumed(request["TableName"])
        capacity.add_write(consumed, asked.schema, done.old, done.old_size, done.new, done.new_size)
        answer["ConsumedCapacity"] = consumed.shown(report)
    if request.get("ReturnItemCollectionMetrics") == "SIZE":
        metrics = collections.metrics(tx, asked.schema, done)
        if metrics:
            answer["ItemCollectionMetrics"] = metrics
    return answer


_RETURNED: Final[dict[str, Callable[[writes.Done], Item | None]]] = {
    "ALL_OLD": lambda done: done.old,
    "ALL_NEW": lambda done: done.new,
    "UPDATED_OLD": lambda done: project(done.old, done.paths) if done.old else None,
    "UPDATED_NEW": lambda done: project(done.new, done.paths) if done.new else None,
}
