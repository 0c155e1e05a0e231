"""The same seeded sequences of requests to the official emulator and to us: the answers are the same.

What differs, and is meant to:

- The emulator has texts of its own for what is refused; ours are the service's ("Resource not found (resource=…).").
- Of a request that is wrong in two ways we say that it is malformed before we look for what it names.
- A topic that is not there has no subscriptions to it; to us, as to the service's other rpcs, it is not found.
- It does not tell a subscription's expiration policy, nor states, and knows neither filters nor UpdateTopic,
  dead-letter topics nor retry policies: of these there is nothing to compare.

Needs the emulator of the Google Cloud CLI and Java; elsewhere there is nothing to compare with.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import emulators

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud

pytestmark = emulators.needs(emulators.PUBSUB)
PUBLISHER, SUBSCRIBER = "google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber"
UNTOLD = ("state", "expirationPolicy")


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with emulators.running(emulators.PUBSUB) as address:
        yield address


class Sequence:
    """Requests that nobody would think of, from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.project = f"p{seed}"
        self.count = 0

    def topic(self) -> str:
        name = self.chance.choice(["one-topic", "two-topic", "two-topic", "3", "goog-topic", "a"])
        return f"projects/{self.project}/topics/{name}"

    def subscription(self) -> str:
        name = self.chance.choice(["one-reader", "two-reader", "two-reader", "ö"])
        return f"projects/{self.project}/subscriptions/{name}"

    def settings(self) -> dict[str, Any]:
        chance = self.chance
        settings: dict[str, Any] = {}
        if chance.random() < 0.4:
            settings["ackDeadlineSeconds"] = chance.choice([0, 10, 60, 600])
        if chance.random() < 0.3:
            settings["enableMessageOrdering"] = True
        if chance.random() < 0.3:
            settings["labels"] = {"a": "b"}
        return settings

    def message(self) -> dict[str, Any]:
        self.count += 1
        message: dict[str, Any] = {"data": "AAAA", "attributes": {"n": str(self.count)}}
        return message

    def requests(self, count: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
        project = f"projects/{self.project}"
        for _ in range(count):
            kind = self.chance.choice(
                ["CreateTopic", "CreateTopic", "GetTopic", "ListTopics", "DeleteTopic", "Publish", "Publish", "Publish",
                 "CreateSubscription", "CreateSubscription", "GetSubscription", "ListSubscriptions", "Pull", "Pull",
                 "DeleteSubscription", "ListTopicSubscriptions", "Acknowledge", "ModifyAckDeadline"]
            )  # fmt: skip
            if kind == "CreateTopic":
                yield PUBLISHER, kind, {"name": self.topic()}
            elif kind in ("GetTopic", "DeleteTopic", "ListTopicSubscriptions"):
                yield PUBLISHER, kind, {"topic": self.topic()}
            elif kind == "ListTopics":
                yield PUBLISHER, kind, {"project": project}
            elif kind == "Publish":
                messages = [self.message() for _ in range(self.chance.randrange(4))]
                yield PUBLISHER, kind, {"topic": self.topic(), "messages": messages}
            elif kind == "CreateSubscription":
                yield SUBSCRIBER, kind, {"name": self.subscription(), "topic": self.topic(), **self.settings()}
            elif kind in ("GetSubscription", "DeleteSubscription"):
                yield SUBSCRIBER, kind, {"subscription": self.subscription()}
            elif kind == "ListSubscriptions":
                yield SUBSCRIBER, kind, {"project": project}
            elif kind == "Pull":
                most = self.chance.choice([0, 1, 5, 100])
                yield SUBSCRIBER, kind, {"subscription": self.subscription(), "maxMessages": most,
                                         "returnImmediately": True}  # fmt: skip
            else:
                yield SUBSCRIBER, kind, {"subscription": self.subscription(), "n": self.chance.randrange(3)}


class Side:
    """One of the two: what it has lent, by the subscription, in the order in which it came."""

    def __init__(self, address: str) -> None:
        self._asks = {name: emulators.asker(address, name) for name in (PUBLISHER, SUBSCRIBER)}
        self._lent: dict[str, list[tuple[int, str]]] = {}

    def __call__(self, service: str, name: str, body: dict[str, Any]) -> Any:
        if name in ("Acknowledge", "ModifyAckDeadline"):
            lent = sorted(self._lent.get(body["subscription"], []))
            settled, self._lent[body["subscription"]] = lent[: body["n"]], lent[body["n"] :]
            more = {"ackDeadlineSeconds": 0} if name == "ModifyAckDeadline" else {}
            body = {"subscription": body["subscription"], "ackIds": [ack for _, ack in settled], **more}
        answer = self._asks[service](name, body)
        if name == "Pull" and isinstance(answer, dict):
            for one in answer.get("receivedMessages", []):
                held = self._lent.setdefault(body["subscription"], [])
                held.append((int(one["message"]["attributes"]["n"]), one["ackId"]))
        if name == "DeleteSubscription":
            self._lent.pop(body["subscription"], None)
        return answer


def _comparable(name: str, answer: Any) -> Any:
    if isinstance(answer, tuple):
        return answer
    if name == "Publish":
        return len(answer.get("messageIds", []))
    if name == "Pull":
        return sorted(int(one["message"]["attributes"]["n"]) for one in answer.get("receivedMessages", []))
    return _told(answer)


def _told(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {key: _told(each) for key, each in answer.items() if key not in UNTOLD}
    return [_told(each) for each in answer] if isinstance(answer, list) else answer


def _alike(name: str, expected: Any, found: Any) -> bool:
    if name == "ListTopicSubscriptions" and expected == {} and isinstance(found, tuple):
        return bool(found[0] == "NOT_FOUND")
    if isinstance(expected, tuple) and isinstance(found, tuple):
        return found[0] in (expected[0], "INVALID_ARGUMENT")
    return bool(expected == found)


@pytest.mark.parametrize("seed", range(6))
def test_random_requests_are_answered_alike(cloud: Cloud, emulator: str, seed: int) -> None:
    ours, theirs = Side(cloud.url.removeprefix("http://")), Side(emulator)
    for asked in Sequence(seed).requests(200):
        expected, found = _comparable(asked[1], theirs(*asked)), _comparable(asked[1], ours(*asked))
        assert _alike(asked[1], expected, found), (asked, expected, found)
