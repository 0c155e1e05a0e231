"""Push subscriptions: what endpoints are sent, and what becomes of their answers."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from tests.support.cloud import Cloud
from tests.support.google import PubSub
from tests.support.receiver import Received, Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


def test_a_message_is_posted_once_in_its_envelope(pubsub: PubSub) -> None:
    with Receiver(lambda _: 204) as receiver:
        topic = pubsub.topic()
        reader = pubsub.subscription(topic, push_config={"push_endpoint": receiver.url})
        (sent,) = pubsub.publish(topic, "hello", color="red")
        eventually(lambda: receiver.requests)
        body = json.loads(receiver.requests[0].body)
        message = body.pop("message")
        assert body == {"subscription": reader}
        assert base64.b64decode(message["data"]) == b"hello" and message["attributes"] == {"color": "red"}
        assert message["messageId"] == message["message_id"] == sent
        assert message["publishTime"] == message["publish_time"] == "2027-01-15T08:00:00Z"
        assert receiver.requests[0].headers["content-type"] == "application/json"
        with pytest.raises(exceptions.FailedPrecondition, match="not supported for this subscription type"):
            pubsub.pull(reader)


def test_a_message_that_is_not_taken_is_sent_again(cloud: Cloud, pubsub: PubSub) -> None:
    answers = [500, 301, 200]
    with Receiver(lambda _: answers.pop(0)) as receiver:
        topic = pubsub.topic()
        pubsub.subscription(topic, push_config={"push_endpoint": receiver.url})
        pubsub.publish(topic, "hello")
        for sent in (1, 2, 3):
            eventually(lambda sent=sent: _after_a_second(cloud, receiver, sent))  # type: ignore[misc]
        cloud.advance(seconds=60)
        assert len(receiver.requests) == 3


def _after_a_second(cloud: Cloud, receiver: Receiver, sent: int) -> bool:
    if len(receiver.requests) < sent:
        cloud.advance(seconds=1)
    return len(receiver.requests) >= sent


def test_the_data_alone_is_sent_without_a_wrapper(pubsub: PubSub) -> None:
    with Receiver() as receiver:
        topic = pubsub.topic()
        push = {"push_endpoint": receiver.url, "no_wrapper": {"write_metadata": True}}
        reader = pubsub.subscription(topic, push_config=push)
        pubsub.publish(topic, "hello", color="red")
        eventually(lambda: receiver.requests)
        received: Received = receiver.requests[0]
        assert received.body == b"hello" and received.headers["color"] == "red"
        assert received.headers["x-goog-pubsub-subscription-name"] == reader


def test_a_subscription_becomes_a_push_one_and_a_pull_one_again(pubsub: PubSub) -> None:
    with Receiver() as receiver:
        topic = pubsub.topic()
        reader = pubsub.subscription(topic)
        pubsub.publish(topic, "first")
        request = {"subscription": reader, "push_config": {"push_endpoint": receiver.url}}
        pubsub.subscriber.modify_push_config(request=request)
        eventually(lambda: receiver.requests)
        pubsub.subscriber.modify_push_config(request={"subscription": reader, "push_config": {}})
        pubsub.publish(topic, "second")
        eventually(lambda: pubsub.texts(reader) == ["second"])


def test_a_push_carries_an_identity_token_for_its_audience(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "data", moving=True)  # google-auth checks times by the machine's clock.
    pubsub = PubSub(cloud.server.port)
    try:
        with Receiver() as receiver:
            topic, certificates = pubsub.topic(), f"{cloud.url}/oauth2/v1/certs"
            for name, audience in (("plain", ""), ("named", "https://app.example")):
                oidc = {"service_account_email": "robot-1@fog.iam.gserviceaccount.com", "audience": audience}
                pubsub.subscription(topic, name, push_config={"push_endpoint": receiver.url, "oidc_token": oidc})
            pubsub.publish(topic, "hello")
            eventually(lambda: len(receiver.requests) == 2)
            tokens = [request.headers["authorization"].removeprefix("Bearer ") for request in receiver.requests]
            claims = [id_token.verify_token(token, Request(), certs_url=certificates) for token in tokens]
            assert {one["aud"] for one in claims} == {receiver.url, "https://app.example"}
            assert {one["email"] for one in claims} == {"robot-1@fog.iam.gserviceaccount.com"}
    finally:
        pubsub.close()
        cloud.stop()


def test_a_token_needs_an_account(pubsub: PubSub) -> None:
    push = {"push_endpoint": "https://app.example/", "oidc_token": {"audience": "a"}}
    with pytest.raises(exceptions.InvalidArgument, match="Invalid service account email given"):
        pubsub.subscription(pubsub.topic(), push_config=push)
