"""Scheduled rules, told through boto3; and their expressions by themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from fogbank.aws import expressions
from tests.support.cloud import Cloud
from tests.support.code import deploy
from tests.support.waiting import eventually

DAY_S = 86_400


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_rate_fires_that_long_after_the_rule_was_made_and_again(cloud: Cloud) -> None:
    events, sqs = cloud.client("events"), cloud.client("sqs")
    url = sqs.create_queue(QueueName="ticks")["QueueUrl"]
    arn = events.put_rule(Name="daily", ScheduleExpression="rate(1 day)")["RuleArn"]
    events.put_targets(Rule="daily", Targets=[{"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:ticks"}])

    def next_message() -> Any:
        return sqs.receive_message(QueueUrl=url).get("Messages")

    cloud.advance(seconds=DAY_S - 1)
    assert next_message() is None
    cloud.advance(seconds=1)
    [message] = eventually(next_message)
    event = json.loads(message["Body"])
    assert (event["detail-type"], event["source"], event["resources"]) == ("Scheduled Event", "aws.events", [arn])
    cloud.restart()
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = sqs.get_queue_url(QueueName="ticks")["QueueUrl"]
    cloud.advance(seconds=DAY_S)
    assert eventually(next_message)


def test_a_disabled_rule_does_not_fire(cloud: Cloud) -> None:
    events, sqs = cloud.client("events"), cloud.client("sqs")
    url = sqs.create_queue(QueueName="ticks")["QueueUrl"]
    events.put_rule(Name="r", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:ticks"}])
    events.disable_rule(Name="r")
    cloud.advance(seconds=600)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


@pytest.mark.parametrize("expression", ["rate(1 days)", "rate(0 minutes)", "rate(5 minute)", "cron(* * * * *)", "daily",
                                        "cron(0 12 1 * 1 *)", "cron(60 * * * ? *)"])  # fmt: skip
def test_what_is_no_schedule_is_refused(cloud: Cloud, expression: str) -> None:
    with pytest.raises(ClientError, match="Parameter ScheduleExpression is not valid"):
        cloud.client("events").put_rule(Name="r", ScheduleExpression=expression)


@pytest.mark.parametrize(
    ("expression", "now", "then"),
    [
        ("cron(0 12 * * ? *)", "2027-01-15T12:00:00", "2027-01-16T12:00:00"),
        ("cron(15 10 ? * 6L *)", "2027-01-15T00:00:00", "2027-01-29T10:15:00"),
        ("cron(0 18 ? * MON-FRI *)", "2027-01-16T00:00:00", "2027-01-18T18:00:00"),
        ("cron(0 8 1W * ? *)", "2027-04-30T09:00:00", "2027-05-03T08:00:00"),
        ("cron(0/10 * ? * 2#1 *)", "2027-01-15T00:00:00", "2027-02-01T00:00:00"),
        ("cron(0 0 L * ? *)", "2027-02-01T00:00:00", "2027-02-28T00:00:00"),
    ],
)
def test_cron_expressions_mean_what_the_user_guide_says(expression: str, now: str, then: str) -> None:
    assert expressions.next_ms(expression, 0, at(now)) == at(then)


@given(
    minute=st.integers(0, 59), step=st.sampled_from([1, 5, 7, 20]), hour=st.integers(0, 23),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
)  # fmt: skip
def test_the_next_moment_is_the_first_that_fits(minute: int, step: int, hour: int, now: datetime) -> None:
    now = now.replace(tzinfo=UTC)
    found = expressions.next_ms(f"cron({minute}/{step} {hour} * * ? *)", 0, round(now.timestamp() * 1000))
    moment = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while moment.hour != hour or moment.minute not in range(minute, 60, step):
        moment += timedelta(minutes=1)
    assert found == round(moment.timestamp() * 1000)


def test_a_clock_that_moves_far_runs_a_scheduled_function_once_for_each_moment_on_the_way(cloud: Cloud) -> None:
    functions, events, sqs = cloud.client("lambda"), cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName="ran")["QueueUrl"]
    source = (
        "import boto3, os, time\ndef handler(event, context):\n    time.sleep(0.05)\n"
        "    boto3.client('sqs').send_message(QueueUrl=os.environ['QUEUE'], MessageBody=event['time'])\n"
    )
    arn = deploy(functions, "tick", source, Timeout=30, Environment={"Variables": {"QUEUE": queue}})
    functions.add_permission(
        FunctionName="tick", StatementId="p", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    events.put_rule(Name="daily", ScheduleExpression="rate(1 day)")
    events.put_targets(Rule="daily", Targets=[{"Id": "f", "Arn": arn}])
    cloud.advance(seconds=3 * DAY_S)
    cloud.advance(seconds=3600)

    def ran() -> list[str]:
        found: list[str] = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            found += [message["Body"] for message in messages]
        return found

    times = ran()
    assert len(times) == len(set(times)) == 3
