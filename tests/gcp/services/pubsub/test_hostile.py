"""Whatever a request has in it, it is answered or refused in the service's own terms: no request is our bug."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from fogbank.gcp.protocol.descriptors import methods

if TYPE_CHECKING:
    from tests.support.cloud import Cloud
    from tests.support.google import PubSub

ROUNDS = 60
NAMES = [
    "projects/fog-project/topics/news", "projects/fog-project/subscriptions/reader", "projects/fog-project",
    "projects/fog-project/snapshots/shot", "projects/fog-project/schemas/order",
    "projects//topics/", "projects/p/topics/a%2F", "_deleted-topic_", "", "/",
]  # fmt: skip
TEXTS = [
    *NAMES,
    "attributes:a",
    "labels",
    "push_config.push_endpoint",
    "name",
    "http://127.0.0.1:1/",
    "\x00",
    "é" * 300,
]
KINDS = {0: "Topic", 1: "Subscription", 3: "Snapshot", 4: "Schema"}
RIGHT: dict[str, Any] = {
    "topic": NAMES[0], "subscription": NAMES[1], "project": NAMES[2], "snapshot": NAMES[3], "data": b"x",
    "paths": "labels",
    "parent": NAMES[2], "schema_id": "order", "type": 2, "encoding": 1,
    "definition": '{"type": "record", "name": "A", "fields": []}', "message": b"{}",
    "page_size": 10, "page_token": "", "max_messages": 10, "ack_deadline_seconds": 10, "filter": "", "nanos": 0,
    "ack_ids": "MDFhMzE4NWMtNTAwMC03MDA1LTgyODktYzYzZThiYTJkYTEyOjE6MTgwMDAwMDAxMDAwMA==", "return_immediately": True,
}  # fmt: skip
NUMBERS = [0, 1, -1, 10, 600, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63)]


def filled(kind: Any, chance: random.Random, depth: int = 0) -> Any:
    """A message with some of its fields set to something."""
    made = kind()
    for field in kind.DESCRIPTOR.fields:
        if chance.random() < (0.1, 0.8)[depth > 0 and field.name not in RIGHT] or depth > 3:
            continue
        count = chance.randint(0, 3) if field.is_repeated else 1
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for _ in range(count):
                getattr(made, field.name)[chance.choice(TEXTS)] = chance.choice(TEXTS)
        elif field.message_type is not None:
            for _ in range(count):
                below = getattr(made, field.name)
                target = below.add() if field.is_repeated else below
                target.SetInParent()
                target.MergeFrom(filled(type(target), chance, depth + 1))
        else:
            values = [plain(field, chance) for _ in range(count)]
            if field.is_repeated:
                getattr(made, field.name).extend(values)
            elif values:
                setattr(made, field.name, values[0])
    return made


def plain(field: FieldDescriptor, chance: random.Random) -> Any:
    if chance.random() < 0.7:  # Mostly what is right, so that the rest of it is come to.
        if field.name in RIGHT:
            return RIGHT[field.name]
        if field.name == "name":
            return next((NAMES[at] for at, word in KINDS.items() if word in field.containing_type.name), "")
    if field.type == FieldDescriptor.TYPE_STRING:
        return chance.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return chance.randbytes(chance.randint(0, 20))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return chance.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        return chance.choice([0, 1, 2, 99])
    bits = 31 if field.type == FieldDescriptor.TYPE_INT32 else 63
    return chance.choice([number for number in NUMBERS if -(1 << bits) <= number < 1 << bits])


@pytest.mark.parametrize(
    "service", ["google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber", "google.pubsub.v1.SchemaService"]
)
def test_no_request_is_an_internal_error(cloud: Cloud, pubsub: PubSub, service: str) -> None:
    channel = grpc.insecure_channel(f"127.0.0.1:{cloud.server.port}")
    chance, answered = random.Random(service), set()
    for _ in range(ROUNDS):
        for name, method in methods(service).items():
            ensure(pubsub, chance)
            request = filled(method.request, chance)
            kind = "stream_stream" if method.takes_stream else "unary_unary"
            call = getattr(channel, kind)(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            try:
                if method.takes_stream:
                    list(call(iter([request]), timeout=0.2))
                else:
                    call(request, timeout=0.2 if name == "Pull" else 20)
                answered.add(name)
            except grpc.RpcError as error:
                assert error.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), (name, request, error)
    assert "rpc failed" not in cloud.log.getvalue()
    assert len(answered) > len(methods(service)) / 2  # Else what is asked says nothing.


def ensure(pubsub: PubSub, chance: random.Random) -> None:
    """Something is mostly there to be asked about."""
    if chance.random() < 0.3:
        for make in (pubsub.topic, lambda: pubsub.subscription(NAMES[0])):
            try:
                make()
            except Exception:
                continue


@pytest.mark.parametrize("seconds", [-(1 << 63), -62135596800, 253402300799, (1 << 63) - 1])
def test_any_moment_can_be_sought(cloud: Cloud, pubsub: PubSub, seconds: int) -> None:
    reader = pubsub.subscription(topic := pubsub.topic(), retain_acked_messages=True)
    pubsub.publish(topic, "a")
    method = methods("google.pubsub.v1.Subscriber")["Seek"]
    request: Any = method.request(subscription=reader)
    request.time.seconds = seconds
    call = grpc.insecure_channel(f"127.0.0.1:{cloud.server.port}").unary_unary(
        method.path, request_serializer=method.request.SerializeToString
    )
    call(request, timeout=20)
    assert pubsub.texts(reader) == (["a"] if seconds < 0 else [])
