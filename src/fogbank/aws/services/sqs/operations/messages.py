"""Messages: sent, received, hidden longer, deleted; one at a time or ten."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.protocol import lineage
from fogbank.aws.service import Call, Later, Operations, ServiceError
from fogbank.aws.services.sqs import attempts, attributes, message, state
from fogbank.kernel.telemetry import amzn_trace
from fogbank.primitives import queues
from fogbank.primitives.deduplication import Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.store import Tx

_BATCH_MAX = 10
_DEDUPLICATION_MS = 300_000  # Developer Guide, "Exactly-once processing": the five-minute interval.
_VISIBILITY_MAX_S = 43_200
_TRACE_HEADER_MAX = 1024  # Far longer than any that AWS's own makes.
_NUMBER_MAX = 1 << 63  # What a key of the store can hold.
_LIMITS = {
    "MaxNumberOfMessages": (1, 10, "Must be between 1 and 10"),
    "WaitTimeSeconds": (0, 20, "Must be >= 0 and <= 20"),
    "VisibilityTimeout": (0, _VISIBILITY_MAX_S, "Must be between 0 and 43200"),
}
# ReceiveMessage, AttributeNames: beside its own, it takes the names of queues' attributes, and answers nothing to them.
_RECEIVED = message.SYSTEM_NAMES | attributes.NAMES


class Messages(Operations):
    service: ClassVar = "sqs"

    # -- sending --

    def send_message(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._send(tx, call, state.find(tx, call, request["QueueUrl"]), request)

    def send_message_batch(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        queue, entries = state.find(tx, call, request["QueueUrl"]), request["Entries"]
        _check_entries("SendMessage", entries)
        total = sum(message.size(entry["MessageBody"], entry.get("MessageAttributes", {})) for entry in entries)
        if total > message.BYTES_MAX:
            raise ServiceError(
                "BatchRequestTooLong",
                f"Batch requests cannot be longer than {message.BYTES_MAX} bytes. You have sent {total} bytes.",
            )
        return _each(entries, lambda entry: self._send(tx, call, queue, entry))

    def _send(self, tx: Tx, call: Call, queue: state.Queue, request: dict[str, Any]) -> dict[str, Any]:
        body, own = request["MessageBody"], request.get("MessageAttributes", {})
        message.check_body(body)
        message.check_attributes(own)
        limit = queue.number("MaximumMessageSize")
        if message.size(body, own) > limit:
            told = f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            raise ServiceError("InvalidParameterValue", told)
        answer: dict[str, Any] = {"MD5OfMessageBody": message.md5_of(body)}
        if own:
            answer["MD5OfMessageAttributes"] = message.md5_of_attributes(own)
        given = request.get("MessageSystemAttributes", {})
        if given:
            message.check_system_attributes(given)
            answer["MD5OfMessageSystemAttributes"] = message.md5_of_attributes(given)
        system = {**_traced(call), **{name: value["StringValue"] for name, value in given.items()}}
        system["SenderId"] = call.sender
        group = request.get("MessageGroupId", "")
        if group:
            message.check_token("MessageGroupId", group)
        if queue.fifo:
            sent = self._deduplicate(tx, call, queue, request, system)
            if sent is not None:
                return {**answer, "MessageId": sent.message_id, "SequenceNumber": sent.sequence}
        elif "MessageDeduplicationId" in request:
            told = f"Value {request['MessageDeduplicationId']} for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid for this queue type."  # noqa: E501
            raise ServiceError("InvalidParameterValue", told)
        message_id = call.new_id()
        if queue.fifo:
            system["SequenceNumber"] = answer["SequenceNumber"] = state.next_sequence(tx, queue)
            scope = group if queue.attributes.get("DeduplicationScope") == "messageGroup" else ""
            kept = Sent(message_id, system["SequenceNumber"], call.now_ms + _DEDUPLICATION_MS)
            state.SENT.keep(tx, queue.id, scope, system["MessageDeduplicationId"], kept)
        elif group:
            system["MessageGroupId"] = group
        notes: dict[str, Any] = {"system": system, "trace": call.trace_id, **_way(call)}
        if own:
            notes["attributes"] = own
        made = queues.Message(
            message_id, body, due_ms=call.now_ms + 1000 * self._delay_s(queue, request), sent_ms=call.now_ms,
            expires_ms=call.now_ms + queue.retention_ms, group=group if queue.fifo else "",
            notes=notes,
        )  # fmt: skip
        queues.send(tx, queue.id, made)
        return {**answer, "MessageId": message_id}

    def _delay_s(self, queue: state.Queue, request: dict[str, Any]) -> int:
        delay_s = request.get("DelaySeconds")
        if delay_s is None:
            return queue.number("DelaySeconds")
        if queue.fifo and delay_s:
            told = f"Value {delay_s} for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type."  # noqa: E501
            raise ServiceError("InvalidParameterValue", told)
        if not 0 <= delay_s <= 900:
            told = (
                f"Value {delay_s} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
            )
            raise ServiceError("InvalidParameterValue", told)
        return int(delay_s)

    def _deduplicate(
        self, tx: Tx, call: Call, queue: state.Queue, request: dict[str, Any], system: dict[str, str]
    ) -> Sent | None:
        """The message that was sent under this deduplication id already, within five minutes."""
        group = request.get("MessageGroupId", "")
        if not group:
            raise ServiceError("MissingParameter", "The request must contain the parameter MessageGroupId.")
        given = request.get("MessageDeduplicationId", "")
        if not given and queue.attributes.get("ContentBasedDeduplication", "false").lower() == "true":
            given = hashlib.sha256(request["MessageBody"].encode()).hexdigest()
        if not given:
            told = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"  # noqa: E501
            raise ServiceError("InvalidParameterValue", told)
        message.check_token("MessageDeduplicationId", given)
        system["MessageDeduplicationId"] = given
        scope = group if queue.attributes.get("DeduplicationScope") == "messageGroup" else ""
        return state.SENT.find(tx, queue.id, scope, given, call.now_ms)

    # -- receiving --

    def receive_message(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any] | Later:
        queue = state.find(tx, call, request["QueueUrl"])
        _check_receive(queue, request)
        lent, _ = _attempt(tx, queue, request, call.now_ms)
        if lent:
            return _shown(lent, request)
        wait_s = request.get("WaitTimeSeconds")
        wait_s = queue.number("ReceiveMessageWaitTimeSeconds") if wait_s is None else wait_s
        if not wait_s:
            return {}
        return Later(lambda: self._poll(queue, request, call.now_ms + 1000 * wait_s))

    async def _poll(self, queue: state.Queue, request: dict[str, Any], until_ms: int) -> dict[str, Any]:
        store, clock = self.house.store, self.house.clock
        with self.house.signals.watch(queues.DUE, (queue.id,)) as watch:
            while True:
                now_ms = clock.now_ms()
                lent, next_ms = await store.transact(_attempt, queue, request, now_ms)
                if lent or now_ms >= until_ms:
                    return _shown(lent, request)
                await watch.wait(min(until_ms, next_ms) if next_ms is not None and next_ms > now_ms else until_ms)

    def delete_message(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        _delete(tx, call, state.find(tx, call, request["QueueUrl"]), request)

    def delete_message_batch(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        queue, entries = state.find(tx, call, request["QueueUrl"]), request["Entries"]
        _check_entries("DeleteMessage", entries)
        return _each(entries, lambda entry: _delete(tx, call, queue, entry))

    def change_message_visibility(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        _change_visibility(tx, call, state.find(tx, call, request["QueueUrl"]), request)

    def change_message_visibility_batch(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        queue, entries = state.find(tx, call, request["QueueUrl"]), request["Entries"]
        _check_entries("ChangeMessageVisibility", entries)
        return _each(entries, lambda entry: _change_visibility(tx, call, queue, entry))


def _traced(call: Call) -> dict[str, str]:
    """Developer Guide, "Tracing Amazon SQS queues using AWS X-Ray": the header of a request goes with its messages."""
    header = call.trace_header
    return {"AWSTraceHeader": header} if amzn_trace(header) and len(header) <= _TRACE_HEADER_MAX else {}


def _way(call: Call) -> dict[str, str]:
    """The lineage, also where a sender's own attribute hides it."""
    way = lineage.of(call.trace_header)
    return {"lineage": way} if way else {}


