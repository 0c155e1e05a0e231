"""CloudWatch Logs, told through boto3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

GROUP = "shop"


@pytest.fixture
def logs(cloud: Cloud) -> Any:
    client = cloud.client("logs")
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(logGroupName=GROUP, logStreamName="one")
    return client


def put(cloud: Cloud, logs: Any, *lines: str, stream: str = "one") -> None:
    now_ms = cloud.clock.now_ms()
    events = [{"timestamp": now_ms + number, "message": line} for number, line in enumerate(lines)]
    logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)


def messages(logs: Any, **asked: Any) -> list[str]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, **asked)
    return [event["message"] for page in pages for event in page["events"]]


def test_events_are_filtered_by_what_their_json_says(cloud: Cloud, logs: Any) -> None:
    put(cloud, logs, json.dumps({"level": "ERROR", "ms": 30}), json.dumps({"level": "INFO", "ms": 900}), "no json")
    assert messages(logs, filterPattern='{ $.level = "ERROR" || $.ms > 500 }') == [
        '{"level": "ERROR", "ms": 30}', '{"level": "INFO", "ms": 900}',
    ]  # fmt: skip
    with pytest.raises(ClientError, match="Invalid filter pattern"):
        messages(logs, filterPattern="{ $.level")


def test_events_come_back_in_order_page_by_page_from_both_ends_after_a_restart(cloud: Cloud, logs: Any) -> None:
    put(cloud, logs, *[f"line {number}" for number in range(25)])
    cloud.restart()
    logs = cloud.client("logs")
    where = {"logGroupName": GROUP, "logStreamName": "one", "limit": 10}
    seen, token = [], {}
    while True:
        page = logs.get_log_events(**where, startFromHead=True, **token)
        if token and page["nextForwardToken"] == token["nextToken"]:
            break  # "If you have reached the end of the stream, it returns the same token you passed in."
        seen += [event["message"] for event in page["events"]]
        token = {"nextToken": page["nextForwardToken"]}
    assert seen == [f"line {number}" for number in range(25)]
    newest = logs.get_log_events(**where)["events"]
    assert [event["message"] for event in newest] == [f"line {number}" for number in range(15, 25)]


def test_what_is_older_than_the_retention_is_forgotten(cloud: Cloud, logs: Any) -> None:
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    put(cloud, logs, "old")
    cloud.advance(seconds=86_400 + 3_700)
    put(cloud, logs, "new")
    cloud.advance(seconds=3_700)
    assert messages(logs) == ["new"]


def test_groups_and_streams_are_listed_by_prefix_and_gone_when_deleted(cloud: Cloud, logs: Any) -> None:
    logs.create_log_group(logGroupName="other")
    for name in ("a1", "a2", "b"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
    found = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="a")["logStreams"]
    assert [stream["logStreamName"] for stream in found] == ["a1", "a2"]
    with pytest.raises(ClientError, match="nextToken is invalid"):
        logs.describe_log_streams(logGroupName=GROUP, nextToken="junk")
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["other", "shop"]
    logs.delete_log_group(logGroupName=GROUP)
    with pytest.raises(ClientError) as refused:
        logs.describe_log_streams(logGroupName=GROUP)
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "ResourceNotFoundException", "The specified log group does not exist.",
    )  # fmt: skip
    with pytest.raises(ClientError) as refused:
        logs.create_log_group(logGroupName="other")
    assert refused.value.response["Error"]["Code"] == "ResourceAlreadyExistsException"
