"""What SNS remembers: topics, subscriptions, tokens that confirm them, recent deduplication ids."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import Call, ServiceError
from fogbank.kernel.store.records import Records
from fogbank.primitives.deduplication import Deduplication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.kernel.store import Tx

TOKEN_MS = 2 * 86_400_000  # Subscribe: "Confirmation tokens are valid for two days."
_PAGE = 100
_SUBSCRIPTION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Topic:
    id: str  # A new one each time the name is used again.
    account: str
    region: str
    name: str
    attributes: dict[str, str]  # Those that were set.
    tags: dict[str, str] = field(default_factory=dict)
    deleted: int = 0  # Subscriptions that there are no more.

    @property
    def arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:{self.name}"

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")

    @property
    def place(self) -> tuple[str, str, str]:
        return self.account, self.region, self.name


@dataclass(frozen=True, slots=True)
class Subscription:
    id: str
    topic_arn: str
    owner: str  # The account.
    principal: str  # Who subscribed.
    protocol: str
    endpoint: str
    attributes: dict[str, str]  # Those that were set.
    created_ms: int
    pending: bool = False
    authenticated: bool = True  # ConfirmationWasAuthenticated
    guarded: bool = False  # AuthenticateOnUnsubscribe

    @property
    def arn(self) -> str:
        return f"{self.topic_arn}:{self.id}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Account, region and name of the topic, and the id."""
        _, _, _, region, account, topic = self.topic_arn.split(":")
        return account, region, topic, self.id

    @property
    def raw(self) -> bool:
        return self.attributes.get("RawMessageDelivery", "").lower() == "true"


@dataclass(frozen=True, slots=True)
class Token:
    """What whoever holds a token may confirm: a subscription; or restore, as it was when it was ended."""

    subscription: Subscription
    topic_id: str
    until_ms: int
    restores: bool = False


TOPICS = Records(Topic, "sns", "topic")  # (account, region, name)
SUBSCRIPTIONS = Records(Subscription, "sns", "subscription")  # (account, region, topic's name, id)
TOKENS = Records(Token, "sns", "token")  # (token,)
SENT = Deduplication("sns")  # By the topic's id.
SEQUENCES = Records(int, "sns", "sequence")  # (topic id,)


def invalid(told: str) -> ServiceError:
    return ServiceError("InvalidParameterException", f"Invalid parameter: {told}")


def topic_place(call: Call, arn: str, member: str = "TopicArn") -> tuple[str, str, str]:
    """Account, region and name. "You can publish messages only to topics and endpoints in the same Region": whoever
    signs no request tells no region, and means that of the ARN."""
    parts = _parts(arn, member)
    if len(parts) != 6 or parts[2] != "sns" or not parts[5] or (call.access_key and parts[3] != call.region):
        raise invalid(member)
    return parts[4], parts[3], parts[5]


def topic(tx: Tx, call: Call, arn: str, member: str = "TopicArn", *, lock: bool = False) -> Topic:
    """Raises NotFound. `lock`: what hangs on it is decided on."""
    found = TOPICS.get(tx, *topic_place(call, arn, member), lock=lock)
    if found is None:
        raise missing_topic()
    return found


def missing_topic() -> ServiceError:
    return ServiceError("NotFoundException", "Topic does not exist")


def put_topic(tx: Tx, one: Topic) -> None:
    TOPICS.put(tx, *one.place, row=one)


def subscriptions(tx: Tx, one: Topic) -> list[Subscription]:
    return SUBSCRIPTIONS.all(tx, *one.place)


def subscription_key(call: Call, arn: str) -> tuple[str, str, str, str]:
    """Raises InvalidParameter for what is no ARN of a subscription."""
    if not arn:
        raise invalid("SubscriptionArn Reason: no value for required parameter")
    parts = _parts(arn, "SubscriptionArn")
    if len(parts) != 7 or parts[2] != "sns" or not _SUBSCRIPTION_ID.fullmatch(parts[6]):
        raise invalid("SubscriptionId")
    if call.access_key and parts[3] != call.region:
        raise invalid("SubscriptionArn")
    return parts[4], parts[3], parts[5], parts[6]


def subscription(tx: Tx, call: Call, arn: str) -> Subscription:
    found = SUBSCRIPTIONS.get(tx, *subscription_key(call, arn))
    if found is None:
        raise ServiceError("NotFoundException", "Subscription does not exist")
    return found


def by_arn(tx: Tx, arn: str) -> Subscription | None:
    """Of an ARN that was made here."""
    _, _, _, region, account, topic, subscription_id = arn.split(":")
    return SUBSCRIPTIONS.get(tx, account, region, topic, subscription_id)


def put_subscription(tx: Tx, one: Subscription) -> None:
    SUBSCRIPTIONS.put(tx, *one.key, row=one)


def next_sequence(tx: Tx, topic_id: str) -> str:
    """Of a FIFO topic: 20 digits that only grow."""
    number = (SEQUENCES.get(tx, topic_id, lock=True) or 0) + 1000
    SEQUENCES.put(tx, topic_id, row=number)
    return f"{10_000_000_000_000_000_000 + number}"


def forget_topic(tx: Tx, one: Topic) -> None:
    """The topic is gone, and all that hangs on it."""
    TOPICS.delete(tx, *one.place)
    SUBSCRIPTIONS.clear(tx, *one.place)
    SENT.forget(tx, one.id)
    SEQUENCES.delete(tx, one.id)


def expire(tx: Tx, now_ms: int) -> None:
    """Deduplication ids and tokens whose time is over, and with its token a subscription that nobody confirmed."""
    SENT.expire(tx, now_ms)
    for key, token in list(TOKENS.scan(tx)):
        if token.until_ms <= now_ms:
            tx.delete(key)
    for key, one in list(SUBSCRIPTIONS.scan(tx)):
        if one.pending and one.created_ms + TOKEN_MS <= now_ms:
            tx.delete(key)


def page(request: dict[str, Any], rows: Iterator[tuple[Any, Any]]) -> tuple[list[Any], dict[str, str]]:
    """The rows behind NextToken, up to 100, and where to go on. Rows come in the order of their keys."""
    found: list[Any] = []
    after, last = _place_of(request.get("NextToken", "")), ()
    for key, row in rows:
        place = key[2:]
        if place <= after:
            continue
        if len(found) == _PAGE:
            return found, {"NextToken": b64encode("\0".join(last).encode()).decode()}
        found.append(row)
        last = place
    return found, {}


def _place_of(token: str) -> tuple[str, ...]:
    """The parts of the key that a token stands for."""
    try:
        return tuple(b64decode(token, validate=True).decode().split("\0")) if token else ()
    except ValueError as error:
        raise invalid("NextToken") from error


def _parts(arn: str, member: str) -> list[str]:
    parts = arn.split(":")
    if len(parts) < 6:
        raise invalid(f"{member} Reason: An ARN must have at least 6 elements, not {len(parts)}")
    return parts
