"""TransactWriteItems and TransactGetItems: all or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Final

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.dynamodb import capacity, collections, state, stored, writes
from fogbank.aws.services.dynamodb.operations.items import check_nested, projection_of
from fogbank.aws.services.dynamodb.schema import KeyMismatch
from fogbank.aws.services.dynamodb.values import check_item, refuse
from fogbank.kernel.store import within
from fogbank.kernel.store.records import Records
from fogbank.primitives import documents

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

BYTES_MAX: Final = 4 << 20  # "The aggregate size of the items in the transaction cannot exceed 4 MB".
TOKEN_MS: Final = 600_000  # "Idempotency": a client token is valid for 10 minutes.
_FACTOR: Final = 2  # "Capacity management": two reads or writes of each item.
_REPORTS: Final = ("INDEXES", "TOTAL")


@dataclass(frozen=True, slots=True)
class Token:
    digest: bytes
    answer: dict[str, Any]
    made_ms: int


tokens = Records(Token, "dynamodb", "token")


class Transactions(Operations):
    service: ClassVar = "dynamodb"

    def transact_write_items(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        token, digest = request.get("ClientRequestToken"), b""
        checked = _check(request["TransactItems"])
        if token:  # All values are in their normal form now, so that a request has one digest however often it runs.
            digest = sha256(stored.encode({**request, "ReturnConsumedCapacity": ""})).digest()
            earlier = _earlier(tx, call, token, digest)
            if earlier is not None:
                return earlier
        asked = _place(tx, call, checked)
        done = _decide(tx, asked, see_old="ReturnConsumedCapacity" in request)
        for each in done:
            _commit(tx, call, each, done)
        answer = _told(tx, request, asked, done)
        if token:
            _remember(tx, call, token, Token(digest, _again(asked, request), call.now_ms))
        return answer

    def transact_get_items(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        gets = [each["Get"] for each in request["TransactItems"]]
        responses: list[dict[str, Any]] = []
        costs: dict[str, capacity.Consumed] = {}
        reasons: list[dict[str, Any]] = []
        seen, size = set(), 0
        for get in gets:
            projection = projection_of(get)
            check_item(get["Key"])
            schema = state.find(tx, call, get["TableName"])
            try:
                key = schema.key_of_key(get["Key"])
            except ServiceError as error:
                reasons.append(_reason(error))
                continue
            reasons.append({"Code": "None"})
            if (schema.table.id, key) in seen:
                raise refuse("Transaction request cannot include multiple operations on one item")
            seen.add((schema.table.id, key))
            check_nested(schema, projection)
            raw = documents.get(tx, schema.table.id, key)
            item_size = stored.size_of(raw) if raw else 0
            size += item_size
            cost = costs.setdefault(get["TableName"], capacity.Consumed(get["TableName"]))
            cost.table += _FACTOR * capacity.read_units(item_size, consistent=True)
            item = None if raw is None else stored.unpack(raw)
            shaped = item if item is None or projection is None else projection.run(item)
            responses.append({"Item": shaped} if shaped else {})
        _cancel(reasons)
        if size > BYTES_MAX:
            raise refuse("Transaction size exceeded: the aggregate size of the items cannot exceed 4 MB")
        answer: dict[str, Any] = {"Responses": responses}
        report = request.get("ReturnConsumedCapacity")
        if report in _REPORTS:
            answer["ConsumedCapacity"] = [cost.shown(report, "ReadCapacityUnits") for cost in costs.values()]
        return answer


# Writing -------------------------------------------------------------------------------------------------------------


def _check(items: list[dict[str, Any]]) -> list[writes.Checked]:
    """What is wrong in a request itself is told before any table is looked at, whichever action has it."""
    checked: list[writes.Checked] = []
    for item in items:
        if len(item) != 1:
            raise refuse("TransactItems can only contain one of Check, Put, Update or Delete")
        [(verb, request)] = item.items()
        checked.append(writes.check(verb, request))
    return checked


def _place(tx: Tx, call: Call, checked: list[writes.Checked]) -> list[writes.Asked]:
    asked: list[writes.Asked] = []
    reasons: list[dict[str, Any]] = []
    for each in checked:
        try:
            asked.append(writes.place(tx, call, each))
            reasons.append({"Code": "None"})
        except KeyMismatch as error:
            reasons.append(_reason(error))
    _cancel(reasons)
    places = {(each.schema.table.id, each.key) for each in asked}
    if len(places) != len(asked):
        raise refuse("Transaction request cannot include multiple operations on one item")
    return asked


def _decide(tx: Tx, asked: list[writes.Asked], *, see_old: bool) -> list[writes.Done]:
    done: list[writes.Done] = []
    reasons: list[dict[str, Any]] = []
    for each in asked:
        try:
            done.append(writes.decide(tx, each, see_old=see_old))
            reasons.append({"Code": "None"})
        except writes.ConditionFailed as error:
            reasons.append(_reason(error))
        except ServiceError as error:
            if error.code != "ValidationException":
                raise
            reasons.append(_reason(error))
    _cancel(reasons)
    if sum(each.new_size for each in done) > BYTES_MAX:
        raise refuse("Transaction size exceeded: the aggregate size of the items cannot exceed 4 MB")
    return done


def _commit(tx: Tx, call: Call, each: writes.Done, done: list[writes.Done]) -> None:
    try:
        writes.commit(tx, call, each)
    except KeyMismatch as error:  # A value that cannot stand in an index.
        _cancel([_reason(error) if other is each else {"Code": "None"} for other in done])


def _reason(error: ServiceError) -> dict[str, Any]:
    if isinstance(error, writes.ConditionFailed):
        reason: dict[str, Any] = {"Code": "ConditionalCheckFailed", "Message": error.message}
        return reason if error.item is None else {**reason, "Item": error.item}
    return {"Code": "ValidationError", "Message": error.message}


def _cancel(reasons: list[dict[str, Any]]) -> None:
    codes = [reason["Code"] for reason in reasons]
    if set(codes) <= {"None"}:
        return
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
    raise ServiceError("TransactionCanceledException", message, fields={"CancellationReasons": reasons})


def _told(tx: Tx, request: dict[str, Any], asked: list[writes.Asked], done: list[writes.Done]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    report = request.get("ReturnConsumedCapacity")
    if report in _REPORTS:
        costs: dict[str, capacity.Consumed] = {}
        for each, written in zip(asked, done, strict=True):
            name = each.request["TableName"]
            cost = costs.setdefault(name, capacity.Consumed(name))
            capacity.add_write(cost, each.schema, written.old, written.old_size, written.new, written.new_size, _FACTOR)
        answer["ConsumedCapacity"] = [cost.shown(report, "WriteCapacityUnits") for cost in costs.values()]
    if request.get("ReturnItemCollectionMetrics") == "SIZE":
        sizes: dict[str, list[dict[str, Any]]] = {}
        for each, written in zip(asked, done, strict=True):
            if each.verb != "ConditionCheck" and (metric := collections.metrics(tx, each.schema, written)):
                sizes.setdefault(each.request["TableName"], []).append(metric)
        if sizes:
            answer["ItemCollectionMetrics"] = sizes
    return answer


# Idempotency ---------------------------------------------------------------------------------------------------------


def _earlier(tx: Tx, call: Call, token: str, digest: bytes) -> dict[str, Any] | None:
    row = tokens.get(tx, call.account, call.region, token, lock=True)
    if row is None or row.made_ms + TOKEN_MS <= call.now_ms:
        return None
    if row.digest != digest:
        raise ServiceError(
            "IdempotentParameterMismatchException",
            "One or more parameter values were invalid: Idempotent parameter mismatch",
        )
    return row.answer


def _again(asked: list[writes.Asked], request: dict[str, Any]) -> dict[str, Any]:
    """ "If you call TransactWriteItems again with the same token, the operation returns successfully without making any
    changes … the number of read capacity units consumed in reading the items" is what it costs then."""
    report = request.get("ReturnConsumedCapacity")
    if report not in _REPORTS:
        return {}
    costs: dict[str, capacity.Consumed] = {}
    for each in asked:
        name = each.request["TableName"]
        cost = costs.setdefault(name, capacity.Consumed(name))
        cost.table += _FACTOR * capacity.read_units(each.size, consistent=True)
    return {"ConsumedCapacity": [cost.shown(report, "ReadCapacityUnits") for cost in costs.values()]}


def _remember(tx: Tx, call: Call, token: str, row: Token) -> None:
    """Keep the token, and clear away a few whose time is over: they stand in the order they were made."""
    tokens.put(tx, call.account, call.region, token, row=row)
    tx.put(("dynamodb", "token-age", row.made_ms, call.account, call.region, token), b"")
    first, _ = within("dynamodb", "token-age")
    for key, _ in list(tx.scan(first, (*first, call.now_ms - TOKEN_MS), limit=10)):
        tx.delete(key)
        owner = (str(key[3]), str(key[4]), str(key[5]))
        old = tokens.get(tx, *owner)
        if old is not None and old.made_ms + TOKEN_MS <= call.now_ms:
            tokens.delete(tx, *owner)
