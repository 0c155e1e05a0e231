"""BatchGetItem and BatchWriteItem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from fogbank.aws.service import Call, Operations
from fogbank.aws.services.dynamodb import capacity, collections, state, stored, writes
from fogbank.aws.services.dynamodb.operations.items import projection_of
from fogbank.aws.services.dynamodb.schema import NO_MATCH, KeyMismatch
from fogbank.aws.services.dynamodb.values import check_item, refuse
from fogbank.primitives import documents

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

GET_MAX, WRITE_MAX = 100, 25
ANSWER_BYTES_MAX: Final = 16 << 20  # "A single operation can retrieve up to 16 MB of data".
_REPORTS: Final = ("INDEXES", "TOTAL")


class Batches(Operations):
    service: ClassVar = "dynamodb"

    def batch_get_item(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        asked = request["RequestItems"]
        if sum(len(each["Keys"]) for each in asked.values()) > GET_MAX:
            raise refuse("Too many items requested for the BatchGetItem call")
        report = request.get("ReturnConsumedCapacity")
        answer: dict[str, Any] = {"Responses": {}, "UnprocessedKeys": {}}
        room = ANSWER_BYTES_MAX
        costs = []
        for name, wanted in asked.items():
            cost = capacity.Consumed(name)
            room = _get(tx, call, name, wanted, answer, room, cost)
            costs.append(cost)
        if report in _REPORTS:
            answer["ConsumedCapacity"] = [cost.shown(report) for cost in costs]
        return answer

    def batch_write_item(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        asked = request["RequestItems"]
        if sum(map(len, asked.values())) > WRITE_MAX:
            raise refuse("Too many items requested for the BatchWriteItem call")
        report, metrics = request.get("ReturnConsumedCapacity"), request.get("ReturnItemCollectionMetrics")
        prepared = {name: [_prepare(tx, call, name, each) for each in wanted] for name, wanted in asked.items()}
        for all_asked in prepared.values():
            if len({each.key for each in all_asked}) != len(all_asked):
                raise refuse("Provided list of item keys contains duplicates")
        answer: dict[str, Any] = {"UnprocessedItems": {}}
        costs: list[capacity.Consumed] = []
        sizes: dict[str, list[dict[str, Any]]] = {}
        for name, all_asked in prepared.items():
            cost = capacity.Consumed(name)
            costs.append(cost)
            for each in all_asked:
                done = writes.decide(tx, each, see_old=report in _REPORTS)
                writes.commit(tx, call, done)
                if report in _REPORTS:
                    capacity.add_write(cost, each.schema, done.old, done.old_size, done.new, done.new_size)
                if metrics == "SIZE" and (metric := collections.metrics(tx, each.schema, done)):
                    sizes.setdefault(name, []).append(metric)
        if report in _REPORTS:
            answer["ConsumedCapacity"] = [cost.shown(report) for cost in costs]
        if sizes:
            answer["ItemCollectionMetrics"] = sizes
        return answer


def _prepare(tx: Tx, call: Call, name: str, wanted: dict[str, Any]) -> writes.Asked:
    if len(wanted) != 1:
        raise refuse(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported "
            "datatypes"
        )
    [(kind, each)] = wanted.items()
    verb = "Put" if kind == "PutRequest" else "Delete"
    try:
        return writes.prepare(tx, call, verb, {"TableName": name, **each})
    except KeyMismatch:  # Seen on AWS: a batch does not tell what of the key is missing or wrong.
        raise KeyMismatch(NO_MATCH) from None


def _get(
    tx: Tx,
    call: Call,
    name: str,
    wanted: dict[str, Any],
    answer: dict[str, Any],
    room: int,
    cost: capacity.Consumed,
) -> int:
    """Answer for one table; keys that there is no room for any more go back unprocessed."""
    projection = projection_of(wanted)
    for key in wanted["Keys"]:
        check_item(key)
    schema = state.find(tx, call, name)
    keys = [schema.key_of_key(key) for key in wanted["Keys"]]
    if len(set(keys)) != len(keys):
        raise refuse("Provided list of item keys contains duplicates")
    items = answer["Responses"].setdefault(name, [])  # "A map of table name or table ARN", as it was asked.
    for position, key in enumerate(keys):
        raw = documents.get(tx, schema.table.id, key)
        size = stored.size_of(raw) if raw else 0
        if size > room:
            left = wanted | {"Keys": wanted["Keys"][position:]}
            answer["UnprocessedKeys"][name] = left
            return 0
        room -= size
        cost.table += capacity.read_units(size, consistent=wanted.get("ConsistentRead", False))
        if raw is not None:
            item = stored.unpack(raw)
            items.append(item if projection is None else projection.run(item))
    return room
