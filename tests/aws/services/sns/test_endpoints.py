"""HTTP endpoints: the handshake, what they are sent, how often it is tried, and by what it can be verified.

Developer Guide, "Fanout Amazon SNS notifications to HTTPS endpoints" and "Amazon SNS message delivery retries".
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from fogbank.aws.services.sns import delivery_policy
from tests.aws.services.sns.conftest import inbox, subscribe
from tests.support.receiver import Received, Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def documents(hook: Receiver, count: int) -> list[dict[str, Any]]:
    """What the first `count` requests carried."""
    eventually(lambda: len(hook.requests) >= count)
    assert len(hook.requests) == count
    return [json.loads(one.body) for one in hook.requests]


def passing(cloud: Cloud, hook: Receiver, count: int, seconds: float) -> None:
    """Move the clock on, by a bit at a time, until so many requests have come."""

    def look() -> bool:
        cloud.advance(seconds=seconds)
        return len(hook.requests) >= count

    eventually(look)


def confirmed(sns: Any, topic: str, hook: Receiver, **attributes: str) -> str:
    """The ARN of a subscription of the endpoint that it has confirmed; its requests begin anew."""
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=hook.url, Attributes=attributes)
    [asked] = documents(hook, 1)
    arn = sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])["SubscriptionArn"]
    hook.requests.clear()
    return str(arn)


def verify(document: dict[str, Any]) -> None:
    """As Developer Guide, "Verifying the signature of an Amazon SNS message", says; raises InvalidSignature."""
    kinds = {"Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")}
    names = kinds.get(
        document["Type"], ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    )  # fmt: skip
    text = "".join(f"{name}\n{document[name]}\n" for name in names if name in document)
    answer = httpx.get(document["SigningCertURL"])
    assert answer.status_code == 200
    key = x509.load_pem_x509_certificate(answer.content).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    algorithm = {"1": SHA1(), "2": SHA256()}[document["SignatureVersion"]]
    key.verify(b64decode(document["Signature"]), text.encode(), padding.PKCS1v15(), algorithm)


def test_an_endpoint_is_asked_confirms_and_is_told(sns: Any, topic: str, hook: Receiver) -> None:
    asked = {"TopicArn": topic, "Protocol": "http", "Endpoint": hook.url}
    assert sns.subscribe(**asked)["SubscriptionArn"] == "pending confirmation"
    [question] = documents(hook, 1)
    headers = hook.requests[0].headers
    assert headers["x-amz-sns-message-type"] == question["Type"] == "SubscriptionConfirmation"
    assert headers["x-amz-sns-message-id"] == question["MessageId"]
    assert headers["x-amz-sns-topic-arn"] == question["TopicArn"] == topic
    assert "x-amz-sns-subscription-arn" not in headers
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert question["Message"] == (
        f"You have chosen to subscribe to the topic {topic}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message."
    )
    verify(question)

    sns.publish(TopicArn=topic, Message="too early")
    answer = httpx.get(question["SubscribeURL"])
    assert answer.status_code == 200 and "<ConfirmSubscriptionResult>" in answer.text
    [listed] = sns.list_subscriptions()["Subscriptions"]
    found = sns.get_subscription_attributes(SubscriptionArn=listed["SubscriptionArn"])["Attributes"]
    assert found["ConfirmationWasAuthenticated"] == "false"

    sent = sns.publish(TopicArn=topic, Message="a cup", Subject="New order")
    _, told = documents(hook, 2)
    assert (told["Type"], told["MessageId"], told["Message"]) == ("Notification", sent["MessageId"], "a cup")
    headers = hook.requests[1].headers
    assert headers["x-amz-sns-message-type"] == "Notification"
    assert headers["x-amz-sns-subscription-arn"] == listed["SubscriptionArn"]
    verify(told)


def test_an_endpoint_that_was_unsubscribed_can_come_back(cloud: Cloud, sns: Any, topic: str, hook: Receiver) -> None:
    arn = confirmed(sns, topic, hook)
    httpx.get(f"{cloud.url}/?Action=Unsubscribe&SubscriptionArn={arn}")
    [goodbye] = documents(hook, 1)
    assert goodbye["Type"] == "UnsubscribeConfirmation"
    assert goodbye["Message"] == (
        f"You have chosen to deactivate subscription {arn}.\n"
        "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
    )
    verify(goodbye)
    assert sns.list_subscriptions()["Subscriptions"] == []
    httpx.get(goodbye["SubscribeURL"])
    assert [one["SubscriptionArn"] for one in sns.list_subscriptions()["Subscriptions"]] == [arn]


def test_a_raw_message_is_the_body_of_its_request(sns: Any, topic: str, hook: Receiver) -> None:
    """ "When you enable raw message delivery for HTTP/S endpoints, the HTTP header x-amz-sns-rawdelivery"."""
    policy = json.dumps({"requestPolicy": {"headerContentType": "text/csv"}})
    confirmed(sns, topic, hook, RawMessageDelivery="true", DeliveryPolicy=policy)
    attributes = {"a": {"DataType": "String", "StringValue": "b"}}
    sns.publish(TopicArn=topic, Message="cup;1", MessageAttributes=attributes)
    eventually(lambda: hook.requests)
    assert hook.requests[0].body == b"cup;1"
    assert hook.requests[0].headers["x-amz-sns-rawdelivery"] == "true"
    assert hook.requests[0].headers["content-type"] == "text/csv"


def test_a_topic_says_what_its_subscriptions_do_not(sns: Any, topic: str, hook: Receiver) -> None:
    """ "Creating an HTTP/S delivery policy"; the shapes are those that AWS gives."""
    kind = {"headerContentType": "application/json"}
    of_topic = json.dumps({"http": {"defaultRequestPolicy": kind}})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue=of_topic)
    retry = {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 0}
    given = {"healthyRetryPolicy": retry, "throttlePolicy": {"maxReceivesPerSecond": 1000}}
    arn = confirmed(sns, topic, hook, DeliveryPolicy=json.dumps(given))
    found = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    kept = {
        "healthyRetryPolicy": {**delivery_policy.DEFAULT, **retry}, "sicklyRetryPolicy": None,
        "throttlePolicy": {"maxReceivesPerSecond": 1000}, "requestPolicy": None, "guaranteed": False,
    }  # fmt: skip
    assert json.loads(found["DeliveryPolicy"]) == kept
    assert json.loads(found["EffectiveDeliveryPolicy"]) == {**kept, "requestPolicy": kind}
    sns.publish(TopicArn=topic, Message="x")
    documents(hook, 1)
    assert hook.requests[0].headers["content-type"] == "application/json"


def test_an_endpoint_that_asks_for_a_password_gets_the_one_in_its_url(sns: Any, topic: str, hook: Receiver) -> None:
    """ "Basic and Digest Access Authentication—This allows you to specify a username and password in the … URL"."""
    hook.answer = lambda received: 200 if "authorization" in received.headers else 401
    hook.tells = {"WWW-Authenticate": 'Basic realm="shop"'}
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://ann:s%3Acret@{hook.netloc}/hook")
    eventually(lambda: len(hook.requests) == 2)
    assert hook.requests[1].headers["authorization"] == "Basic YW5uOnM6Y3JldA=="
    assert "ann" not in hook.requests[1].headers["host"]


# -- trying again --


def test_a_failure_of_the_server_is_tried_again(cloud: Cloud, sns: Any, topic: str, hook: Receiver) -> None:
    """By default "up to three retries with a delay between failed attempts set at 20 seconds"."""
    confirmed(sns, topic, hook)
    hook.answer = lambda received: 500 if len(hook.requests) < 3 else 200
    began_ms = cloud.clock.now_ms()
    sns.publish(TopicArn=topic, Message="x")
    passing(cloud, hook, 3, seconds=1)
    assert cloud.clock.now_ms() - began_ms >= 40_000
    cloud.advance(seconds=60)
    assert len({one["MessageId"] for one in documents(hook, 3)}) == 1


def test_what_an_endpoint_does_not_take_goes_to_the_dead_letter_queue(
    cloud: Cloud, sns: Any, topic: str, hook: Receiver
) -> None:
    dead = inbox(cloud, "dead")
    redrive = json.dumps({"deadLetterTargetArn": dead.arn})
    retry = json.dumps({"healthyRetryPolicy": {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 2}})
    confirmed(sns, topic, hook, RedrivePolicy=redrive, DeliveryPolicy=retry)
    hook.answer = lambda _: 503
    sns.publish(TopicArn=topic, Message="lost", Subject="New order")
    passing(cloud, hook, 3, seconds=1)
    found = dead.body()
    assert (found["Type"], found["Message"], found["Subject"]) == ("Notification", "lost", "New order")
    verify(found)


def test_a_fault_of_the_client_is_not_tried_again(cloud: Cloud, sns: Any, topic: str, hook: Receiver) -> None:
    """ "Amazon SNS doesn't retry the message delivery that fails as a result of a client-side error." """
    dead = inbox(cloud, "dead")
    redrive = json.dumps({"deadLetterTargetArn": dead.arn})
    confirmed(sns, topic, hook, RedrivePolicy=redrive)
    hook.answer = lambda _: 403
    sns.publish(TopicArn=topic, Message="lost")
    assert dead.body()["Message"] == "lost"
    cloud.advance(seconds=100)
    documents(hook, 1)


def test_an_endpoint_that_is_not_there_holds_up_no_other(cloud: Cloud, sns: Any, topic: str, hook: Receiver) -> None:
    confirmed(sns, topic, hook)
    orders = subscribe(cloud, topic, "q")
    hook.__exit__()
    sns.publish(TopicArn=topic, Message="x")
    assert orders.texts(1) == ["x"]

    def given_up() -> bool:
        cloud.advance(seconds=5)
        return "a message could not be delivered" in cloud.log.getvalue()

    eventually(given_up)


def test_an_endpoint_that_does_not_answer_holds_up_no_other(
    cloud: Cloud, sns: Any, topic: str, hook: Receiver
) -> None:  # fmt: skip
    confirmed(sns, topic, hook)
    orders = subscribe(cloud, topic, "q", RawMessageDelivery="true")
    at_once, most, gate = 0, 0, threading.Event()

    def hang(_: Received) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        gate.wait(30)
        at_once -= 1
        return 200

    with Receiver() as other:
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=other.url)
        [asked] = documents(other, 1)
        sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])
        hook.answer = hang
        for n in range(100):
            sns.publish(TopicArn=topic, Message=str(n))
        passing(cloud, other, 101, seconds=0.1)
        assert {orders.next()["Body"] for _ in range(100)} == {str(n) for n in range(100)}
    assert (at_once, most) == (8, 8)
    gate.set()
    passing(cloud, hook, 100, seconds=1)
    assert {one["Message"] for one in documents(hook, 100)} == {str(n) for n in range(100)}


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999/", "http://127.0.0.1:1/", "http://x\x7f/"])
def test_an_endpoint_that_can_be_no_address_is_given_up_in_the_end(
    cloud: Cloud, sns: Any, topic: str, url: str
) -> None:  # fmt: skip
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)

    def given_up() -> bool:
        cloud.advance(seconds=20)
        return "a message could not be delivered" in cloud.log.getvalue()

    eventually(given_up)


def test_an_endpoint_that_speaks_no_http_is_given_up_in_the_end(cloud: Cloud, sns: Any, topic: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_babble, args=(server,), daemon=True).start()
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://127.0.0.1:{server.getsockname()[1]}/")

        def given_up() -> bool:
            cloud.advance(seconds=20)
            return "a message could not be delivered" in cloud.log.getvalue()

        eventually(given_up)


def _babble(server: socket.socket) -> None:
    """Answer whatever comes with noise, until nobody listens."""
    with contextlib.suppress(OSError):
        while True:
            line, _ = server.accept()
            with line:
                line.recv(65_536)
                line.sendall(b"\x00" * 100_000)


def test_deliveries_are_no_faster_than_a_policy_allows(cloud: Cloud, sns: Any, topic: str, hook: Receiver) -> None:
    """ "maxReceivesPerSecond: the maximum number of deliveries per second, per subscription"."""
    confirmed(sns, topic, hook, DeliveryPolicy=json.dumps({"throttlePolicy": {"maxReceivesPerSecond": 2}}))
    times: list[int] = []

    def answer(_: Received) -> int:
        times.append(cloud.clock.now_ms())
        return 200

    hook.answer = answer
    began_ms = cloud.clock.now_ms()
    for n in range(4):
        sns.publish(TopicArn=topic, Message=str(n))
    passing(cloud, hook, 4, seconds=0.1)
    assert times[3] - began_ms >= 1500
    assert sorted(one["Message"] for one in documents(hook, 4)) == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("policy", "pauses_s"),
    [
        ({}, [20, 20, 20]),
        ({"numRetries": 0}, []),
        ({"numRetries": 3, "numNoDelayRetries": 1, "numMinDelayRetries": 1, "minDelayTarget": 5}, [0, 5, 5]),
        ({"numRetries": 4, "minDelayTarget": 1, "maxDelayTarget": 10}, [1, 4, 7, 10]),
        ({"numRetries": 4, "minDelayTarget": 1, "maxDelayTarget": 8, "backoffFunction": "geometric"}, [1, 2, 4, 8]),
        ({"numRetries": 4, "minDelayTarget": 1, "maxDelayTarget": 8, "backoffFunction": "exponential"}, [1, 2, 4, 8]),
        ({"numRetries": 4, "minDelayTarget": 1, "maxDelayTarget": 13, "backoffFunction": "arithmetic"}, [1, 3, 7, 13]),
        ({"numRetries": 3, "numMaxDelayRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 9}, [1, 9, 9]),
    ],
)  # fmt: skip
def test_a_policy_has_four_phases(policy: dict[str, Any], pauses_s: list[float]) -> None:
    """ "Delivery policy stages"."""
    whole = {**delivery_policy.DEFAULT, **policy}
    found = [delivery_policy.delay_ms(whole, attempts) for attempts in range(1, len(pauses_s) + 2)]
    assert found == [*(1000 * pause for pause in pauses_s), None]


def test_queues_and_functions_are_tried_for_23_days() -> None:
    """ "Delivery protocols and policies": 100,015 retries of AWS managed endpoints."""
    pauses = [delivery_policy.delay_ms(delivery_policy.MANAGED, attempts) for attempts in range(1, 100_017)]
    assert pauses[:5] == [0, 0, 0, 1000, 1000] and pauses[-1] is None
    assert pauses[5] == 1000 and pauses[14] == pauses[15] == 20_000
    assert sum(pause or 0 for pause in pauses) > 23 * 86_400_000


# -- signatures --


def test_a_signature_of_version_2_is_verified_by_the_same_certificate(cloud: Cloud, sns: Any, topic: str) -> None:
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="2")
    orders = subscribe(cloud, topic, "q")
    sns.publish(TopicArn=topic, Message="a\ncup", Subject="s")
    found = orders.body()
    assert found["SignatureVersion"] == "2"
    verify(found)
    with pytest.raises(InvalidSignature):
        verify({**found, "Message": "two cups"})


def test_a_key_is_kept_over_a_restart(cloud: Cloud, sns: Any, topic: str) -> None:
    orders = subscribe(cloud, topic, "q")
    sns.publish(TopicArn=topic, Message="before")
    before = orders.body()
    port = cloud.server.port
    cloud.restart()
    found = {**before, "SigningCertURL": before["SigningCertURL"].replace(str(port), str(cloud.server.port))}
    verify(found)
    path = f"SimpleNotificationService-{'0' * 32}.pem"
    assert httpx.get(f"{cloud.url}/{path}").text == "no such certificate\n"
    cloud.client("s3").create_bucket(Bucket="certificates")
    cloud.client("s3").put_object(Bucket="certificates", Key=path, Body=b"mine")
    assert httpx.get(f"{cloud.url}/{path}", headers={"host": "certificates.s3.amazonaws.com"}).text == "mine"
