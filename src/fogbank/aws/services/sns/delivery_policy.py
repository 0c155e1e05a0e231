"""How often, and after which pauses, a delivery is tried again.

Developer Guide, "Amazon SNS message delivery retries": four phases, which only HTTP/S endpoints may set otherwise.
"""

from __future__ import annotations

from typing import Any

import orjson

DEFAULT = {
    "minDelayTarget": 20, "maxDelayTarget": 20, "numRetries": 3, "numMaxDelayRetries": 0, "numNoDelayRetries": 0,
    "numMinDelayRetries": 0, "backoffFunction": "linear",
}  # fmt: skip
# "Delivery protocols and policies", AWS managed endpoints: 3 at once, 2 one second apart, 10 with exponential backoff
# from 1 to 20 seconds, and 100,000 twenty seconds apart.
MANAGED = {
    "minDelayTarget": 1, "maxDelayTarget": 20, "numRetries": 100_015, "numMaxDelayRetries": 100_000,
    "numNoDelayRetries": 3, "numMinDelayRetries": 2, "backoffFunction": "exponential",
}  # fmt: skip
_DEFAULT_TYPE = "text/plain; charset=UTF-8"
# "The total policy retry time for an HTTP/S endpoint cannot be greater than 3,600 seconds."
TOTAL_MS = 3_600_000
_FUNCTIONS = ("arithmetic", "exponential", "geometric", "linear")
_NUMBERS = {
    "minDelayTarget": (1, 3600), "maxDelayTarget": (1, 3600), "numRetries": (0, 100), "numNoDelayRetries": (0, 100),
    "numMinDelayRetries": (0, 100), "numMaxDelayRetries": (0, 100),
}  # fmt: skip
# "headerContentType": what may be asked for; the first two only, where messages are not raw.
_TYPES = (
    "application/json", "text/plain", "text/css", "text/csv", "text/html", "text/xml", "application/atom+xml",
    "application/octet-stream", "application/soap+xml", "application/x-www-form-urlencoded", "application/xhtml+xml",
    "application/xml",
)  # fmt: skip
_TOPIC_PARTS = {
    "defaultHealthyRetryPolicy": "healthyRetryPolicy", "defaultSicklyRetryPolicy": "sicklyRetryPolicy",
    "defaultThrottlePolicy": "throttlePolicy", "defaultRequestPolicy": "requestPolicy",
}  # fmt: skip


class BadPolicy(Exception):
    """The text says why."""


def of_topic(text: str) -> str:
    """A topic's policy as it is kept; raises `BadPolicy`."""
    http = _loaded(text).get("http")
    if not isinstance(http, dict):
        raise BadPolicy("http must be specified")
    kept: dict[str, Any] = {}
    for name, part in _TOPIC_PARTS.items():
        if http.get(name) is not None:
            kept[name] = _checked(part, http[name], f"http.{name}")
    overrides = http.get("disableSubscriptionOverrides", False)
    if not isinstance(overrides, bool):
        raise BadPolicy("http.disableSubscriptionOverrides must be true or false")
    unknown = sorted(http.keys() - _TOPIC_PARTS.keys() - {"disableSubscriptionOverrides"})
    if unknown:
        raise BadPolicy(f"Unexpected JSON member: http.{unknown[0]}")
    return orjson.dumps({"http": {**kept, "disableSubscriptionOverrides": overrides}}).decode()


def of_subscription(text: str) -> str:
    """A subscription's policy as it is kept; raises `BadPolicy`."""
    given = _loaded(text)
    unknown = sorted(given.keys() - {*_TOPIC_PARTS.values(), "guaranteed"})
    if unknown:
        raise BadPolicy(f"Unexpected JSON member: {unknown[0]}")
    kept: dict[str, Any] = {}
    for part in ("healthyRetryPolicy", "sicklyRetryPolicy", "throttlePolicy", "requestPolicy"):
        found = given.get(part)
        kept[part] = None if found is None else _checked(part, found, part)
        if part == "healthyRetryPolicy" and kept[part] is not None:
            kept[part] = {**DEFAULT, **kept[part]}
    return orjson.dumps({**kept, "guaranteed": bool(given.get("guaranteed", False))}).decode()


def effective_topic(text: str) -> str:
    """EffectiveDeliveryPolicy of a topic, "taking system defaults into account"."""
    http = orjson.loads(text)["http"] if text else {}
    retry = {**DEFAULT, **http.get("defaultHealthyRetryPolicy", {})}
    shown = {"defaultHealthyRetryPolicy": retry, "disableSubscriptionOverrides": False, **_without_retry(http)}
    return orjson.dumps(
        {"http": {**shown, "defaultRequestPolicy": _request(http.get("defaultRequestPolicy"))}}
    ).decode()


