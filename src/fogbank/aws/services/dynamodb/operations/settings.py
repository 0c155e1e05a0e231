"""Time to live, tags, resource policies, backups as a record, limits and endpoints."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.dynamodb import building, state
from fogbank.aws.services.dynamodb.values import refuse

if TYPE_CHECKING:
    from fogbank.aws.services.dynamodb.table import Table
    from fogbank.kernel.store import Tx

TAGS_MAX: Final = 50  # "Tagging restrictions in DynamoDB".
TAGS_PAGE: Final = 10  # "ListTagsOfResource … up to 10 tags" per page.
POLICY_BYTES_MAX: Final = 20_480  # "Quotas in Amazon DynamoDB", resource-based policies: 20 KB.
_DEFAULT_RECOVERY_DAYS: Final = 35
_DAY_MS: Final = 86_400_000


class Settings(Operations):
    service: ClassVar = "dynamodb"

    # Time to live -----------------------------------------------------------------------------------------------------

    def describe_time_to_live(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        table = state.find_table(tx, call, request["TableName"]).table
        if not table.ttl:
            return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": table.ttl}}

    def update_time_to_live(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        schema = state.find_table(tx, call, request["TableName"])
        table, wanted = schema.table, request["TimeToLiveSpecification"]
        if wanted["Enabled"]:
            if table.ttl == wanted["AttributeName"]:
                raise refuse("TimeToLive is already enabled")
            if table.ttl:
                raise refuse(f"TimeToLive is active on a different AttributeName: current AttributeName is {table.ttl}")
            state.save(tx, replace(table, ttl=wanted["AttributeName"], ttl_changed_ms=call.now_ms))
            building.start(tx, state.find(tx, call, table.name), building.EXPIRY, now_ms=call.now_ms)
        else:
            if not table.ttl:
                raise refuse("TimeToLive is already disabled")
            if table.ttl != wanted["AttributeName"]:
                raise refuse(f"TimeToLive is active on a different AttributeName: current AttributeName is {table.ttl}")
            state.save(tx, replace(table, ttl="", ttl_changed_ms=call.now_ms))
        return {"TimeToLiveSpecification": wanted}

    # Tags -------------------------------------------------------------------------------------------------------------

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        table = _by_arn(tx, call, request["ResourceArn"])
        tags = table.tags | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        if len(tags) > TAGS_MAX:
            raise refuse(f"One or more parameter values were invalid: Too many tags: limit is {TAGS_MAX}")
        state.save(tx, replace(table, tags=tags))

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        table = _by_arn(tx, call, request["ResourceArn"])
        tags = {key: value for key, value in table.tags.items() if key not in request["TagKeys"]}
        state.save(tx, replace(table, tags=tags))

    def list_tags_of_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        tags = sorted(_by_arn(tx, call, request["ResourceArn"]).tags.items())
        start = request.get("NextToken", "")
        left = [tag for tag in tags if tag[0] > start] if start else tags
        page = left[:TAGS_PAGE]
        answer: dict[str, Any] = {"Tags": [{"Key": key, "Value": value} for key, value in page]}
        return answer if len(left) <= TAGS_PAGE else {**answer, "NextToken": page[-1][0]}

    # Resource policies ------------------------------------------------------------------------------------------------

    def put_resource_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        table = _by_arn(tx, call, request["ResourceArn"])
        if len(request["Policy"].encode()) > POLICY_BYTES_MAX:
            raise refuse(f"Resource policy exceeds the maximum size of {POLICY_BYTES_MAX} bytes")
        _check_revision(table, request)
        revision = table.policy_revision if table.policy == request["Policy"] else call.new_id()
        state.save(tx, replace(table, policy=request["Policy"], policy_revision=revision))
        return {"RevisionId": revision}

    def get_resource_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        table = _by_arn(tx, call, request["ResourceArn"])
        if not table.policy:
            raise _no_policy(table)
        return {"Policy": table.policy, "RevisionId": table.policy_revision}

    def delete_resource_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        table = _by_arn(tx, call, request["ResourceArn"])
        _check_revision(table, request)
        if not table.policy:
            return {}
        state.save(tx, replace(table, policy="", policy_revision=""))
        return {"RevisionId": table.policy_revision}

    # Backups, limits, endpoints ---------------------------------------------------------------------------------------

    def describe_continuous_backups(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _backups(call, _existing(tx, call, request["TableName"]))

    def update_continuous_backups(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        table = _existing(tx, call, request["TableName"])
        wanted = request["PointInTimeRecoverySpecification"]
        days = wanted.get("RecoveryPeriodInDays", _DEFAULT_RECOVERY_DAYS)
        if wanted["PointInTimeRecoveryEnabled"]:
            since_ms = table.recovery_since_ms if table.recovery_days else call.now_ms
            table = replace(table, recovery_days=days, recovery_since_ms=since_ms)
        else:
            if "RecoveryPeriodInDays" in wanted:
                raise refuse("RecoveryPeriodInDays cannot be specified when PointInTimeRecoveryEnabled is false")
            table = replace(table, recovery_days=0, recovery_since_ms=0)
        state.save(tx, table)
        return _backups(call, table)

    def describe_limits(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """ "Quotas in Amazon DynamoDB", default throughput quotas."""
        return {
            "AccountMaxReadCapacityUnits": 80_000,
            "AccountMaxWriteCapacityUnits": 80_000,
            "TableMaxReadCapacityUnits": 40_000,
            "TableMaxWriteCapacityUnits": 40_000,
        }

    def describe_endpoints(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        address = call.host or f"dynamodb.{call.region}.amazonaws.com"
        return {"Endpoints": [{"Address": address, "CachePeriodInMinutes": 1440}]}


def _by_arn(tx: Tx, call: Call, arn: str) -> Table:
    if not arn.startswith("arn:") or ":table/" not in arn:
        raise refuse(f"Invalid TableArn: Invalid ResourceArn provided as input {arn}")
    try:
        return state.find(tx, call, arn).table
    except ServiceError:
        message = f"Requested resource not found: ResourcArn: {arn} not found"
        raise ServiceError("ResourceNotFoundException", message) from None


def _existing(tx: Tx, call: Call, name: str) -> Table:
    try:
        return state.find(tx, call, name).table
    except ServiceError:
        raise ServiceError("TableNotFoundException", f"Table not found: {state.name_of(name)}") from None


def _check_revision(table: Table, request: dict[str, Any]) -> None:
    expected = request.get("ExpectedRevisionId")
    if expected is None:
        return
    if (expected == "NO_POLICY" and table.policy) or (expected != "NO_POLICY" and expected != table.policy_revision):
        raise _no_policy(table)


def _no_policy(table: Table) -> ServiceError:
    return ServiceError(
        "PolicyNotFoundException", f"Resource-based policy not found for the provided ResourceArn: {table.arn}"
    )


def _backups(call: Call, table: Table) -> dict[str, Any]:
    recovery: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
    if table.recovery_days:
        earliest_ms = max(table.recovery_since_ms, call.now_ms - table.recovery_days * _DAY_MS)
        recovery = {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": table.recovery_days,
            "EarliestRestorableDateTime": earliest_ms / 1000,
            "LatestRestorableDateTime": max(earliest_ms, call.now_ms - 300_000) / 1000,
        }
    description = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}
    return {"ContinuousBackupsDescription": description}