def _shown(lent: list[tuple[queues.Message, str]], request: dict[str, Any]) -> dict[str, Any]:
    if not lent:
        return {}
    system = [*request.get("AttributeNames", ()), *request.get("MessageSystemAttributeNames", ())]
    wanted = request.get("MessageAttributeNames", ())
    return {"Messages": [message.on_wire(one, handle, system, wanted) for one, handle in lent]}


def _attempt(
    tx: Tx, queue: state.Queue, request: dict[str, Any], now_ms: int
) -> tuple[list[tuple[queues.Message, str]], int | None]:
    """What is lent, with its handles; for an attempt that is made again, what it was given the first time."""
    attempt = request.get("ReceiveRequestAttemptId")
    if attempt:
        again = attempts.again(tx, queue, attempt, now_ms, _lend_ms(queue, request))
        if again:
            return [(one, _encoded(receipt)) for one, receipt in again], None
    lent, next_ms = receive(tx, queue, request, now_ms)
    if attempt and lent:
        attempts.keep(tx, queue, attempt, lent, now_ms)
    return [(one, handle(one)) for one in lent], next_ms


def _lend_ms(queue: state.Queue, request: dict[str, Any]) -> int:
    visibility_s = request.get("VisibilityTimeout")
    return 1000 * int(queue.number("VisibilityTimeout") if visibility_s is None else visibility_s)


