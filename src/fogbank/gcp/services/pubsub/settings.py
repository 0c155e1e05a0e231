"""Settings of topics and subscriptions: what they may be, what they are where nobody says, which may change.

What this server does not do is refused by name rather than passed over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fogbank.gcp.protocol import masks
from fogbank.gcp.protocol.times import is_moment, milliseconds
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.pubsub import filters, names
from fogbank.gcp.services.pubsub.state import PUBSUB

if TYPE_CHECKING:
    from collections.abc import Iterable

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
# google/pubsub/v1/pubsub.proto says each of these beside its field.
_RETENTION_MS = (10 * _MINUTE_MS, 31 * _DAY_MS)
_RETENTION = ("message retention duration", "10 minutes and 31 days")
_EXPIRY_MS = (_DAY_MS, 3_653 * _DAY_MS)  # "The minimum allowed value … is 1 day."
_ACK_DEADLINE_S = (10, 600)
_USUAL_ACK_DEADLINE_S = 10
_USUAL_RETENTION_S = 7 * 86_400
_USUAL_EXPIRY_S = 31 * 86_400
_USUAL_BACKOFF_S = (10, 600)
_ATTEMPTS = (5, 100)
_USUAL_ATTEMPTS = 5
_LABELS_MAX = 64
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")

_TOPIC_REFUSED = ("kms_key_name", "ingestion_data_source_settings", "message_transforms")
_SUBSCRIPTION_REFUSED = ("bigquery_config", "cloud_storage_config", "bigtable_config", "message_transforms")
_TOPIC_MUTABLE = ("labels", "message_storage_policy", "message_retention_duration", "schema_settings")
_SNAPSHOT_MUTABLE = ("labels", "expire_time")
_SUBSCRIPTION_MUTABLE = (
    "push_config", "ack_deadline_seconds", "retain_acked_messages", "message_retention_duration", "labels",
    "expiration_policy", "dead_letter_policy", "retry_policy", "enable_exactly_once_delivery",
)  # fmt: skip


def invalid(text: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, text)


def new_topic(request: Any) -> Any:
    """The settings of a topic that is asked for. Raises `RpcError`."""
    topic = PUBSUB.Topic()
    topic.CopyFrom(request)
    topic.state = PUBSUB.Topic.State.Value("ACTIVE")
    _check_topic(topic)
    return topic


def changed_topic(topic: Any, request: Any) -> Any:
    """After an UpdateTopic."""
    return _changed(topic, request.topic, request.update_mask.paths, _TOPIC_MUTABLE, "Topic", _check_topic)


def new_subscription(request: Any) -> Any:
    """The settings of a subscription that is asked for, whole. Raises `RpcError`."""
    subscription = PUBSUB.Subscription()
    subscription.CopyFrom(request)
    subscription.state = PUBSUB.Subscription.State.Value("ACTIVE")
    subscription.detached = False
    filters.check(subscription.filter)
    _complete(subscription)
    return subscription


def changed_subscription(subscription: Any, request: Any) -> Any:
    """After an UpdateSubscription."""
    return _changed(
        subscription, request.subscription, request.update_mask.paths, _SUBSCRIPTION_MUTABLE, "Subscription", _complete
    )


def with_push(subscription: Any, push_config: Any) -> Any:
    """After a ModifyPushConfig."""
    changed = PUBSUB.Subscription()
    changed.CopyFrom(subscription)
    changed.push_config.CopyFrom(push_config)
    _complete(changed)
    return changed


def changed_snapshot(snapshot: Any, request: Any) -> Any:
    """After an UpdateSnapshot."""
    return _changed(
        snapshot, request.snapshot, request.update_mask.paths, _SNAPSHOT_MUTABLE, "Snapshot", _check_snapshot
    )


def _changed(old: Any, given: Any, paths: Iterable[str], mutable: tuple[str, ...], kind: str, check: Any) -> Any:
    paths = list(paths)
    if not paths:
        raise invalid(
            f"The update_mask in the Update{kind}Request must be set, and must contain a non-empty paths list."
        )
    for path in paths:
        if path.partition(".")[0] not in mutable:
            known = path.partition(".")[0] in old.DESCRIPTOR.fields_by_name
            told = "is not mutable" if known else "could not be found"
            text = f"Invalid update_mask provided in the Update{kind}Request: the '{path}' field in the {kind} {told}."
            raise invalid(text)
    changed = type(old)()
    changed.CopyFrom(old)
    try:
        masks.apply(paths, given, changed)
    except KeyError as error:
        text = f"Invalid update_mask provided in the Update{kind}Request: {error} is no field of the {kind}."
        raise invalid(text) from error
    check(changed)
    return changed


def _check_topic(topic: Any) -> None:
    _refuse(topic, _TOPIC_REFUSED)
    _check_labels(topic.labels)
    if topic.HasField("schema_settings") and topic.schema_settings.encoding not in (1, 2):
        raise invalid("Invalid schema settings given: the encoding must be JSON or BINARY.")
    if topic.HasField("message_retention_duration"):
        _check_duration(topic.message_retention_duration, _RETENTION_MS, *_RETENTION)


def _check_snapshot(snapshot: Any) -> None:
    if not is_moment(snapshot.expire_time):
        raise invalid("Invalid expire_time given: it is no moment.")


def _complete(subscription: Any) -> None:
    """Check the settings, and set what nobody has said."""
    _refuse(subscription, _SUBSCRIPTION_REFUSED)
    _check_labels(subscription.labels)
    subscription.ack_deadline_seconds = subscription.ack_deadline_seconds or _USUAL_ACK_DEADLINE_S
    if not _ACK_DEADLINE_S[0] <= subscription.ack_deadline_seconds <= _ACK_DEADLINE_S[1]:
        raise invalid(
            "Invalid ack deadline given (ack_deadline_seconds="
            f"{subscription.ack_deadline_seconds}): it must be between 10 and 600 seconds."
        )
    if not subscription.HasField("message_retention_duration"):
        subscription.message_retention_duration.seconds = _USUAL_RETENTION_S
    _check_duration(subscription.message_retention_duration, _RETENTION_MS, *_RETENTION)
    if not subscription.HasField("expiration_policy"):
        subscription.expiration_policy.ttl.seconds = _USUAL_EXPIRY_S
    if subscription.expiration_policy.HasField("ttl"):
        _check_duration(subscription.expiration_policy.ttl, _EXPIRY_MS, "expiration policy", "1 day and 10 years")
    _complete_push(subscription)
    _complete_retries(subscription)


def _complete_push(subscription: Any) -> None:
    if not subscription.HasField("push_config"):
        subscription.push_config.SetInParent()
        return
    push = subscription.push_config
    if not push.push_endpoint:
        return
    parts = urlsplit(push.push_endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid(f"Invalid push endpoint given (endpoint={push.push_endpoint}).")
    if push.HasField("oidc_token") and not _EMAIL.fullmatch(push.oidc_token.service_account_email):
        raise invalid(f"Invalid service account email given (email={push.oidc_token.service_account_email[:512]}).")
    if subscription.enable_exactly_once_delivery:
        raise invalid("Exactly once delivery is not supported for push subscriptions.")


def _complete_retries(subscription: Any) -> None:
    if subscription.HasField("dead_letter_policy"):
        policy = subscription.dead_letter_policy
        names.read(policy.dead_letter_topic, "topics")
        policy.max_delivery_attempts = policy.max_delivery_attempts or _USUAL_ATTEMPTS
        if not _ATTEMPTS[0] <= policy.max_delivery_attempts <= _ATTEMPTS[1]:
            raise invalid(
                f"Invalid max_delivery_attempts given ({policy.max_delivery_attempts}): it must be between 5 and 100."
            )
    if subscription.HasField("retry_policy"):
        retries = subscription.retry_policy
        for name, usual in zip(("minimum_backoff", "maximum_backoff"), _USUAL_BACKOFF_S, strict=True):
            if not retries.HasField(name):
                getattr(retries, name).seconds = usual
            _check_duration(getattr(retries, name), (0, 600_000), f"{name} of the retry policy", "0 and 600 seconds")
        if milliseconds(retries.minimum_backoff) > milliseconds(retries.maximum_backoff):
            raise invalid("Invalid retry policy given: minimum_backoff is longer than maximum_backoff.")


def _check_duration(duration: Any, bounds_ms: tuple[int, int], name: str, bounds: str) -> None:
    if not bounds_ms[0] <= milliseconds(duration) <= bounds_ms[1] or not 0 <= duration.nanos < 1_000_000_000:
        raise invalid(f"Invalid {name} given: it must be between {bounds}.")


def _check_labels(labels: Any) -> None:
    if len(labels) > _LABELS_MAX:
        raise invalid(f"Too many labels: {len(labels)}, the maximum is {_LABELS_MAX}.")


def _refuse(settings: Any, members: tuple[str, ...]) -> None:
    for name in members:
        if any(field.name == name for field, _ in settings.ListFields()):
            raise RpcError(Code.UNIMPLEMENTED, f"fogbank does not serve {settings.DESCRIPTOR.name}.{name}.")
