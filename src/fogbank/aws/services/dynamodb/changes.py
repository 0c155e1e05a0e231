"""How a table's record comes to be and changes: what CreateTable and UpdateTable make of their requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodb import building, definitions, state
from fogbank.aws.services.dynamodb.table import IndexRecord, Table, Throughput
from fogbank.aws.services.dynamodb.values import refuse
from fogbank.primitives import documents, streams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.service import Call
    from fogbank.aws.services.dynamodb.schema import Schema
    from fogbank.kernel.store import Tx

_INVALID: Final = "One or more parameter values were invalid: "
_UNSERVED: Final = (  # Refused by name rather than passed over.
    "VectorIndexes",
    "VectorIndexUpdates",
    "GlobalTableSourceArn",
    "GlobalTableSettingsReplicationMode",
    "ReplicaUpdates",
    "MultiRegionConsistency",
    "GlobalTableWitnessUpdates",
    "DisassociationProtectionEnabled",
)
_CHANGES: Final = (
    "ProvisionedThroughput",
    "BillingMode",
    "StreamSpecification",
    "GlobalSecondaryIndexUpdates",
    "SSESpecification",
    "TableClass",
    "OnDemandThroughput",
    "WarmThroughput",
)
_DAY_MS: Final = 86_400_000


def refuse_unserved(request: Mapping[str, Any]) -> None:
    for name in _UNSERVED:
        if name in request:
            raise refuse(f"{name} is not supported by fogbank")


def created(tx: Tx, call: Call, request: Mapping[str, Any], billing: str) -> Table:
    name = state.name_of(request["TableName"])
    on_demand = billing == "PAY_PER_REQUEST"
    table = Table(
        id=call.new_id(),
        name=name,
        arn=call.arn("dynamodb", f"table/{name}"),
        created_ms=call.now_ms,
        attributes=request["AttributeDefinitions"],
        key=request["KeySchema"],
        indexes=[
            index_record(call, index, is_global=is_global)
            for title, is_global in (("LocalSecondaryIndexes", False), ("GlobalSecondaryIndexes", True))
            for index in request.get(title, ())
        ],
        billing=billing,
        on_demand_since_ms=call.now_ms if on_demand else 0,
        throughput=_throughput(request.get("ProvisionedThroughput")),
        on_demand=request.get("OnDemandThroughput", {}),
        warm=request.get("WarmThroughput", {}),
        sse=_sse(call, request.get("SSESpecification")),
        table_class=request.get("TableClass", ""),
        deletion_protected=request.get("DeletionProtectionEnabled", False),
        tags={tag["Key"]: tag["Value"] for tag in request.get("Tags", ())},
        policy=request.get("ResourcePolicy", ""),
        policy_revision=call.new_id() if "ResourcePolicy" in request else "",
    )
    wanted = request.get("StreamSpecification")
    return table if wanted is None else _with_stream(tx, call, table, wanted)


def index_record(call: Call, index: Mapping[str, Any], *, is_global: bool) -> IndexRecord:
    return IndexRecord(
        id=call.new_id(),
        name=index["IndexName"],
        key=index["KeySchema"],
        projection=index["Projection"],
        is_global=is_global,
        throughput=_throughput(index.get("ProvisionedThroughput")),
        on_demand=index.get("OnDemandThroughput", {}),
        warm=index.get("WarmThroughput", {}),
    )


def _throughput(given: Mapping[str, int] | None) -> Throughput:
    if given is None:
        return Throughput()
    return Throughput(read_units=given["ReadCapacityUnits"], write_units=given["WriteCapacityUnits"])


def _sse(call: Call, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """ "SSESpecification: Enabled – … if disabled (false) or not specified, server-side encryption uses an AWS owned
    key", which DescribeTable does not speak of."""
    if given is None or not given.get("Enabled", False):
        if given and "KMSMasterKeyId" in given:
            raise refuse(f"{_INVALID}KMSMasterKeyId can not be specified when SSE is not enabled")
        return {}
    key = given.get("KMSMasterKeyId", "alias/aws/dynamodb")
    arn = key if key.startswith("arn:") else call.arn("kms", key if key.startswith("alias/") else f"key/{key}")
    return {"Status": "ENABLED", "SSEType": given.get("SSEType", "KMS"), "KMSMasterKeyArn": arn}


