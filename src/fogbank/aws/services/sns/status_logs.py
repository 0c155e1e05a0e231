"""What became of deliveries, in CloudWatch Logs, for topics that ask for it.

Developer Guide, "Amazon SNS message delivery status": of successful ones a sample, of failed ones all, in groups of the
names "sns/REGION/ACCOUNT/TOPIC" and "sns/REGION/ACCOUNT/TOPIC/Failure".
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.service import ServiceError
from fogbank.aws.services.sns.topic_attributes import FEEDBACK

if TYPE_CHECKING:
    from fogbank.aws.service import Ask, House
    from fogbank.aws.services.sns.state import Topic
    from fogbank.primitives.queues import Message


@dataclass(frozen=True, slots=True)
class Outcome:
    good: bool
    status: int  # Of HTTP; 0 where there was no answer.
    attempts: int
    response: dict[str, str]  # What the receiver said.


class StatusLogs:
    """One for each server: it writes to a stream of its own."""

    def __init__(self, house: House) -> None:
        self._house, self._stream, self._chance = house, house.ids.new(), random.Random()

    async def tell(self, topic: Topic | None, message: Message, outcome: Outcome) -> None:
        """A log that cannot be written holds up no message."""
        if topic is None or message.notes["kind"] != "Notification" or not self._wanted(topic, message, outcome):
            return
        ask = self._house.caller(topic.account, topic.region, "sns.amazonaws.com", source_arn=topic.arn)
        group = f"sns/{topic.region}/{topic.account}/{topic.name}{'' if outcome.good else '/Failure'}"
        now_ms = self._house.clock.now_ms()
        try:
            await self._write(ask, group, now_ms, _entry(message, outcome, now_ms, self._house.ids.new()))
        except ServiceError as error:
            self._house.telemetry.error("a delivery status could not be logged", topic=topic.arn, error=str(error))

    def _wanted(self, topic: Topic, message: Message, outcome: Outcome) -> bool:
        kind = FEEDBACK.get(message.notes["protocol"])
        if kind is None:
            return False
        if not outcome.good:
            return bool(topic.attributes.get(f"{kind}FailureFeedbackRoleArn"))
        if not topic.attributes.get(f"{kind}SuccessFeedbackRoleArn"):
            return False
        return self._chance.random() * 100 < int(topic.attributes.get(f"{kind}SuccessFeedbackSampleRate", "100"))

    async def _write(self, ask: Ask, group: str, now_ms: int, entry: dict[str, Any]) -> None:
        where = {"logGroupName": group, "logStreamName": self._stream}
        events = [{"timestamp": now_ms, "message": orjson.dumps(entry).decode()}]
        try:
            await ask("logs", "PutLogEvents", **where, logEvents=events)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise
            await _unless_there(ask, "CreateLogGroup", logGroupName=group)
            await _unless_there(ask, "CreateLogStream", **where)
            await ask("logs", "PutLogEvents", **where, logEvents=events)


async def _unless_there(ask: Ask, operation: str, **request: str) -> None:
    try:
        await ask("logs", operation, **request)
    except ServiceError as error:
        if error.code != "ResourceAlreadyExistsException":
            raise


def _entry(message: Message, outcome: Outcome, now_ms: int, delivery_id: str) -> dict[str, Any]:
    told = message.notes["message"]
    at = datetime.fromtimestamp(told["at_ms"] / 1000, UTC)
    delivery: dict[str, Any] = {
        "deliveryId": delivery_id,
        "destination": message.notes["endpoint"],
        "providerResponse": orjson.dumps(outcome.response).decode(),
        "dwellTimeMs": now_ms - told["at_ms"],
    }
    if not outcome.good:
        delivery["attempts"] = outcome.attempts
    if outcome.status:
        delivery["statusCode"] = outcome.status
    return {
        "notification": {
            "messageMD5Sum": md5(message.body.encode()).hexdigest(),
            "messageId": told["id"],
            "topicArn": message.notes["topic"],
            "timestamp": f"{at:%Y-%m-%d %H:%M:%S}.{told['at_ms'] % 1000:03d}",
        },
        "delivery": delivery,
        "status": "SUCCESS" if outcome.good else "FAILURE",
    }
