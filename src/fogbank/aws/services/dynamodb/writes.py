"""One write of one item, from what was asked to what is stored: alone, in a batch or in a transaction.

`prepare` checks the request and finds its place (`check`, then `place`), `decide` reads the item that is there, tests
the condition and makes the new item, `commit` stores it with its index entries, its expiry and its stream record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodb import legacy, state, stored
from fogbank.aws.services.dynamodb.expressions import request as expressions
from fogbank.aws.services.dynamodb.values import Item, check_item, measure_item, refuse
from fogbank.primitives import documents, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fogbank.aws.service import Call
    from fogbank.aws.services.dynamodb.expressions.lexer import Compiled, Path
    from fogbank.aws.services.dynamodb.schema import Schema
    from fogbank.kernel.store import Tx
    from fogbank.primitives.documents import DocumentKey

ITEM_BYTES_MAX: Final = 409_600  # "Quotas in Amazon DynamoDB", item size, 400 KB.
_LEGACY: Final = {
    "Put": ("Expected", "ConditionalOperator"),
    "Delete": ("Expected", "ConditionalOperator"),
    "Update": ("AttributeUpdates", "Expected", "ConditionalOperator"),
    "ConditionCheck": (),
}
_KINDS: Final = {
    "Put": ("ConditionExpression",),
    "Delete": ("ConditionExpression",),
    "Update": ("UpdateExpression", "ConditionExpression"),
    "ConditionCheck": ("ConditionExpression",),
}
_NO_EXPRESSIONS: Final[dict[str, Any]] = {}
_NO_VALUES: Final[Item] = {}


class ConditionFailed(ServiceError):
    """The condition does not hold; `item` is what is there, if the caller wants to see it."""

    def __init__(self, item: Item | None) -> None:
        fields = {"Item": item} if item is not None else {}
        super().__init__("ConditionalCheckFailedException", "The conditional request failed", fields=fields)
        self.item = item


@dataclass(slots=True)
class Checked:
    """A request that is right in itself; no table was looked at yet."""

    verb: str
    request: Mapping[str, Any]
    size: int = 0  # Of the item to put.
    expressions: dict[str, Compiled] = field(default_factory=dict)
    expected: Callable[[Item], bool] | None = None


@dataclass(slots=True)
class Asked(Checked):
    """A request for an item of a table."""

    schema: Schema = field(kw_only=True)
    key: DocumentKey = field(kw_only=True)


@dataclass(slots=True)
class Done:
    """A write that was decided on. `old_raw` is None where no item is there, or where nobody needs to know."""

    schema: Schema
    key: DocumentKey
    verb: str
    old_raw: bytes | None = None
    old: Item | None = None
    new: Item | None = None
    new_size: int = 0
    paths: list[Path] = field(default_factory=list)  # What an update speaks of.

    @property
    def old_size(self) -> int:
        return 0 if self.old_raw is None else stored.size_of(self.old_raw)


# Asking --------------------------------------------------------------------------------------------------------------


def check(verb: str, request: Mapping[str, Any]) -> Checked:
    found = _expressions(verb, request)
    size, expected = 0, None
    if verb == "Put":
        size = check_item(request["Item"])
        if size > ITEM_BYTES_MAX:
            raise refuse("Item size has exceeded the maximum allowed size")
    else:
        check_item(request["Key"])
    if "Expected" in request:
        expected = legacy.expected(request["Expected"], request.get("ConditionalOperator"))
    elif "ConditionalOperator" in request:
        raise refuse("ConditionalOperator cannot be used without Filter or Expected")
    if "AttributeUpdates" in request:
        legacy.check_updates(request["AttributeUpdates"])
    return Checked(verb, request, size, found, expected)


def place(tx: Tx, call: Call, checked: Checked) -> Asked:
    verb, request = checked.verb, checked.request
    schema = state.find(tx, call, request["TableName"])
    key = schema.key_of_item(request["Item"]) if verb == "Put" else schema.key_of_key(request["Key"])
    if verb == "Update":
        _check_key_untouched(schema, request, checked.expressions)
    return Asked(verb, request, checked.size, checked.expressions, checked.expected, schema=schema, key=key)


def prepare(tx: Tx, call: Call, verb: str, request: Mapping[str, Any]) -> Asked:
    return place(tx, call, check(verb, request))


def _expressions(verb: str, request: Mapping[str, Any]) -> dict[str, Compiled]:
    for name in ("ConditionExpression", "UpdateExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"):
        if name in request:
            return expressions.read(request, _KINDS[verb], _LEGACY[verb])
    return _NO_EXPRESSIONS


def _check_key_untouched(schema: Schema, request: Mapping[str, Any], found: Mapping[str, Compiled]) -> None:
    update = found.get("UpdateExpression")
    heads = [path[0] for path in update.paths] if update else request.get("AttributeUpdates", ())
    for name in heads:
        if name in schema.key.types:
            raise refuse(
                f"One or more parameter values were invalid: Cannot update attribute {name}. "
                "This attribute is part of the key"
            )


# Deciding ------------------------------------------------------------------------------------------------------------


def decide(tx: Tx, asked: Asked, *, see_old: bool = False) -> Done:
    """`see_old`: the answer speaks of the old item, so it must be read in any case."""
    condition, schema = asked.expressions.get("ConditionExpression"), asked.schema
    done = Done(schema, asked.key, asked.verb)
    if not (see_old or condition or asked.expected or asked.verb == "Update" or not schema.bare):
        if asked.verb == "Put":
            done.new, done.new_size = asked.request["Item"], asked.size
        return done
    locked = asked.verb == "ConditionCheck"  # Decided on, though not written.
    done.old_raw = raw = documents.get(tx, schema.table.id, asked.key, lock=locked)
    done.old = None if raw is None else stored.unpack(raw)
    _check_condition(asked, condition, done.old)
    if asked.verb == "Put":
        done.new, done.new_size = asked.request["Item"], asked.size
    elif asked.verb == "Update":
        _update(asked, done)
    elif asked.verb == "ConditionCheck":
        done.new = done.old
    return done


def _check_condition(asked: Asked, condition: Compiled | None, old: Item | None) -> None:
    item = old or _NO_VALUES
    if condition is not None:
        holds = condition.run(item, asked.request.get("ExpressionAttributeValues", _NO_VALUES))
    else:
        holds = asked.expected is None or asked.expected(item)
    if not holds:
        shown = asked.request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        raise ConditionFailed(old if shown else None)


def _update(asked: Asked, done: Done) -> None:
    request, update = asked.request, asked.expressions.get("UpdateExpression")
    item = dict(request["Key"]) if done.old_raw is None else stored.unpack(done.old_raw)
    only_removes = False
    if update is not None:
        done.paths = update.paths
        update.run(item, request.get("ExpressionAttributeValues", _NO_VALUES))
        only_removes = len(item) == len(request["Key"])
    elif "AttributeUpdates" in request:
        updates = request["AttributeUpdates"]
        done.paths = [(name,) for name in updates]
        legacy.apply_updates(updates, item)
        only_removes = bool(updates) and len(item) == len(request["Key"])
    if done.old_raw is None and only_removes:
        return  # "DELETE: Nothing happens; there is no attribute to delete" – and no item comes to be of it.
    done.new = item
    try:
        done.new_size = measure_item(item)
    except ValueError as error:
        raise refuse(str(error)) from None
    if done.new_size > ITEM_BYTES_MAX:
        raise refuse("Item size to update has exceeded the maximum allowed size")


# Storing -------------------------------------------------------------------------------------------------------------


def commit(tx: Tx, call: Call, done: Done) -> None:
    schema, new = done.schema, done.new
    if done.verb == "ConditionCheck":
        return
    new_raw = None if new is None else stored.pack(new, done.new_size)
    if schema.bare:
        if new_raw is not None:
            documents.put(tx, schema.table.id, done.key, new_raw)
        else:
            documents.delete(tx, schema.table.id, done.key)
        return
    updated = frozenset(str(path[0]) for path in done.paths) if done.verb == "Update" else None
    store(
        tx, schema, done.key, done.old_raw, done.old, new_raw, new,
        now_ms=call.now_ms, new_id=call.new_id, updated=updated, trace=call.trace_id,
    )  # fmt: skip


def store(
    tx: Tx,
    schema: Schema,
    key: DocumentKey,
    old_raw: bytes | None,
    old: Item | None,
    new_raw: bytes | None,
    new: Item | None,
    *,
    now_ms: int,
    new_id: Callable[[], str],
    by: str = "",
    trace: str = "",
    updated: frozenset[str] | None = None,
) -> None:
    """Put or delete, with everything that hangs on the item."""
    was = documents.NOWHERE if old is None else schema.standing(old)
    if new is not None and new_raw is not None:
        documents.put(tx, schema.table.id, key, new_raw, was, schema.place(new, now_ms, updated))
    elif old is not None:
        documents.delete(tx, schema.table.id, key, was)
    if schema.stream and not _same(old_raw, old, new_raw, new):
        change = _change(schema, old_raw, old, new_raw, new, new_id(), by, trace)
        streams.append(tx, schema.stream, [documents.encode_change(change)], now_ms=now_ms)


def _same(old_raw: bytes | None, old: Item | None, new_raw: bytes | None, new: Item | None) -> bool:
    """ "If you perform a PutItem or UpdateItem operation that does not change any data in an item, DynamoDB Streams
    does not write a stream record for that operation." """
    if old is None or new is None:
        return old is new
    return old_raw == new_raw or old == new


def _change(
    schema: Schema,
    old_raw: bytes | None,
    old: Item | None,
    new_raw: bytes | None,
    new: Item | None,
    event: str,
    by: str,
    trace: str,
) -> documents.Change:
    keys = schema.key_values(new if new is not None else old or {})
    size = measure_item(keys)
    images = [b"", b""]
    for place, raw, name in ((0, old_raw, "OLD_IMAGE"), (1, new_raw, "NEW_IMAGE")):
        if raw is not None and schema.view in {name, "NEW_AND_OLD_IMAGES"}:
            images[place] = stored.body(raw)
            size += stored.size_of(raw)
    return documents.Change(
        id=event.replace("-", ""),
        kind="INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        keys=stored.encode(keys),
        old=images[0],
        new=images[1],
        size_bytes=size,
        by=by,
        trace=trace,
    )