# Streams -------------------------------------------------------------------------------------------------------------


def _with_stream(tx: Tx, call: Call, table: Table, wanted: Mapping[str, Any]) -> Table:
    view = wanted.get("StreamViewType", "")
    if not wanted["StreamEnabled"]:
        if view:
            raise refuse(f"{_INVALID}StreamViewType cannot be specified when StreamEnabled is false")
        if not table.stream:
            return table
        close_stream(tx, call, table)
        return replace(table, stream="", view="")
    if not view:
        raise refuse(f"{_INVALID}StreamViewType must be specified when StreamEnabled is true")
    if table.stream:
        raise refuse(f"Table already has an enabled stream: TableName: {table.name}")
    label = stream_label(call.now_ms)
    if label == table.stream_label:  # Two streams of one table in one millisecond.
        label = stream_label(call.now_ms + 1)
    table = replace(table, stream=call.new_id(), view=view, stream_label=label)
    account, region = state.owner_of(table)
    stream = streams.Stream(
        id=table.stream,
        name=table.stream_arn,
        owner=f"dynamodb/{account}/{region}/{table.name}/",
        created_ms=call.now_ms,
        keep_ms=_DAY_MS,
        notes={
            "table": table.name,
            "label": label,
            "view": view,
            "key": table.key,
            "shard": f"shardId-{call.now_ms:020}-{table.stream[-8:]}",  # What its one shard is called.
        },
    )
    streams.create(tx, stream)
    return table


def stream_label(now_ms: int) -> str:
    """ "LatestStreamLabel: A timestamp, in ISO 8601 format, for this stream." """
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{now_ms % 1000:03}"


def close_stream(tx: Tx, call: Call, table: Table) -> None:
    if table.stream:
        streams.close(tx, table.stream, now_ms=call.now_ms)


# Updating ------------------------------------------------------------------------------------------------------------


def updated(tx: Tx, call: Call, table: Table, request: Mapping[str, Any]) -> Table:
    if (
        not any(value for name, value in request.items() if name in _CHANGES)
        and "DeletionProtectionEnabled" not in request
    ):
        raise refuse(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
            "SSESpecification or ReplicaUpdates is required"
        )
    table = _billing_changed(call, table, request)
    if "StreamSpecification" in request:
        wanted = request["StreamSpecification"]
        if not wanted["StreamEnabled"] and not table.stream:
            raise refuse(f"Table has no stream to disable: TableName: {table.name}")
        table = _with_stream(tx, call, table, wanted)
    if "SSESpecification" in request:
        table = replace(table, sse=_sse(call, request["SSESpecification"]))
    if "TableClass" in request:
        table = replace(table, table_class=request["TableClass"], table_class_ms=call.now_ms)
    if "DeletionProtectionEnabled" in request:
        table = replace(table, deletion_protected=request["DeletionProtectionEnabled"])
    if "OnDemandThroughput" in request:
        table = replace(table, on_demand=request["OnDemandThroughput"])
    if "WarmThroughput" in request:
        table = replace(table, warm=request["WarmThroughput"])
    return _indexes_changed(tx, call, table, request)


def _billing_changed(call: Call, table: Table, request: Mapping[str, Any]) -> Table:
    mode, given = request.get("BillingMode", table.billing), request.get("ProvisionedThroughput")
    if mode == "PAY_PER_REQUEST":
        if given is not None:
            raise refuse(
                f"{_INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                "PAY_PER_REQUEST"
            )
        if table.billing == mode:
            return table
        free = [replace(index, throughput=Throughput()) for index in table.indexes]
        return replace(table, billing=mode, on_demand_since_ms=call.now_ms, throughput=Throughput(), indexes=free)
    if given is None:
        if table.billing != mode:
            raise refuse(
                f"{_INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is "
                "PROVISIONED"
            )
        return table
    definitions.check_units(given)
    if table.billing == mode:
        _check_throughput_changes(table, given, request)
    return replace(table, billing=mode, throughput=moved(call, table.throughput, given))


