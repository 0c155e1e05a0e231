"""Messages on their way to subscribers: a row for each, written with the message, kept until it has arrived.

Developer Guide, "Amazon SNS message delivery retries" and "Amazon SNS dead-letter queues": "When Amazon SNS receives a
client-side error, or continues to receive a server-side error for a message beyond the number of retries …, Amazon SNS
discards the message—unless a dead-letter queue is attached to the subscription."
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.deliveries import Again, Deliveries
from fogbank.aws.protocol import lineage
from fogbank.aws.service import ServiceError
from fogbank.aws.services.sns import delivery_policy, envelope, state, subscription_attributes
from fogbank.aws.services.sns.endpoints import SENDER
from fogbank.aws.services.sns.lanes import LANE_WIDTH, Busy, Lanes
from fogbank.aws.services.sns.status_logs import Outcome, StatusLogs
from fogbank.kernel.posting import Unreachable
from fogbank.kernel.telemetry import amzn_trace, current_lineage, current_trace
from fogbank.primitives import queues
from fogbank.primitives.queues import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.service import Call, House
    from fogbank.aws.services.sns.state import Subscription, Topic
    from fogbank.kernel.store import Tx

# Who is slow to answer holds up endpoints at most, not queues and functions.
_QUEUE, _ENDPOINTS = "sns:deliveries", "sns:endpoints"
_HTTP = ("http", "https")
_BUSY_MS = 1000  # After which one that is busy is asked again.
_TURNS_MAX = 1024
_TRACE_HEADER_MAX = 1024
_TOO_MANY = 429


class Failed(Exception):
    """A receiver did not take it. A fault of the client's is `final`: nor would it the next time."""

    def __init__(self, told: str, status: int) -> None:
        super().__init__(told)
        self.status, self.final = status, 0 < status < 500 and status != _TOO_MANY


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a delivery now."""

    topic: Topic | None
    subscription: Subscription | None
    policy: dict[str, Any]


def put(tx: Tx, call: Call, topic: Topic, to: Subscription, text: str, message: Mapping[str, Any]) -> None:
    """From here on it is not lost. `message` holds what all receivers are told alike: id, at_ms, and where it has them
    subject, attributes, group, deduplication and sequence."""
    _put(tx, call, topic, to, text, {"kind": "Notification", "message": dict(message)})


def put_confirmation(tx: Tx, call: Call, topic: Topic, to: Subscription, kind: str, token: str) -> None:
    message = {"id": call.new_id(), "at_ms": call.now_ms}
    _put(tx, call, topic, to, "", {"kind": kind, "message": message, "token": token})


def _put(tx: Tx, call: Call, topic: Topic, to: Subscription, text: str, notes: dict[str, Any]) -> None:
    notes |= {
        "topic": topic.arn, "subscription": to.arn, "protocol": to.protocol, "endpoint": to.endpoint, "raw": to.raw,
        "version": topic.attributes.get("SignatureVersion", "1"), "attempts": 0,
        "trace": amzn_trace(call.trace_header) or call.trace_id, "header": call.trace_header,
    }  # fmt: skip
    message = notes["message"]
    sequence, group = message.get("sequence", ""), ""
    if sequence:
        group = f"{to.arn} {message['group']}"
    made = Message(
        f"{sequence}{call.new_id()}", text, due_ms=call.now_ms, sent_ms=call.now_ms, group=group, notes=notes
    )  # fmt: skip
    queues.send(tx, _ENDPOINTS if to.protocol in _HTTP else _QUEUE, made)


class Courier:
    """Carries them. One for each server."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._turns_ms: dict[str, float] = {}  # Of those who must be waited for: when the next may come.
        self._lanes = Lanes(house.clock)

    async def run(self) -> None:
        await Deliveries(self._house, _QUEUE, self._carry).run()

    async def run_endpoints(self) -> None:
        await Deliveries(self._house, _ENDPOINTS, self._carry).run()

    async def _carry(self, message: Message) -> Again | None:
        notes = message.notes
        current_trace.set(notes["trace"])
        current_lineage.set(lineage.of(notes["header"]))
        settings = await self._house.store.transact(_settings, notes)
        if settings.subscription is None and notes["kind"] != "UnsubscribeConfirmation":
            return None  # "Deleting a topic might prevent some messages previously sent … from being delivered".
        later = self._throttled(notes, settings.policy)
        if later is not None:
            return later
        try:
            status, response = await self._send(message, settings.policy)
        except Busy:
            turn_ms = self._turn_ms(notes["endpoint"], self._house.clock.now_ms() + _BUSY_MS, _BUSY_MS / LANE_WIDTH)
            return Again(round(turn_ms), notes)
        except Failed as error:
            return await self._failed(message, settings, error)
        outcome = Outcome(True, status, notes["attempts"] + 1, response)
        await self._house.share(StatusLogs).tell(settings.topic, message, outcome)
        return None

    def _throttled(self, notes: dict[str, Any], policy: Mapping[str, Any]) -> Again | None:
        """ "maxReceivesPerSecond: the maximum number of deliveries per second, per subscription": its turn, where that
        has not come."""
        now_ms = self._house.clock.now_ms()
        rate = (policy.get("throttlePolicy") or {}).get("maxReceivesPerSecond")
        if not rate or notes.get("turn") or notes["kind"] != "Notification":
            return None
        turn_ms = self._turn_ms(notes["subscription"], now_ms, 1000 / rate)
        return Again(round(turn_ms), {**notes, "turn": True}) if turn_ms > now_ms else None

    def _turn_ms(self, whose: str, earliest_ms: float, gap_ms: float) -> float:
        if len(self._turns_ms) > _TURNS_MAX:
            self._turns_ms = {name: at_ms for name, at_ms in self._turns_ms.items() if at_ms > earliest_ms}
        turn_ms = max(earliest_ms, self._turns_ms.get(whose, 0.0))
        self._turns_ms[whose] = turn_ms + gap_ms
        return turn_ms

    # -- one attempt --

    async def _send(self, message: Message, policy: dict[str, Any]) -> tuple[int, dict[str, str]]:
        """The status of the answer and what it says; raises `Failed`, or `Busy`."""
        protocol = message.notes["protocol"]
        try:
            if protocol == "sqs":
                return 200, {"sqsMessageId": await self._to_queue(message, message.notes["endpoint"])}
            if protocol == "lambda":
                return await self._to_function(message), {}
            if protocol in _HTTP:
                return await self._to_endpoint(message, policy), {}
            await self._to_mailbox(message)
        except ServiceError as error:
            raise Failed(str(error), error.status) from error
        return 200, {}

    async def _to_queue(self, message: Message, arn: str) -> str:
        """The id of SQS' message."""
        notes, told = message.notes, message.notes["message"]
        options: dict[str, Any] = {}
        if notes["raw"]:
            body = message.body
            if told.get("attributes"):
                options["MessageAttributes"] = told["attributes"]
        else:
            document = await self._document(message)
            body = orjson.dumps(document).decode()
        if told.get("group") and (arn.endswith(".fifo") or not told.get("sequence")):
            options["MessageGroupId"] = told["group"]
        if arn.endswith(".fifo"):
            options["MessageDeduplicationId"] = told["deduplication"]
        header = notes["header"]
        if amzn_trace(header) and len(header) <= _TRACE_HEADER_MAX:
            options["MessageSystemAttributes"] = {"AWSTraceHeader": {"DataType": "String", "StringValue": header}}
        _, _, _, region, account, name = arn.split(":")
        url = f"https://sqs.{region}.amazonaws.com/{account}/{name}"
        ask = self._house.caller(account, region, "sns.amazonaws.com", source_arn=notes["topic"])
        sent = await ask("sqs", "SendMessage", QueueUrl=url, MessageBody=body, **options)
        return str(sent["MessageId"])

    async def _to_function(self, message: Message) -> int:
        notes, arn = message.notes, message.notes["endpoint"]
        event = await envelope.lambda_event(self._house, notes, message.body)
        _, _, _, region, account, *_ = arn.split(":")
        ask = self._house.caller(account, region, "sns.amazonaws.com", source_arn=notes["topic"])
        answer = await ask("lambda", "Invoke", FunctionName=arn, InvocationType="Event", Payload=event)
        return int(answer["StatusCode"])

    async def _to_endpoint(self, message: Message, policy: dict[str, Any]) -> int:
        """ "HTTP/HTTPS headers"."""
        notes = message.notes
        confirms = notes["kind"] != "Notification"
        raw = notes["raw"] and not confirms
        headers = {
            "x-amz-sns-message-type": notes["kind"], "x-amz-sns-message-id": notes["message"]["id"],
            "x-amz-sns-topic-arn": notes["topic"],
        }  # fmt: skip
        if notes["kind"] != "SubscriptionConfirmation":
            headers["x-amz-sns-subscription-arn"] = notes["subscription"]
        if raw:
            headers["x-amz-sns-rawdelivery"] = "true"
        headers["Content-Type"] = delivery_policy.content_type(policy, raw=raw, confirms=confirms)
        body = message.body.encode() if raw else orjson.dumps(await self._document(message))
        try:
            async with self._lanes.of(notes["endpoint"]):
                with self._house.clock.aside:
                    status = await SENDER.post(notes["endpoint"], headers, body, here=self._house.endpoint())
        except Unreachable as error:
            raise Failed(str(error), 0) from error
        if not 200 <= status < 300:
            raise Failed(f"the endpoint answered with status {status}", status)
        return status

    async def _to_mailbox(self, message: Message) -> None:
        """There is nobody here who sends mail: the log has it, as it has the codes that Cognito would send."""
        notes, house = message.notes, self._house
        if notes["kind"] == "Notification" and notes["protocol"] == "email":
            text = message.body
        else:
            document = await self._document(message)
            text = orjson.dumps(document).decode() if notes["protocol"] == "email-json" else document["SubscribeURL"]
        house.telemetry.info(
            "a mail of SNS", to=notes["endpoint"], kind=notes["kind"], topic=notes["topic"], text=text,
            subject=notes["message"].get("subject", "AWS Notification Message"),
        )  # fmt: skip

    async def _document(self, message: Message) -> dict[str, Any]:
        notes = message.notes
        if notes["kind"] == "Notification":
            return await envelope.notification(self._house, notes, message.body, version=notes["version"])
        return await envelope.confirmation(self._house, notes, version=notes["version"])

    # -- what becomes of failures --

    async def _failed(self, message: Message, settings: Settings, error: Failed) -> Again | None:
        notes = {name: value for name, value in message.notes.items() if name != "turn"}
        attempts, now_ms = notes["attempts"] + 1, self._house.clock.now_ms()
        pause_ms = None if error.final else delivery_policy.delay_ms(settings.policy["healthyRetryPolicy"], attempts)
        if pause_ms is not None and not _is_over(message, now_ms + pause_ms):
            return Again(now_ms + pause_ms, {**notes, "attempts": attempts})
        self._house.telemetry.error(
            "a message could not be delivered", subscription=notes["subscription"], endpoint=notes["endpoint"],
            attempts=attempts, error=str(error),
        )  # fmt: skip
        outcome = Outcome(False, error.status, attempts, {"errorMessage": str(error)})
        await self._house.share(StatusLogs).tell(settings.topic, message, outcome)
        await self._bury(message, settings.subscription)
        return None

    async def _bury(self, message: Message, subscription: Subscription | None) -> None:
        arn = subscription_attributes.dead_letters(subscription) if subscription is not None else ""
        if not arn or message.notes["kind"] != "Notification":
            return
        try:
            await self._to_queue(message, arn)
        except ServiceError as error:
            self._house.telemetry.error(
                "a dead-letter queue refused a message", subscription=message.notes["subscription"], error=str(error)
            )


def _is_over(message: Message, due_ms: int) -> bool:
    """Whether the time of an HTTP/S endpoint is over by then."""
    return message.notes["protocol"] in _HTTP and due_ms - message.sent_ms > delivery_policy.TOTAL_MS


def _settings(tx: Tx, notes: Mapping[str, Any]) -> Settings:
    subscription = state.by_arn(tx, notes["subscription"])
    _, _, _, region, account, name = notes["topic"].split(":")
    topic = state.TOPICS.get_shared(tx, account, region, name)
    if notes["protocol"] not in _HTTP:
        return Settings(topic, subscription, {"healthyRetryPolicy": delivery_policy.MANAGED})
    own = subscription.attributes.get("DeliveryPolicy", "") if subscription is not None else ""
    of_topic = topic.attributes.get("DeliveryPolicy", "") if topic is not None else ""
    return Settings(topic, subscription, delivery_policy.effective(of_topic, own))
