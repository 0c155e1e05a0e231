"""Filter policies: what they let through, and which are none.

Developer Guide, "Amazon SNS subscription filter policies" and "Filter policy constraints in Amazon SNS".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.aws.services.sns import filters
from tests.aws.services.sns.conftest import subscribe
from tests.support.cloud import ACCOUNT, REGION
from tests.support.refusals import refused

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"


def text(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


def number(value: str) -> dict[str, str]:
    return {"DataType": "Number", "StringValue": value}


def array(*values: Any) -> dict[str, str]:
    return {"DataType": "String.Array", "StringValue": json.dumps(values)}


@pytest.mark.parametrize(
    ("policy", "attributes", "wanted"),
    [
        ({"sport": ["rugby", "tennis"]}, {"sport": text("rugby")}, True),
        ({"sport": ["rugby", "tennis"]}, {"sport": text("golf")}, False),
        ({"sport": ["rugby"]}, {"sport": array("golf", "rugby")}, True),
        ({"sport": ["rugby"]}, {"sport": array("golf")}, False),
        ({"sport": ["rugby"]}, {}, False),
        ({"sport": [{"anything-but": ["rugby", "tennis"]}]}, {"sport": text("golf")}, True),
        ({"sport": [{"anything-but": ["rugby", "tennis"]}]}, {"sport": text("rugby")}, False),
        # "For String.Array type attributes, it matches if none of the array elements are listed".
        ({"sport": [{"anything-but": ["rugby"]}]}, {"sport": array("golf", "rugby")}, False),
        ({"sport": [{"anything-but": ["rugby"]}]}, {"sport": array("golf", "chess")}, True),
        ({"sport": [{"anything-but": {"prefix": "bas"}}]}, {"sport": text("baseball")}, False),
        ({"sport": [{"anything-but": {"suffix": "ball"}}]}, {"sport": text("rugby")}, True),
        ({"sport": [{"anything-but": {"wildcard": "*se*"}}]}, {"sport": text("baseball")}, False),
        ({"sport": [{"equals-ignore-case": "tennis"}]}, {"sport": text("TENNIS")}, True),
        ({"sport": [{"prefix": "bas"}]}, {"sport": text("baseball")}, True),
        ({"sport": [{"suffix": "ball"}]}, {"sport": text("baseball")}, True),
        ({"sport": [{"wildcard": "*ball"}]}, {"sport": text("baseball")}, True),
        ({"ip": [{"cidr": "10.0.0.0/24"}]}, {"ip": text("10.0.0.7")}, True),
        ({"ip": [{"cidr": "10.0.0.0/24"}]}, {"ip": text("10.1.0.7")}, False),
        ({"price": [{"numeric": ["=", 301.5]}]}, {"price": number("3.015e2")}, True),
        ({"price": [{"numeric": [">", 0, "<=", 150]}]}, {"price": number("150")}, True),
        ({"price": [{"numeric": [">", 0, "<=", 150]}]}, {"price": number("150.5")}, False),
        ({"price": [{"numeric": ["<", 150]}]}, {"price": array(200, 100)}, True),
        ({"price": [100]}, {"price": number("100.0")}, True),
        ({"price": ["100"]}, {"price": number("100")}, False),
        ({"price": [{"anything-but": [100, 500]}]}, {"price": number("101")}, True),
        ({"store": [{"exists": True}]}, {"store": number("1")}, True),
        ({"store": [{"exists": False}]}, {"store": number("1")}, False),
        ({"store": [{"exists": False}]}, {}, True),
        ({"a": [None, {"anything-but": "x"}]}, {}, False),
        ({"a": [True]}, {"a": array(True, None)}, True),
        ({"a": ["x"], "b": ["y"]}, {"a": text("x")}, False),
        ({"a": ["x"]}, {"a": {"DataType": "Binary", "BinaryValue": b"x"}}, False),
        ({"a": ["x"]}, {"a": {"DataType": "String.Array", "StringValue": "no JSON"}}, False),
        ({"source": ["shop"], "$or": [{"m": ["x"]}, {"n": ["y"]}]}, {"source": text("shop"), "n": text("y")}, True),
        ({"source": ["shop"], "$or": [{"m": ["x"]}, {"n": ["y"]}]}, {"source": text("shop")}, False),
    ],
)
def test_a_policy_means_messages_by_their_attributes(policy: Any, attributes: Any, wanted: bool) -> None:
    given = json.dumps(policy)
    filters.check(given, filters.ATTRIBUTES)
    assert filters.wants(given, filters.ATTRIBUTES, "a message", attributes) is wanted


@pytest.mark.parametrize(
    ("policy", "body", "wanted"),
    [
        ({"store": ["x"]}, {"store": "x"}, True),
        ({"store": ["x"]}, {"store": "y"}, False),
        ({"detail": {"kind": [{"prefix": "a"}]}}, {"detail": {"kind": "abc"}}, True),
        ({"lines": {"kind": ["b"]}}, {"lines": [{"kind": "a"}, {"kind": "b"}]}, True),
        ({"$or": [{"a": [1]}, {"b": {"c": [2]}}]}, {"b": {"c": 2}}, True),
        ({"a": [None]}, {"a": None}, True),
        ({"a": [{"exists": False}]}, {"b": 1}, True),
        ({"a": ["x"]}, ["x"], False),
    ],
)
def test_a_policy_may_look_into_the_message(policy: Any, body: Any, wanted: bool) -> None:
    given = json.dumps(policy)
    filters.check(given, filters.BODY)
    assert filters.wants(given, filters.BODY, json.dumps(body), {}) is wanted


def test_a_message_that_is_no_json_has_no_properties() -> None:
    assert not filters.wants('{"a": [{"exists": false}]}', filters.BODY, "a cup", {})


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"key": "value"}, '"key" must be an object or an array'),
        ({"key": {"suffix": "value"}}, '"suffix" must be an object or an array'),
        ({"key": [["value"]]}, "Match value must be String, number, true, false, or null"),
        ({"key": [{"wrong-operator": True}]}, "Unrecognized match type wrong-operator"),
        ({"key": [{"suffix": "a", "prefix": "b"}]}, "Only one key allowed in match expression"),
        ({"key": [{"suffix": 100}]}, "suffix match pattern must be a string"),
        ({"key": [{"suffix": []}]}, "suffix match pattern must be a string"),
        ({"key": [{"exists": None}]}, "exists match pattern must be either true or false."),
        ({"key": [{"numeric": []}]}, "Invalid member in numeric match: ]"),
        ({"key": [{"numeric": [1, "<="]}]}, "Invalid member in numeric match: 1"),
        ({"key": [{"numeric": ["operator"]}]}, "Unrecognized numeric range operator: operator"),
        ({"key": [{"numeric": ["=", "000"]}]}, "Value of equals must be numeric"),
        ({"key": [{"numeric": [">="]}]}, "Value of >= must be numeric"),
        ({"key": [{"numeric": ["<", 100, ">", 10]}]}, "Too many elements in numeric expression"),
        ({"key": [{"numeric": [">=", 1, ">", 2]}]}, "Bad numeric range operator: >"),
        ({"key": [{"numeric": [">", 3, "<", 1]}]}, "Bottom must be less than top"),
        ({"key": [{"numeric": [">", 20, "<="]}]}, "Value of <= must be numeric"),
        ({"key": [{"numeric": [">", 20, 30]}]}, "Bad value in numeric range: 30"),
        ({"key": [{"numeric": [">", 20, "test"]}]}, "Bad numeric range operator: test"),
        ({"key": [{"numeric": [">", "20", "<", "30"]}]}, "Value of > must be numeric"),
        ({"key": [{"numeric": [">", 20, "<", "30"]}]}, "Value of < must be numeric"),
        ({"key": [{"numeric": [">", 20, "<", 30, "<", 50]}]}, "Too many terms in numeric range expression"),
        ({"key": [f"value{n}" for n in range(151)]}, "Filter policy is too complex"),
        (
            {"key1": [f"value{n}" for n in range(100)], "key2": ["value1", "value2"]},
            "Filter policy is too complex",
        ),
        ({f"key{n}": ["value"] for n in range(6)}, "Filter policy can not have more than 5 keys"),
        ({"key": [{"numeric": ["=", 1_000_000_001]}]}, "Match value must be between -1000000000 and 1000000000"),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_told_in_the_words_of_aws(policy: Any, told: str) -> None:
    with pytest.raises(filters.BadPolicy) as error:
        filters.check(json.dumps(policy), filters.BODY)
    assert str(error.value) == told


def complex_or(last: int) -> dict[str, Any]:
    """4 × (6 + 4 × 4 + 4 × `last`): combinations of an OR are added."""
    return {
        "source": ["a", "b", "c", "d"],
        "$or": [
            {"name": [str(n) for n in range(6)]},
            {"type": ["a", "b", "c", "d"], "$or": [{"id": [str(n) for n in range(4)]}, {"space": [str(n) for n in range(last)]}]},  # noqa: E501
        ],
    }  # fmt: skip


def test_combinations_are_multiplied_by_depth_and_added_by_or() -> None:
    """ "The total combination of values in a filter policy must not exceed 150." """
    filters.check(json.dumps(complex_or(3)), filters.ATTRIBUTES)  # 136.
    with pytest.raises(filters.BadPolicy, match="too complex"):
        filters.check(json.dumps(complex_or(4)), filters.ATTRIBUTES)  # 152.
    nested = {"a": {"b": {"c": list("1234")}}, "d": {"e": list("123")}, "f": list("123")}  # 3 x 4 x 2 x 3 x 1 x 3.
    with pytest.raises(filters.BadPolicy, match="too complex"):
        filters.check(json.dumps(nested), filters.BODY)
    filters.check(json.dumps({**nested, "f": list("12")}), filters.BODY)


def test_only_the_keys_at_the_top_are_counted_in_payloads() -> None:
    """ "Nested keys under them do not" count."""
    policy = {"a": ["x"], "b": ["x"], "c": ["x"], "d": {"e": ["x"], "f": ["x"], "g": ["x"]}}
    filters.check(json.dumps(policy), filters.BODY)


def test_an_or_over_operators_is_a_field_of_that_name() -> None:
    """ "The following policy isn't parsed as an OR relationship because numeric and prefix are reserved keywords." """
    with pytest.raises(filters.BadPolicy, match="numeric"):
        filters.check(json.dumps({"$or": [{"numeric": 123}, {"prefix": "abc"}]}), filters.BODY)
    policy = json.dumps({"$or": [{"numeric": ["=", 1]}, {"prefix": "abc"}]})
    filters.check(policy, filters.BODY)
    assert filters.wants(policy, filters.BODY, '{"$or": "abcd"}', {})


def test_a_wrong_policy_is_refused_where_it_is_set(sns: Any, topic: str) -> None:
    wrong = {"FilterPolicy": '{"a": "b"}'}
    code, told = refused(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=QUEUE, Attributes=wrong)
    reason = 'FilterPolicy: "a" must be an object or an array'
    assert (code, told) == ("InvalidParameter", f"Invalid parameter: Attributes Reason: {reason}")
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    change = {"SubscriptionArn": arn, "AttributeName": "FilterPolicy"}
    assert refused(sns.set_subscription_attributes, **change, AttributeValue='{"a": "b"}') == (
        "InvalidParameter", f"Invalid parameter: {reason}",
    )  # fmt: skip
    _, told = refused(sns.set_subscription_attributes, **change, AttributeValue="{invalid")
    assert told.startswith("Invalid parameter: FilterPolicy: failed to parse JSON. ")


def test_each_subscription_gets_what_it_wants(cloud: Cloud, sns: Any, topic: str) -> None:
    cheap = subscribe(cloud, topic, "cheap", FilterPolicy='{"price": [{"numeric": ["<", 10]}]}')
    cups = subscribe(
        cloud, topic, "cups", FilterPolicyScope="MessageBody", FilterPolicy='{"item": {"kind": ["cup"]}}'
    )  # fmt: skip
    everything = subscribe(cloud, topic, "all")
    for kind, price in (("cup", "5"), ("cup", "50"), ("plate", "5"), ("plate", "50")):
        body = json.dumps({"item": {"kind": kind}, "price": price})
        sns.publish(TopicArn=topic, Message=body, MessageAttributes={"price": number(price)})
    assert len(everything.texts(4)) == 4
    assert {json.loads(one)["item"]["kind"] for one in cheap.texts(2)} == {"cup", "plate"}
    assert {json.loads(one)["price"] for one in cups.texts(2)} == {"5", "50"}
    assert cheap.is_empty() and cups.is_empty()