def _check_throughput_changes(table: Table, given: Mapping[str, int], request: Mapping[str, Any]) -> None:
    old, read, write = table.throughput, given["ReadCapacityUnits"], given["WriteCapacityUnits"]
    if (old.read_units, old.write_units) == (read, write) and len(request) == 2:  # And the name.
        raise refuse(
            "The provisioned throughput for the table will not change. The requested value equals the current value. "
            f"Current ReadCapacityUnits provisioned for the table: {old.read_units}. "
            f"Requested ReadCapacityUnits: {read}. "
            f"Current WriteCapacityUnits provisioned for the table: {old.write_units}. "
            f"Requested WriteCapacityUnits: {write}. "
            "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
        )


def moved(call: Call, old: Throughput, given: Mapping[str, int]) -> Throughput:
    read, write = given["ReadCapacityUnits"], given["WriteCapacityUnits"]
    more = read > old.read_units or write > old.write_units
    less = read < old.read_units or write < old.write_units
    same_day = old.decreased_ms // _DAY_MS == call.now_ms // _DAY_MS
    return Throughput(
        read_units=read,
        write_units=write,
        increased_ms=call.now_ms if more else old.increased_ms,
        decreased_ms=call.now_ms if less else old.decreased_ms,
        decreases_today=(old.decreases_today if same_day else 0) + less,
    )


# Global indexes ------------------------------------------------------------------------------------------------------


def _indexes_changed(tx: Tx, call: Call, table: Table, request: Mapping[str, Any]) -> Table:
    attributes = {each["AttributeName"]: each for each in table.attributes}
    attributes |= {each["AttributeName"]: each for each in request.get("AttributeDefinitions", ())}
    indexes = {index.name: index for index in table.indexes}
    seen: set[str] = set()
    for update in request.get("GlobalSecondaryIndexUpdates", ()):
        if len(update) != 1:
            raise refuse(
                f"{_INVALID}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
                "GlobalSecondaryIndexUpdate.Delete must not be null"
            )
        [(verb, wanted)] = update.items()
        name = wanted["IndexName"]
        if name in seen:
            raise refuse(
                f"{_INVALID}Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            )
        seen.add(name)
        if verb == "Create":
            indexes[name] = _new_index(call, table, indexes, wanted, list(attributes))
            continue
        old = indexes.get(name)
        if old is None or not old.is_global:
            raise ServiceError("ResourceNotFoundException", f"Requested resource not found: Index: {name} not found")
        if verb == "Delete":
            del indexes[name]
            documents.drop_index(tx, table.id, old.id)
        else:
            indexes[name] = _index_updated(call, old, wanted)
    kept = list(indexes.values())
    used = {element["AttributeName"] for key in (table.key, *(index.key for index in kept)) for element in key}
    left = [each for name, each in attributes.items() if name in used]
    definitions.check_counts(0, sum(index.is_global for index in kept))
    definitions.check_projected([{"Projection": index.projection} for index in kept])
    return replace(table, indexes=kept, attributes=left)


def _new_index(
    call: Call, table: Table, indexes: Mapping[str, IndexRecord], wanted: Mapping[str, Any], defined: list[str]
) -> IndexRecord:
    name = wanted["IndexName"]
    if name in indexes:
        raise refuse(f"Attempting to create an index which already exists: Index: {name}")
    definitions.check_name(name, "globalSecondaryIndexUpdates.1.member.create.indexName")
    definitions.check_key(wanted["KeySchema"], defined, several=True)
    definitions.check_projection(wanted["Projection"])
    definitions.check_index_throughput(wanted, table.billing)
    return index_record(call, wanted, is_global=True)


def _index_updated(call: Call, old: IndexRecord, wanted: Mapping[str, Any]) -> IndexRecord:
    if "ProvisionedThroughput" in wanted:
        definitions.check_units(wanted["ProvisionedThroughput"], old.name)
        old = replace(old, throughput=moved(call, old.throughput, wanted["ProvisionedThroughput"]))
    return replace(
        old,
        on_demand=wanted.get("OnDemandThroughput", old.on_demand),
        warm=wanted.get("WarmThroughput", old.warm),
    )


def build(tx: Tx, call: Call, now: Schema, before: Schema) -> None:
    """Fill the indexes that are new; those that take longer are marked until they are done."""
    known = {index.id for index in before.indexes}
    new = [index.id for index in now.indexes if index.id not in known]
    late = {index for index in new if not building.start(tx, now, index, now_ms=call.now_ms)}
    if late:
        marked = [replace(each, building=True) if each.id in late else each for each in now.table.indexes]
        state.save(tx, replace(now.table, indexes=marked))