def receive(
    tx: Tx, queue: state.Queue, request: dict[str, Any], now_ms: int
) -> tuple[list[queues.Message], int | None]:
    """Lend what is due; the second part is when more will be."""
    dead, on_dead = dead_letters(tx, queue, now_ms)
    lent = queues.receive(
        tx,
        queue.id,
        limit=request.get("MaxNumberOfMessages", 1),
        now_ms=now_ms,
        lend_ms=_lend_ms(queue, request),
        dead=dead,
        on_dead=on_dead,
    )
    return lent, None if lent else queues.next_due_ms(tx, queue.id)


def dead_letters(
    tx: Tx, queue: state.Queue, now_ms: int
) -> tuple[Callable[[queues.Message], bool] | None, Callable[[Tx, queues.Message], None] | None]:
    """When a message has been received too often, and where it goes then: with its id and its time of sending."""
    redrive = attributes.redrive(queue.attributes)
    if redrive is None:
        return None, None
    arn, receives_max = redrive
    try:
        target = state.by_arn(tx, arn)
    except ServiceError:  # It was deleted: messages stay where they are, as on AWS.
        return None, None

    def on_dead(tx: Tx, one: queues.Message) -> None:
        system = {**one.notes.get("system", {}), "DeadLetterQueueSourceArn": queue.arn}
        expires_ms = (one.sent_ms if not target.fifo else now_ms) + target.retention_ms
        moved = queues.Message(
            one.id, one.body, due_ms=now_ms, sent_ms=one.sent_ms, expires_ms=expires_ms, group=one.group,
            receive_count=0, notes={**one.notes, "system": system},
        )  # fmt: skip
        queues.send(tx, target.id, moved)

    return lambda one: one.receive_count >= receives_max, on_dead


def handle(one: queues.Message) -> str:
    return _encoded(one.receipt)


def _encoded(receipt: str) -> str:
    return b64encode(receipt.encode()).decode()


def receipt(given: str) -> str:
    """Raises ReceiptHandleIsInvalid for what SQS never gave."""
    try:
        text = b64decode(given, validate=True).decode()
        _, count, due_ms = text.rsplit(":", 2)
        if not (0 < int(count) < _NUMBER_MAX and 0 <= int(due_ms) < _NUMBER_MAX):
            raise ValueError(given)
    except ValueError as error:
        told = f'The input receipt handle "{given}" is not a valid receipt handle.'
        raise ServiceError("ReceiptHandleIsInvalid", told) from error
    return text


