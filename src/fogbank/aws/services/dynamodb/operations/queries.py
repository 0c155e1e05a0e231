"""Query and Scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from fogbank.aws.service import Call, Operations
from fogbank.aws.services.dynamodb import legacy, reads, state
from fogbank.aws.services.dynamodb.expressions import keyconditions
from fogbank.aws.services.dynamodb.expressions import request as expressions
from fogbank.aws.services.dynamodb.operations.items import attributes_to_get, check_nested
from fogbank.aws.services.dynamodb.values import Item, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.aws.services.dynamodb.expressions.keyconditions import KeyTest
    from fogbank.aws.services.dynamodb.expressions.lexer import Compiled
    from fogbank.aws.services.dynamodb.schema import Index
    from fogbank.kernel.store import Tx

_QUERY_KINDS: Final = ("ProjectionExpression", "FilterExpression", "KeyConditionExpression")
_QUERY_LEGACY: Final = ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions")
_SCAN_KINDS: Final = ("ProjectionExpression", "FilterExpression")
_SCAN_LEGACY: Final = ("AttributesToGet", "ScanFilter", "ConditionalOperator")
_INVALID: Final = "One or more parameter values were invalid: "


class Queries(Operations):
    service: ClassVar = "dynamodb"

    def query(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        old = _QUERY_LEGACY if "KeyConditionExpression" in request else _QUERY_LEGACY[:-1]
        found = expressions.read(request, _QUERY_KINDS, old)
        tests = _key_tests(request, found)
        reading = _reading(tx, call, request, found, "QueryFilter")
        key = reading.index.key if reading.index else reading.schema.key
        reading.span = reads.query_span(key, tests)
        reading.reverse = not request.get("ScanIndexForward", True)
        if "ExclusiveStartKey" in request:
            start = reads.check_start(reading.schema, reading.index, request["ExclusiveStartKey"])
            reads.check_start_in_query(key, tests, reading.span, start)
            reading.span = reads.after(reading.span, start, reverse=reading.reverse)
        _check_filter_keys(key.names, request, found)
        return _answer(tx, request, reading)

    def scan(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = expressions.read(request, _SCAN_KINDS, _SCAN_LEGACY)
        segment, total = _segments(request)
        reading = _reading(tx, call, request, found, "ScanFilter")
        reading.span = reads.segment_span(segment, total)
        if "ExclusiveStartKey" in request:
            start = reads.check_start(reading.schema, reading.index, request["ExclusiveStartKey"])
            if not reading.span.first <= start[:1] or not reads.before(start, reading.span.last):
                raise refuse(
                    "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey "
                    f"with correct Segment. TotalSegments: {total} Segment: {segment}"
                )
            reading.span = reads.after(reading.span, start, reverse=False)
        return _answer(tx, request, reading)


def _answer(tx: Tx, request: dict[str, Any], reading: reads.Reading) -> dict[str, Any]:
    page = reads.read_page(tx, reading)
    answer: dict[str, Any] = {"Count": page.count, "ScannedCount": page.scanned}
    if reading.keep_items:
        answer["Items"] = page.items
    if page.last_key is not None:
        answer["LastEvaluatedKey"] = page.last_key
    report = request.get("ReturnConsumedCapacity")
    if report in {"INDEXES", "TOTAL"}:
        answer["ConsumedCapacity"] = reads.consumed(request["TableName"], reading, page).shown(report)
    return answer


# What to read --------------------------------------------------------------------------------------------------------


def _key_tests(request: dict[str, Any], found: dict[str, Compiled]) -> dict[str, KeyTest]:
    text = request.get("KeyConditionExpression")
    if text is None:
        if not request.get("KeyConditions"):
            raise refuse(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
            )
        return legacy.key_conditions(request["KeyConditions"])
    names = request.get("ExpressionAttributeNames", {})
    used = {name: names[name] for name in found["KeyConditionExpression"].names}
    return keyconditions.from_expression(text, used, request.get("ExpressionAttributeValues", {}))


def _segments(request: dict[str, Any]) -> tuple[int, int]:
    segment, total = request.get("Segment"), request.get("TotalSegments")
    if total is None:
        if segment is not None:
            raise refuse(
                "The TotalSegments parameter is required but was not present in the request when Segment parameter is "
                "present"
            )
        return 0, 1
    if segment is None:
        raise refuse(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is "
            "present"
        )
    if segment >= total:
        raise refuse(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )
    return segment, total


def _reading(
    tx: Tx, call: Call, request: dict[str, Any], found: dict[str, Compiled], filter_name: str
) -> reads.Reading:
    names = request.get("AttributesToGet")
    projection = found.get("ProjectionExpression") or (None if names is None else attributes_to_get(names))
    select = _select(request, projection)
    accept = _accept(request, found, filter_name)
    schema = state.find(tx, call, request["TableName"])
    index = schema.index(request["IndexName"]) if "IndexName" in request else None
    if index is not None and index.building:
        raise refuse(f"Cannot read from backfilling global secondary index: {index.name}")
    consistent = request.get("ConsistentRead", False)
    if index is not None and index.is_global and consistent:
        raise refuse("Consistent reads are not supported on global secondary indexes")
    check_nested(schema, projection)
    check_nested(schema, found.get("FilterExpression"))
    return reads.Reading(
        schema=schema,
        index=index,
        limit=request.get("Limit"),
        accept=accept,
        shape=None if projection is None else projection.run,
        keep_items=select != "COUNT",
        fetch=_fetches(index, select, projection, found.get("FilterExpression")),
        consistent=consistent,
    )


def _select(request: dict[str, Any], projection: Compiled | None) -> str:
    select: str = request.get("Select", "")
    if select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in request:
        raise refuse("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
    if projection is None:
        if select == "SPECIFIC_ATTRIBUTES":
            raise refuse(
                "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
            )
    elif select not in {"", "SPECIFIC_ATTRIBUTES"}:
        given = "ProjectionExpression" if "ProjectionExpression" in request else "AttributesToGet"
        what = "only the Count" if select == "COUNT" else select
        raise refuse(f"Cannot specify the {given} when choosing to get {what}")
    return select


def _accept(request: dict[str, Any], found: dict[str, Compiled], filter_name: str) -> Callable[[Item], bool] | None:
    expression = found.get("FilterExpression")
    if expression is not None:
        run, values = expression.run, request.get("ExpressionAttributeValues", {})
        return lambda item: run(item, values)
    if filter_name in request:
        return legacy.conditions(request[filter_name], request.get("ConditionalOperator"))
    return None


def _fetches(index: Index | None, select: str, projection: Compiled | None, accept: Compiled | None) -> bool:
    """ "Fetches": a local index is completed from its table, a global one never is."""
    if index is None or index.projected is None:
        return False
    wanted = set(projection.heads if projection else ()) | set(accept.heads if accept else ())
    missing = wanted - index.projected
    if not index.is_global:
        return select == "ALL_ATTRIBUTES" or bool(missing)
    if select == "ALL_ATTRIBUTES":
        raise refuse(
            f"{_INVALID}Select type ALL_ATTRIBUTES is not supported for global secondary index {index.name} "
            "because its projection type is not ALL"
        )
    absent = sorted(set(projection.heads) - index.projected) if projection else []
    if absent:
        raise refuse(f"{_INVALID}Global secondary index {index.name} does not project [{', '.join(absent)}]")
    return False


def _check_filter_keys(names: tuple[str, ...], request: dict[str, Any], found: dict[str, Compiled]) -> None:
    expression = found.get("FilterExpression")
    heads = expression.heads if expression else request.get("QueryFilter", {}).keys()
    title = "Filter Expression" if expression else "QueryFilter"
    for name in names:
        if name in heads:
            raise refuse(f"{title} can only contain non-primary key attributes: Primary key attribute: {name}")