def effective(topic: str, subscription: str) -> dict[str, Any]:
    """What holds for an HTTP/S endpoint: its own policy, the topic's, or what AWS says."""
    http = orjson.loads(topic)["http"] if topic else {}
    own = orjson.loads(subscription) if subscription and not http.get("disableSubscriptionOverrides") else {}
    found = {part: own.get(part) or http.get(name) for name, part in _TOPIC_PARTS.items()}
    return {
        "healthyRetryPolicy": {**DEFAULT, **(found["healthyRetryPolicy"] or {})},
        "sicklyRetryPolicy": found["sicklyRetryPolicy"],
        "throttlePolicy": found["throttlePolicy"],
        "requestPolicy": _request(found["requestPolicy"]),
        "guaranteed": own.get("guaranteed", False),
    }


def content_type(policy: dict[str, Any], *, raw: bool, confirms: bool) -> str:
    """Of a request. What confirms a subscription or its end is always of the usual one."""
    chosen = str(policy["requestPolicy"]["headerContentType"])
    return _DEFAULT_TYPE if confirms or not (raw or chosen.partition(";")[0] in _TYPES[:2]) else chosen


def delay_ms(policy: dict[str, Any], attempts: int) -> int | None:
    """The pause after so many attempts have failed; None where the policy is used up. AWS adds a jitter."""
    retry, total = attempts - 1, int(policy["numRetries"])
    if retry >= total:
        return None
    if retry < policy["numNoDelayRetries"]:
        return 0
    retry -= policy["numNoDelayRetries"]
    low, high = policy["minDelayTarget"], policy["maxDelayTarget"]
    if retry < policy["numMinDelayRetries"]:
        return 1000 * int(low)
    retry -= policy["numMinDelayRetries"]
    phase = total - policy["numNoDelayRetries"] - policy["numMinDelayRetries"] - policy["numMaxDelayRetries"]
    if retry < phase:
        risen = _risen(policy["backoffFunction"], retry, phase - 1, low, high)
        return round(1000 * float(low + (high - low) * risen))
    return 1000 * int(high)


def _risen(function: str, step: int, last: int, low: float, high: float) -> float:
    """How far the pause has come from the least, 0, to the most, 1: at the first step and at the last."""
    if last <= 0:
        return 0.0
    if function == "exponential":
        return float((2**step - 1) / (2**last - 1))
    if function == "arithmetic":
        return step * (step + 1) / (last * (last + 1))
    if function == "geometric" and high > low:
        return float((low * (high / low) ** (step / last) - low) / (high - low))
    return step / last


def _without_retry(http: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in http.items() if name != "defaultHealthyRetryPolicy"}


def _request(given: dict[str, Any] | None) -> dict[str, Any]:
    return {"headerContentType": _DEFAULT_TYPE} | (given or {})


def _loaded(text: str) -> dict[str, Any]:
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadPolicy(f"failed to parse JSON. {error}") from error
    if not isinstance(given, dict):
        raise BadPolicy("failed to parse JSON. It is no object.")
    return given


def _checked(part: str, given: Any, at: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadPolicy(f"{at} must be a JSON object")
    if part.endswith("RetryPolicy"):
        _check_retry(given, at)
    elif part == "throttlePolicy":
        rate = given.get("maxReceivesPerSecond")
        if given.keys() - {"maxReceivesPerSecond"} or (rate is not None and not _is_number(rate, 1, 1_000_000)):
            raise BadPolicy(f"{at}.maxReceivesPerSecond must be an integer of 1 or greater")
    else:
        kind = given.get("headerContentType")
        if given.keys() != {"headerContentType"} or not isinstance(kind, str) or not _is_type(kind):
            raise BadPolicy(f"{at}.headerContentType is not one of the supported content types")
    return given


def _check_retry(given: dict[str, Any], at: str) -> None:
    for name, value in given.items():
        if name == "backoffFunction":
            if value not in _FUNCTIONS:
                raise BadPolicy(f"{at}.backoffFunction must be one of {', '.join(_FUNCTIONS)}")
        elif name not in _NUMBERS:
            raise BadPolicy(f"Unexpected JSON member: {at}.{name}")
        elif not _is_number(value, *_NUMBERS[name]):
            low, high = _NUMBERS[name]
            raise BadPolicy(f"{at}.{name} must be an integer between {low} and {high}")
    whole = {**DEFAULT, **given}
    if whole["minDelayTarget"] > whole["maxDelayTarget"]:
        raise BadPolicy(f"{at}.minDelayTarget must be less than or equal to maxDelayTarget")
    phases = whole["numNoDelayRetries"] + whole["numMinDelayRetries"] + whole["numMaxDelayRetries"]
    if phases > whole["numRetries"]:
        raise BadPolicy(f"{at}.numRetries must be greater than or equal to the retries of its phases")


def _is_number(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_type(kind: str) -> bool:
    return kind.partition(";")[0] in _TYPES and kind.isprintable()
