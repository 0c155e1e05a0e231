"""Time to live, tags, policies, recovery, limits and endpoints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.aws.services.dynamodb.conftest import make_table, reason, refusal

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

YEAR_S = 365 * 86_400


def enable(dynamodb: Any, table: str, attribute: str = "ttl", *, enabled: bool = True) -> Any:
    specification = {"AttributeName": attribute, "Enabled": enabled}
    return dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)


def put(dynamodb: Any, table: str, name: str, moment_s: float | str | None, kind: str = "N") -> None:
    item = {"id": {"S": name}} | ({} if moment_s is None else {"ttl": {kind: str(moment_s)}})
    dynamodb.put_item(TableName=table, Item=item)


def names(dynamodb: Any, table: str) -> set[str]:
    return {item["id"]["S"] for item in dynamodb.scan(TableName=table)["Items"]}


def test_an_item_is_gone_within_a_minute_of_its_time(cloud: Cloud) -> None:
    dynamodb = cloud.client("dynamodb")
    table = make_table(dynamodb)
    enable(dynamodb, table)
    now_s = cloud.clock.now_ms() // 1000
    put(dynamodb, table, "soon", now_s + 100)
    put(dynamodb, table, "later", now_s + 10_000)
    put(dynamodb, table, "never", None)
    put(dynamodb, table, "text", now_s + 100, kind="S")
    put(dynamodb, table, "ancient", now_s - 6 * YEAR_S)
    cloud.advance(seconds=90)
    assert names(dynamodb, table) == {"soon", "later", "never", "text", "ancient"}
    cloud.advance(seconds=70)
    assert names(dynamodb, table) == {"later", "never", "text", "ancient"}
    cloud.restart()
    cloud.advance(seconds=10_000)
    assert names(cloud.client("dynamodb"), table) == {"never", "text", "ancient"}


def test_the_newest_moment_counts_and_an_item_without_one_stays(cloud: Cloud) -> None:
    dynamodb = cloud.client("dynamodb")
    table = make_table(dynamodb)
    enable(dynamodb, table)
    now_s = cloud.clock.now_ms() // 1000
    for name, moment_s in (("put-off", now_s + 1000), ("freed", None)):
        put(dynamodb, table, name, now_s + 100)
        put(dynamodb, table, name, moment_s)
    put(dynamodb, table, "past", now_s - 5)
    cloud.advance(seconds=200)
    assert names(dynamodb, table) == {"put-off", "freed"}
    cloud.advance(seconds=1000)
    assert names(dynamodb, table) == {"freed"}


def test_items_that_were_there_expire_too_and_none_once_it_is_off(cloud: Cloud) -> None:
    dynamodb = cloud.client("dynamodb")
    table = make_table(dynamodb)
    now_s = cloud.clock.now_ms() // 1000
    put(dynamodb, table, "a", now_s + 100)
    put(dynamodb, table, "b", now_s + 5000)
    enable(dynamodb, table)
    cloud.advance(seconds=200)
    assert names(dynamodb, table) == {"b"}
    enable(dynamodb, table, enabled=False)
    cloud.advance(seconds=10_000)
    assert names(dynamodb, table) == {"b"}


def test_time_to_live_is_described_and_refuses_what_changes_nothing(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    described = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "DISABLED"}
    request = {"TableName": table, "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": False}}
    assert reason(dynamodb.update_time_to_live, **request) == "TimeToLive is already disabled"
    enable(dynamodb, table)
    described = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    request["TimeToLiveSpecification"] = {"AttributeName": "ttl", "Enabled": True}
    assert reason(dynamodb.update_time_to_live, **request) == "TimeToLive is already enabled"
    request["TimeToLiveSpecification"] = {"AttributeName": "other", "Enabled": True}
    assert reason(dynamodb.update_time_to_live, **request) == (
        "TimeToLive is active on a different AttributeName: current AttributeName is ttl"
    )


def test_tags_are_set_listed_in_pages_and_taken_off(dynamodb: Any) -> None:
    table = make_table(dynamodb, Tags=[{"Key": "team", "Value": "blue"}])
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": f"k{number:02}", "Value": ""} for number in range(15)])
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["k00"])
    pages = dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
    found = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    assert found == {"team": "blue"} | {f"k{number:02}": "" for number in range(1, 15)}
    code, message = refusal(dynamodb.list_tags_of_resource, ResourceArn=arn + "x")
    assert code == "ResourceNotFoundException"
    assert message.endswith("not found")


def test_a_resource_policy_is_kept_with_its_revision(dynamodb: Any) -> None:
    table = make_table(dynamodb)
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    assert refusal(dynamodb.get_resource_policy, ResourceArn=arn)[0] == "PolicyNotFoundException"
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    first = dynamodb.put_resource_policy(ResourceArn=arn, Policy=policy)["RevisionId"]
    assert dynamodb.get_resource_policy(ResourceArn=arn)["Policy"] == policy
    stale = {"ResourceArn": arn, "Policy": "{}", "ExpectedRevisionId": "stale"}
    assert refusal(dynamodb.put_resource_policy, **stale)[0] == "PolicyNotFoundException"
    assert dynamodb.put_resource_policy(ResourceArn=arn, Policy="{}", ExpectedRevisionId=first)["RevisionId"] != first
    dynamodb.delete_resource_policy(ResourceArn=arn)
    assert refusal(dynamodb.get_resource_policy, ResourceArn=arn)[0] == "PolicyNotFoundException"


def test_point_in_time_recovery_is_kept_as_a_record(dynamodb: Any) -> None:
    table = make_table(dynamodb)

    def status() -> Any:
        description = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        assert description["ContinuousBackupsStatus"] == "ENABLED"
        return description["PointInTimeRecoveryDescription"]

    assert status() == {"PointInTimeRecoveryStatus": "DISABLED"}
    dynamodb.update_continuous_backups(
        TableName=table,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7},
    )
    assert (status()["PointInTimeRecoveryStatus"], status()["RecoveryPeriodInDays"]) == ("ENABLED", 7)
    missing = refusal(dynamodb.describe_continuous_backups, TableName="absent")
    assert missing == ("TableNotFoundException", "Table not found: absent")


def test_limits_and_endpoints(dynamodb: Any) -> None:
    assert dynamodb.describe_limits()["TableMaxReadCapacityUnits"] == 40_000
    [endpoint] = dynamodb.describe_endpoints()["Endpoints"]
    assert endpoint["Address"].startswith("127.0.0.1:")
