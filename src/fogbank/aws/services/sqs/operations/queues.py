"""Queues: created, described, changed, purged, deleted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from msgspec import structs

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.sqs import attempts, attributes, state
from fogbank.primitives import queues

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_PAGE_MAX = 1000
_TAGS_MAX = 50
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ACTIONS_MAX = 7
# Developer Guide, "Overview of managing access": what AddPermission may give.
_ACTIONS = frozenset(
    [
        "*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes",
        "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue",
    ]
)  # fmt: skip
_PURGE_PAUSE_MS = 60_000
_EXPIRE_EVERY_MS = (30_000, 3_600_000)


class Queues(Operations):
    service: ClassVar = "sqs"

    def backgrounds(self) -> list[Background]:
        return [Background("sqs: forget old messages", self._expire)]

    def create_queue(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name, given = request["QueueName"], dict(request.get("Attributes", {}))
        if not _NAME.fullmatch(name) or (name.endswith(".fifo") and "FifoQueue" not in given):
            raise ServiceError(
                "InvalidParameterValue",
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            )
        fifo = name.endswith(".fifo")
        if fifo != (given.get("FifoQueue", "false").lower() == "true"):
            told = "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length"  # noqa: E501
            raise ServiceError("InvalidParameterValue", told)
        kept = attributes.check(given, fifo=fifo)
        attributes.check_throughput(kept)
        before = state.QUEUES.get(tx, call.account, call.region, name)
        if before is not None:
            shown = _shown_settings(before)
            if any(shown.get(key) != value for key, value in kept.items()):
                raise ServiceError(
                    "QueueNameExists",
                    "A queue already exists with the same name and a different value for attribute "
                    + next(key for key, value in kept.items() if shown.get(key) != value),
                )
            return {"QueueUrl": state.url(call, before)}
        self._check_dead_letters(tx, kept, call.arn("sqs", name), fifo=fifo)
        _check_tags(name, request.get("tags", {}))
        made = state.Queue(
            call.new_id(), call.account, call.region, name, kept, call.now_ms, call.now_ms, request.get("tags", {})
        )
        state.put(tx, made)
        return {"QueueUrl": state.url(call, made)}

    def get_queue_url(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        account = request.get("QueueOwnerAWSAccountId", call.account)
        found = state.QUEUES.get(tx, account, call.region, request["QueueName"])
        if found is None:
            raise state.missing()
        return {"QueueUrl": state.url(call, found)}

    def list_queues(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        prefix, after = request.get("QueueNamePrefix", ""), request.get("NextToken", "")
        every = [
            q for q in state.QUEUES.all(tx, call.account, call.region) if q.name.startswith(prefix) and q.name > after
        ]
        page, more = _page(request, every)
        return {"QueueUrls": [state.url(call, queue) for queue in page], **more} if every else {}

    def delete_queue(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        queue = state.find(tx, call, request["QueueUrl"])
        state.QUEUES.delete(tx, queue.account, queue.region, queue.name)
        queues.drop(tx, queue.id)
        state.SENT.forget(tx, queue.id)
        attempts.ATTEMPTS.clear(tx, queue.id)
        state.SEQUENCES.delete(tx, queue.id)

    def purge_queue(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        queue = state.find(tx, call, request["QueueUrl"])
        if queue.purged_ms and call.now_ms - queue.purged_ms < _PURGE_PAUSE_MS:
            raise ServiceError(
                "PurgeQueueInProgress", f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds."
            )
        state.put(tx, replace(queue, purged_ms=call.now_ms))
        queues.drop(tx, queue.id)

    def get_queue_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        queue = state.find(tx, call, request["QueueUrl"])
        asked = set(request.get("AttributeNames", ()))
        counted = queues.counts(tx, queue.id, call.now_ms)
        every = {
            **_shown_settings(queue),
            "QueueArn": queue.arn,
            "CreatedTimestamp": str(queue.created_ms // 1000),
            "LastModifiedTimestamp": str(queue.modified_ms // 1000),
            "ApproximateNumberOfMessages": str(counted.visible),
            "ApproximateNumberOfMessagesNotVisible": str(counted.in_flight),
            "ApproximateNumberOfMessagesDelayed": str(counted.delayed),
        }
        unknown = asked - attributes.NAMES
        if unknown:
            raise ServiceError("InvalidAttributeName", f"Unknown Attribute {sorted(unknown)[0]}.")
        chosen = every if "All" in asked else {name: value for name, value in every.items() if name in asked}
        return {"Attributes": chosen} if chosen else {}

    def set_queue_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        queue = state.find(tx, call, request["QueueUrl"])
        given = dict(request["Attributes"])
        if "FifoQueue" in given:
            raise ServiceError("InvalidAttributeName", "Unknown Attribute FifoQueue.")
        kept = attributes.check(given, fifo=queue.fifo)
        self._check_dead_letters(tx, kept, queue.arn, fifo=queue.fifo)
        merged = {name: value for name, value in (queue.attributes | kept).items() if value != ""}
        if kept.get("KmsMasterKeyId"):  # Only one kind of encryption at a time.
            merged["SqsManagedSseEnabled"] = "false"
        elif merged.get("SqsManagedSseEnabled", "").lower() == "true":
            merged.pop("KmsMasterKeyId", None)
        attributes.check_throughput(merged)
        changed = replace(queue, attributes=merged)
        if _matters_to_messages(queue, changed):
            queues.rewrite(tx, queue.id, lambda one: _as_set_now(one, queue, changed, call.now_ms))
        state.put(tx, replace(queue, attributes=merged, modified_ms=call.now_ms))

    def list_dead_letter_source_queues(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        target = state.find(tx, call, request["QueueUrl"]).arn
        every = state.QUEUES.all(tx, call.account, call.region)
        after = request.get("NextToken", "")
        found = [q for q in every if (attributes.redrive(q.attributes) or ("", 0))[0] == target and q.name > after]
        page, more = _page(request, found)
        return {"queueUrls": [state.url(call, queue) for queue in page], **more}

    def list_queue_tags(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        tags = state.find(tx, call, request["QueueUrl"]).tags
        return {"Tags": tags} if tags else {}

    def tag_queue(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        queue = state.find(tx, call, request["QueueUrl"])
        _check_tags(queue.name, queue.tags | request["Tags"])
        state.put(tx, replace(queue, tags=queue.tags | request["Tags"]))

    def untag_queue(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        queue = state.find(tx, call, request["QueueUrl"])
        gone = set(request["TagKeys"])
        state.put(tx, replace(queue, tags={k: v for k, v in queue.tags.items() if k not in gone}))

    def add_permission(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        queue = state.find(tx, call, request["QueueUrl"])
        policy = _policy(queue)
        if any(statement["Sid"] == request["Label"] for statement in policy["Statement"]):
            told = f"Value {request['Label']} for parameter Label is invalid. Reason: Already exists."
            raise ServiceError("InvalidParameterValue", told)
        _check_permission(request)
        who = [f"arn:aws:iam::{account}:root" for account in request["AWSAccountIds"]]
        actions = [f"SQS:{action}" for action in request["Actions"]]
        policy["Statement"].append(
            {"Sid": request["Label"], "Effect": "Allow", "Principal": {"AWS": who if len(who) > 1 else who[0]},
             "Action": actions if len(actions) > 1 else actions[0], "Resource": queue.arn}
        )  # fmt: skip
        state.put(tx, replace(queue, attributes=queue.attributes | {"Policy": orjson.dumps(policy).decode()}))

    def remove_permission(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        queue = state.find(tx, call, request["QueueUrl"])
        policy = _policy(queue)
        left = [statement for statement in policy["Statement"] if statement["Sid"] != request["Label"]]
        if len(left) == len(policy["Statement"]):
            told = (
                f"Value {request['Label']} for parameter Label is invalid. Reason: can't find label on existing policy."
            )
            raise ServiceError("InvalidParameterValue", told)
        kept = {name: value for name, value in queue.attributes.items() if name != "Policy"}
        if left:
            kept["Policy"] = orjson.dumps({**policy, "Statement": left}).decode()
        state.put(tx, replace(queue, attributes=kept))

    def _check_dead_letters(self, tx: Tx, kept: dict[str, str], arn: str, *, fifo: bool) -> None:
        redrive = attributes.redrive(kept)
        if redrive is None:
            return
        try:
            target = state.by_arn(tx, redrive[0])
        except ServiceError as error:
            told = f"Value {kept['RedrivePolicy']} for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist."  # noqa: E501
            raise ServiceError("InvalidParameterValue", told) from error
        if target.fifo != fifo:
            kind = "FIFO" if fifo else "standard"
            told = f"Value {kept['RedrivePolicy']} for parameter RedrivePolicy is invalid. Reason: Dead-letter queue must be same type of queue as the source: {kind}."  # noqa: E501
            raise ServiceError("InvalidParameterValue", told)
        if not attributes.lets_in(target.attributes, arn):
            told = f"Value {kept['RedrivePolicy']} for parameter RedrivePolicy is invalid. Reason: The redrive allow policy of the dead-letter queue does not allow this source queue."  # noqa: E501
            raise ServiceError("InvalidParameterValue", told)

    async def _expire(self) -> None:
        """As often as the shortest retention asks for: who moves the clock by a month waits for every turn."""
        house = self.house
        with house.signals.watch(state.CHANGED) as watch:
            while True:
                every = await house.store.transact(state.QUEUES.all)
                for queue in every:
                    await house.store.transact(queues.expire, queue.id, house.clock.now_ms())
                    if queue.fifo:
                        await house.store.transact(_forget_tokens, queue.id, house.clock.now_ms())
                often_ms = min((queue.retention_ms // 24 for queue in every), default=_EXPIRE_EVERY_MS[1])
                pause_ms = min(max(often_ms, _EXPIRE_EVERY_MS[0]), _EXPIRE_EVERY_MS[1])
                await watch.wait(house.clock.now_ms() + pause_ms)


def _forget_tokens(tx: Tx, queue_id: str, now_ms: int) -> None:
    """Deduplication ids and attempts whose five minutes are over."""
    state.SENT.expire(tx, now_ms, queue_id)
    attempts.expire(tx, queue_id, now_ms)


def _matters_to_messages(before: state.Queue, after: state.Queue) -> bool:
    if before.retention_ms != after.retention_ms:
        return True
    return before.fifo and before.number("DelaySeconds") != after.number("DelaySeconds")


def _as_set_now(one: queues.Message, before: state.Queue, after: state.Queue, now_ms: int) -> queues.Message:
    """SetQueueAttributes, "Attributes": a new retention period counts for messages that are there already, a new delay
    for those of a FIFO queue."""
    longer_ms = 1000 * (after.number("DelaySeconds") - before.number("DelaySeconds")) if before.fifo else 0
    waits = one.receive_count == 0 and one.due_ms > now_ms
    return structs.replace(
        one, expires_ms=one.expires_ms + after.retention_ms - before.retention_ms,
        due_ms=max(one.due_ms + longer_ms, one.sent_ms) if waits else one.due_ms,
    )  # fmt: skip


def _page(request: dict[str, Any], behind: list[state.Queue]) -> tuple[list[state.Queue], dict[str, str]]:
    """ListQueues: "You must set MaxResults to receive a value for NextToken in the response"."""
    limit = request.get("MaxResults", _PAGE_MAX)
    if not 1 <= limit <= _PAGE_MAX:
        told = f"Value {limit} for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and {_PAGE_MAX}."  # noqa: E501
        raise ServiceError("InvalidParameterValue", told)
    more = {"NextToken": behind[limit - 1].name} if len(behind) > limit and "MaxResults" in request else {}
    return behind[:limit], more


def _check_tags(name: str, tags: dict[str, str]) -> None:
    if len(tags) > _TAGS_MAX:
        raise ServiceError("InvalidParameterValue", f"Too many tags added for queue {name}.")


def _check_permission(request: dict[str, Any]) -> None:
    """API reference, AddPermission: "An Amazon SQS policy can have a maximum of seven actions per statement"."""
    actions = request["Actions"]
    if not _LABEL.fullmatch(request["Label"]):
        told = f"Value {request['Label']} for parameter Label is invalid. Reason: Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length."  # noqa: E501
        raise ServiceError("InvalidParameterValue", told)
    if len(actions) > _ACTIONS_MAX:
        told = f"{len(actions)} Actions were found, maximum allowed is {_ACTIONS_MAX}."
        raise ServiceError("OverLimit", told, status=403)
    for action in actions:
        if action not in _ACTIONS:
            told = f"Value SQS:{action} for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action."  # noqa: E501
            raise ServiceError("InvalidParameterValue", told)
    for account in request["AWSAccountIds"]:
        if not (account.isdigit() and len(account) == 12):
            told = f"Value [{account}] for parameter PrincipalId is invalid. Reason: Unable to verify."
            raise ServiceError("InvalidParameterValue", told)


def _shown_settings(queue: state.Queue) -> dict[str, str]:
    kms = queue.attributes.get("KmsMasterKeyId")
    encryption = {"SqsManagedSseEnabled": "false", "KmsDataKeyReusePeriodSeconds": "300"} if kms else {}
    return {**attributes.DEFAULTS, **(attributes.FIFO_DEFAULTS if queue.fifo else {}), **encryption, **queue.attributes}


def _policy(queue: state.Queue) -> dict[str, Any]:
    text = queue.attributes.get("Policy")
    if text:
        return dict(orjson.loads(text))
    return {"Version": "2008-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy", "Statement": []}
