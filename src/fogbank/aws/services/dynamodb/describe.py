"""A table's record as the API's TableDescription."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.services.dynamodb import stored
from fogbank.primitives import documents

if TYPE_CHECKING:
    from fogbank.aws.services.dynamodb.schema import Schema
    from fogbank.aws.services.dynamodb.table import IndexRecord, Table, Throughput
    from fogbank.kernel.store import Tx

ON_DEMAND_READS, ON_DEMAND_WRITES = 12_000, 4_000
SAMPLE: Final = 2_000  # Items that a table's size is told from; AWS tells it some six hours late.


def describe(tx: Tx, schema: Schema, *, status: str = "ACTIVE") -> dict[str, Any]:
    table = schema.table
    count, size = _extent(tx, table.id)
    answer: dict[str, Any] = {
        "AttributeDefinitions": table.attributes,
        "TableName": table.name,
        "KeySchema": table.key,
        "TableStatus": status,
        "CreationDateTime": table.created_ms / 1000,
        "ProvisionedThroughput": throughput(table.throughput),
        "TableSizeBytes": size,
        "ItemCount": count,
        "TableArn": table.arn,
        "TableId": table.id,
        "DeletionProtectionEnabled": table.deletion_protected,
        **_billing(table),
    }
    for title, is_global in (("LocalSecondaryIndexes", False), ("GlobalSecondaryIndexes", True)):
        indexes = [each for each in table.indexes if each.is_global == is_global]
        if indexes:
            answer[title] = [_index(tx, schema, each, size / count if count else 0) for each in indexes]
    if table.stream:
        answer["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": table.view}
    if table.stream_label:
        answer |= {"LatestStreamLabel": table.stream_label, "LatestStreamArn": table.stream_arn}
    if table.sse:
        answer["SSEDescription"] = table.sse
    if table.table_class:
        answer["TableClassSummary"] = {"TableClass": table.table_class}
        if table.table_class_ms:
            answer["TableClassSummary"]["LastUpdateDateTime"] = table.table_class_ms / 1000
    return answer


def throughput(record: Throughput) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "NumberOfDecreasesToday": record.decreases_today,
        "ReadCapacityUnits": record.read_units,
        "WriteCapacityUnits": record.write_units,
    }
    if record.increased_ms:
        answer["LastIncreaseDateTime"] = record.increased_ms / 1000
    if record.decreased_ms:
        answer["LastDecreaseDateTime"] = record.decreased_ms / 1000
    return answer


def _billing(table: Table) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if table.on_demand_since_ms:
        answer["BillingModeSummary"] = {
            "BillingMode": table.billing,
            "LastUpdateToPayPerRequestDateTime": table.on_demand_since_ms / 1000,
        }
    if table.on_demand:
        answer["OnDemandThroughput"] = table.on_demand
    answer["WarmThroughput"] = _warm(table.warm, table.throughput)
    return answer


def _warm(wanted: dict[str, int], provisioned: Throughput) -> dict[str, Any]:
    """ "Understanding DynamoDB warm throughput": what is provisioned, or 12,000 reads and 4,000 writes on demand."""
    reads = provisioned.read_units or ON_DEMAND_READS
    writes = provisioned.write_units or ON_DEMAND_WRITES
    return {"ReadUnitsPerSecond": reads, "WriteUnitsPerSecond": writes, **wanted, "Status": "ACTIVE"}


def _index(tx: Tx, schema: Schema, record: IndexRecord, mean_size: float) -> dict[str, Any]:
    count = documents.count_index(tx, schema.table.id, record.id)
    answer: dict[str, Any] = {
        "IndexName": record.name,
        "KeySchema": record.key,
        "Projection": record.projection,
        "IndexSizeBytes": int(mean_size * count),
        "ItemCount": count,
        "IndexArn": f"{schema.table.arn}/index/{record.name}",
    }
    if record.is_global:
        answer |= {"IndexStatus": "ACTIVE", "ProvisionedThroughput": throughput(record.throughput)}
        if record.building:
            answer |= {"IndexStatus": "CREATING", "Backfilling": True}
        if record.on_demand:
            answer["OnDemandThroughput"] = record.on_demand
        answer["WarmThroughput"] = _warm(record.warm, record.throughput)
    return answer


def _extent(tx: Tx, table: str) -> tuple[int, int]:
    """How many items, and their size: told from the first of them where there are many."""
    count = documents.count(tx, table)
    sizes = [stored.size_of(raw) for _, raw in documents.scan(tx, table, documents.Span(), limit=SAMPLE)]
    return count, sum(sizes) * count // len(sizes) if sizes else 0