def _change_visibility(tx: Tx, call: Call, queue: state.Queue, request: dict[str, Any]) -> dict[str, Any]:
    timeout_s = request.get("VisibilityTimeout", queue.number("VisibilityTimeout"))
    if not 0 <= timeout_s <= _VISIBILITY_MAX_S:
        told = f"Value {timeout_s} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200, if provided."  # noqa: E501
        raise ServiceError("InvalidParameterValue", told)
    due_ms = call.now_ms + 1000 * timeout_s
    hidden = queues.hide(tx, queue.id, receipt(request["ReceiptHandle"]), due_ms=due_ms, now_ms=call.now_ms)
    if hidden is False:
        raise ServiceError("MessageNotInflight", "The specified message isn't in flight.")
    if hidden is None:
        told = f"Value {request['ReceiptHandle']} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change."  # noqa: E501
        raise ServiceError("InvalidParameterValue", told)
    return {}


def _delete(tx: Tx, call: Call, queue: state.Queue, request: dict[str, Any]) -> dict[str, Any]:
    lent = receipt(request["ReceiptHandle"])
    if queue.fifo and queues.lent_until_ms(tx, queue.id, lent) < call.now_ms:
        # Of a FIFO queue only the holder deletes: by now the message may be with another one.
        told = f"Value {request['ReceiptHandle']} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."  # noqa: E501
        raise ServiceError("InvalidParameterValue", told)
    queues.delete(tx, queue.id, lent)
    return {}


def _check_receive(queue: state.Queue, request: dict[str, Any]) -> None:
    for name, (low, high, reason) in _LIMITS.items():
        if name in request and not low <= request[name] <= high:
            told = f"Value {request[name]} for parameter {name} is invalid. Reason: {reason}, if provided."
            raise ServiceError("InvalidParameterValue", told)
    attempt = request.get("ReceiveRequestAttemptId")
    if attempt and not queue.fifo:
        told = f"Value {attempt} for parameter ReceiveRequestAttemptId is invalid. Reason: The request includes a parameter that is not valid for this queue type."  # noqa: E501
        raise ServiceError("InvalidParameterValue", told)
    if attempt:
        message.check_token("ReceiveRequestAttemptId", attempt)
    for name in request.get("AttributeNames", ()):
        if name not in _RECEIVED:
            raise ServiceError("InvalidAttributeName", f"Unknown Attribute {name}.")
    for name in request.get("MessageSystemAttributeNames", ()):
        if name not in message.SYSTEM_NAMES:
            raise ServiceError("InvalidAttributeName", f"Unknown Attribute {name}.")


def _check_entries(operation: str, entries: list[dict[str, Any]]) -> None:
    if not entries:
        told = f"There should be at least one {operation}BatchRequestEntry in the request."
        raise ServiceError("EmptyBatchRequest", told)
    if len(entries) > _BATCH_MAX:
        told = f"Maximum number of entries per request are {_BATCH_MAX}. You have sent {len(entries)}."
        raise ServiceError("TooManyEntriesInBatchRequest", told)
    ids = [entry["Id"] for entry in entries]
    for given in ids:
        if not (0 < len(given) <= 80 and all(c.isascii() and (c.isalnum() or c in "-_") for c in given)):
            told = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."  # noqa: E501
            raise ServiceError("InvalidBatchEntryId", told)
    twice = next((given for given in ids if ids.count(given) > 1), None)
    if twice is not None:
        raise ServiceError("BatchEntryIdsNotDistinct", f"Id {twice} repeated.")


def _each(entries: list[dict[str, Any]], work: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """What can be done is done; what cannot is told entry by entry."""
    done, failed = [], []
    for entry in entries:
        try:
            done.append({"Id": entry["Id"], **work(entry)})
        except ServiceError as error:
            failed.append({"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message})
    return {"Successful": done, **({"Failed": failed} if failed else {})}
