"""Item collections: the items of one hash key, in a table that has local indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.aws.services.dynamodb import stored
from fogbank.kernel.store import END
from fogbank.primitives import documents

if TYPE_CHECKING:
    from fogbank.aws.services.dynamodb.schema import Schema
    from fogbank.aws.services.dynamodb.values import Item
    from fogbank.aws.services.dynamodb.writes import Done
    from fogbank.kernel.store import Tx

_GB = 1 << 30


def metrics(tx: Tx, schema: Schema, done: Done) -> dict[str, Any]:
    """ItemCollectionMetrics; nothing for a table without local indexes. "SizeEstimateRangeGB": a lower and an upper
    bound, in gigabytes, of the items and their projections."""
    item: Item = done.new or done.old or {}
    if not item or all(index.is_global for index in schema.indexes):
        return {}
    name = schema.key.hash[0]
    span = documents.Span(done.key[:2], (*done.key[:2], END))
    size = sum(stored.size_of(raw) for _, raw in documents.scan(tx, schema.table.id, span))
    lower = size // _GB
    return {"ItemCollectionKey": {name: item[name]}, "SizeEstimateRangeGB": [float(lower), float(lower + 1)]}
