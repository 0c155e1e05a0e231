"""CloudWatch Logs, rule by rule, as its API reference has them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cloud import Cloud
from tests.support.refusals import refused

WHERE = {"logGroupName": "shop", "logStreamName": "one"}
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@pytest.fixture
def logs(cloud: Cloud) -> Any:
    client = cloud.client("logs")
    client.create_log_group(logGroupName="shop")
    client.create_log_stream(**WHERE)
    return client


def put(logs: Any, *events: tuple[int, str], **options: Any) -> Any:
    rows = [{"timestamp": at_ms, "message": message} for at_ms, message in events]
    return logs.put_log_events(**WHERE, logEvents=rows, **options)


def test_events_out_of_their_time_are_rejected_and_the_others_kept(cloud: Cloud, logs: Any) -> None:
    """PutLogEvents: "rejected while processing remaining valid events"."""
    now_ms = cloud.clock.now_ms()
    logs.put_retention_policy(logGroupName="shop", retentionInDays=3)
    told = put(logs, (now_ms - 15 * DAY_MS, "old"), (now_ms - 4 * DAY_MS, "expired"), (now_ms, "good"),
               (now_ms + 3 * HOUR_MS, "new"))["rejectedLogEventsInfo"]  # fmt: skip
    assert told == {"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2, "tooNewLogEventStartIndex": 3}
    assert [one["message"] for one in logs.get_log_events(**WHERE)["events"]] == ["good"]


def test_a_batch_spans_24_hours_at_most_and_is_in_order(cloud: Cloud, logs: Any) -> None:
    now_ms = cloud.clock.now_ms()
    span = [(now_ms - 25 * HOUR_MS, "a"), (now_ms, "b")]
    assert "cannot span more than 24 hours" in refused(lambda: put(logs, *span))[1]
    assert "chronological order" in refused(lambda: put(logs, *reversed(span)))[1]


def test_the_end_of_a_filter_is_included_and_that_of_a_read_is_not(cloud: Cloud, logs: Any) -> None:
    now_ms = cloud.clock.now_ms()
    put(logs, (now_ms, "a"), (now_ms + 1, "b"))
    filtered = logs.filter_log_events(logGroupName="shop", endTime=now_ms + 1)["events"]
    assert [one["message"] for one in filtered] == ["a", "b"]
    assert [one["message"] for one in logs.get_log_events(**WHERE, endTime=now_ms + 1)["events"]] == ["a"]


def test_a_filter_may_begin_at_the_newest_event_and_its_token_keeps_the_direction(cloud: Cloud, logs: Any) -> None:
    now_ms = cloud.clock.now_ms()
    put(logs, *[(now_ms + number, str(number)) for number in range(5)])
    seen, token = [], {}
    while True:
        page = logs.filter_log_events(logGroupName="shop", limit=2, **(token or {"startFromHead": False}))
        seen += [one["message"] for one in page["events"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert seen == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("filter_log_events", {"logGroupName": "shop", "nextToken": "no"}),
        ("filter_log_events", {"logGroupName": "shop", "logStreamNames": ["one"], "logStreamNamePrefix": "o"}),
        ("filter_log_events", {"logGroupName": "shop", "logGroupIdentifier": "shop"}),
        ("filter_log_events", {}),
        ("get_log_events", {**WHERE, "nextToken": "no"}),
        ("describe_log_streams", {"logGroupName": "shop", "logStreamNamePrefix": "o", "orderBy": "LastEventTime"}),
        ("describe_log_groups", {"logGroupNamePrefix": "s", "logGroupNamePattern": "s"}),
        ("describe_log_groups", {"includeLinkedAccounts": True}),
        ("put_retention_policy", {"logGroupName": "shop", "retentionInDays": 2}),
        ("create_log_group", {"logGroupName": "a b"}),
        ("create_log_group", {"logGroupName": "kept", "deletionProtectionEnabled": True}),
        ("create_log_stream", {"logGroupName": "shop", "logStreamName": "a:b"}),
    ],
)
def test_what_contradicts_itself_is_refused(logs: Any, operation: str, request_: dict[str, Any]) -> None:
    assert refused(getattr(logs, operation), **request_)[0] == "InvalidParameterException"


def test_a_filter_of_a_stream_that_is_not_there_says_so(logs: Any) -> None:
    code, _ = refused(logs.filter_log_events, logGroupName="shop", logStreamNames=["two"])
    assert code == "ResourceNotFoundException"


def test_groups_show_the_class_and_key_that_they_were_made_with_and_are_found_by_it(logs: Any) -> None:
    logs.create_log_group(logGroupName="rare", logGroupClass="INFREQUENT_ACCESS", kmsKeyId="arn:aws:kms:key")
    [found] = logs.describe_log_groups(logGroupClass="INFREQUENT_ACCESS")["logGroups"]
    assert (found["logGroupName"], found["kmsKeyId"]) == ("rare", "arn:aws:kms:key")
    named = logs.describe_log_groups(logGroupIdentifiers=["shop", "none"])["logGroups"]
    assert [one["logGroupName"] for one in named] == ["shop"]


def test_groups_are_tagged_by_arn_and_by_name(logs: Any) -> None:
    arn = logs.describe_log_groups(logGroupNamePrefix="shop")["logGroups"][0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    logs.tag_log_group(logGroupName="shop", tags={"c": "3"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    logs.untag_log_group(logGroupName="shop", tags=["b"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"c": "3"}
    assert logs.list_tags_log_group(logGroupName="shop")["tags"] == {"c": "3"}


def test_an_entity_that_is_not_kept_is_told_to_be_rejected(cloud: Cloud, logs: Any) -> None:
    entity = {"keyAttributes": {"Type": "Service", "Name": "shop", "Environment": "test"}}
    told = put(logs, (cloud.clock.now_ms(), "a"), entity=entity)
    assert told["rejectedEntityInfo"] == {"errorType": "UnsupportedLogGroupType"}
