"""gRPC over HTTP/2 beside HTTP/1.1 on one port, asked by grpcio itself."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest

from fogbank.gcp.protocol.descriptors import Package, message
from fogbank.gcp.service import Code, RpcError, Service
from fogbank.kernel.gateway import Limits
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PUBSUB, FIRESTORE = Package("google.pubsub.v1"), Package("google.firestore.v1")
PUBLISHER, SUBSCRIBER = "google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber"


class Publisher(Service):
    service = PUBLISHER

    def get_topic(self, tx: Any, call: Any, request: Any) -> Any:
        return PUBSUB.Topic(name=request.topic, labels={"said": call.params.get("topic", "")})

    def create_topic(self, tx: Any, call: Any, request: Any) -> Any:
        tx.put(("t", request.name), b"made")
        why = message("google.rpc.ErrorInfo")(reason="THERE", domain="pubsub.googleapis.com")
        raise RpcError(Code.ALREADY_EXISTS, "Größe: 100% there", [why])

    def update_topic(self, tx: Any, call: Any, request: Any) -> Any:
        raise ZeroDivisionError("a bug")

    async def delete_topic(self, call: Any, request: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ENDED.set()


class Subscriber(Service):
    service = SUBSCRIBER

    async def streaming_pull(self, call: Any, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for request in requests:
                if request.subscription == "fail":
                    raise RpcError(Code.FAILED_PRECONDITION, "so it is")
                message_ = PUBSUB.PubsubMessage(data=request.subscription.encode())
                yield PUBSUB.StreamingPullResponse(received_messages=[PUBSUB.ReceivedMessage(message=message_)])
        finally:
            ENDED.set()


class Firestore(Service):
    service = "google.firestore.v1.Firestore"

    def run_query(self, tx: Any, call: Any, request: Any) -> Any:
        for number in range(3):
            assert tx.get(("nothing", number)) is None  # The transaction is there as long as it is asked.
            yield FIRESTORE.RunQueryResponse(skipped_results=number)


ENDED = threading.Event()


def test_a_unary_method_answers_and_knows_what_the_call_is_about(skin: Any) -> None:
    get = skin(Publisher).call(PUBLISHER, "GetTopic")
    topic = get(PUBSUB.GetTopicRequest(topic="a"), metadata=[("x-goog-request-params", "topic=projects%2Fp")])
    assert (topic.name, dict(topic.labels)) == ("a", {"said": "projects/p"})


def test_an_error_carries_its_code_its_text_and_its_details(skin: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        skin(Publisher).call(PUBLISHER, "CreateTopic")(PUBSUB.Topic(name="a"))
    assert caught.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert caught.value.details() == "Größe: 100% there"
    raw = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    status: Any = message("google.rpc.Status").FromString(raw)
    assert status.code == 6 and status.details[0].type_url == "type.googleapis.com/google.rpc.ErrorInfo"


def test_what_nobody_has_written_is_unimplemented_by_name(skin: Any) -> None:
    running = skin(Publisher)
    with pytest.raises(grpc.RpcError) as caught:
        running.call(PUBLISHER, "Publish")(PUBSUB.PublishRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "google.pubsub.v1.Publisher.Publish" in caught.value.details()
    channel = grpc.insecure_channel(f"127.0.0.1:{running.port}")
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/no.Such/Thing")(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_bug_is_internal_and_its_stack_is_in_the_log_alone(skin: Any) -> None:
    running = skin(Publisher)
    with pytest.raises(grpc.RpcError) as caught:
        running.call(PUBLISHER, "UpdateTopic")(PUBSUB.UpdateTopicRequest())
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert "ZeroDivisionError" not in caught.value.details() and "ZeroDivisionError" in running.log.getvalue()


def test_a_call_is_cancelled_at_its_deadline(skin: Any) -> None:
    ENDED.clear()
    delete = skin(Publisher).call(PUBLISHER, "DeleteTopic")
    with pytest.raises(grpc.RpcError) as caught:
        delete(PUBSUB.DeleteTopicRequest(), timeout=0.3)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert ENDED.wait(20)


def test_a_call_that_its_caller_gives_up_is_cancelled(skin: Any) -> None:
    ENDED.clear()
    stream = skin(Subscriber).call(SUBSCRIBER, "StreamingPull")
    requests = iter([PUBSUB.StreamingPullRequest(subscription="one")])
    answers = stream(_kept_open(requests))
    assert next(answers).received_messages[0].message.data == b"one"
    answers.cancel()
    assert ENDED.wait(20)


def test_a_bidirectional_stream_answers_each_request_and_ends_with_an_error(skin: Any) -> None:
    stream = skin(Subscriber).call(SUBSCRIBER, "StreamingPull")
    asked = [PUBSUB.StreamingPullRequest(subscription=name) for name in ("one", "two", "fail", "three")]
    answers = stream(iter(asked))
    assert [next(answers).received_messages[0].message.data for _ in range(2)] == [b"one", b"two"]
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "so it is")


def test_a_plain_method_may_give_a_stream(skin: Any) -> None:
    answers = skin(Firestore).call("google.firestore.v1.Firestore", "RunQuery")(FIRESTORE.RunQueryRequest())
    assert [answer.skipped_results for answer in answers] == [0, 1, 2]


def test_a_compressed_request_is_read(skin: Any) -> None:
    get = skin(Publisher).call(PUBLISHER, "GetTopic")
    assert get(PUBSUB.GetTopicRequest(topic="a" * 5000), compression=grpc.Compression.Gzip).name == "a" * 5000


def test_a_large_message_goes_through_and_one_that_is_too_large_is_refused(skin: Any) -> None:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    running = skin(Publisher)
    get = running.call(PUBLISHER, "GetTopic", channel=grpc.insecure_channel(f"127.0.0.1:{running.port}", options))
    assert len(get(PUBSUB.GetTopicRequest(topic="a" * 9_000_000)).name) == 9_000_000
    with pytest.raises(grpc.RpcError) as caught:
        get(PUBSUB.GetTopicRequest(topic="a" * 21_000_000))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_what_is_no_message_of_the_method_is_told_so(skin: Any) -> None:
    channel = grpc.insecure_channel(f"127.0.0.1:{skin(Publisher).port}")
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/google.pubsub.v1.Publisher/GetTopic")(b"\xff\xff\xff")
    assert caught.value.code() == grpc.StatusCode.INTERNAL


def test_both_protocols_are_spoken_on_one_port(skin: Any) -> None:
    running = skin(Publisher)
    connection = http.client.HTTPConnection("127.0.0.1", running.port)
    connection.request("GET", "/v1/projects/p/topics/t%20u")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["name"]) == (200, "projects/p/topics/t u")
    assert running.call(PUBLISHER, "GetTopic")(PUBSUB.GetTopicRequest(topic="a")).name == "a"


def test_a_second_port_speaks_the_same_and_one_that_is_taken_is_told(skin: Any) -> None:
    running = skin(Publisher)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listened = asyncio.run_coroutine_threadsafe(running.gateway.listen_also("127.0.0.1", port), running.loop)
    assert listened.result(20)
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    assert running.call(PUBLISHER, "GetTopic", channel=channel)(PUBSUB.GetTopicRequest(topic="a")).name == "a"
    again = asyncio.run_coroutine_threadsafe(running.gateway.listen_also("127.0.0.1", port), running.loop)
    assert not again.result(20)


def test_bytes_that_are_no_http2_cost_only_their_connection(skin: Any) -> None:
    running = skin(Publisher)
    with socket.create_connection(("127.0.0.1", running.port)) as raw:
        raw.settimeout(20)
        ping_of_a_stream = b"\x00\x00\x08\x06\x00\x00\x00\x00\x01" + b"a" * 8
        raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + ping_of_a_stream)
        while True:  # Its own settings come first, then the end.
            try:
                if not raw.recv(65536):
                    break
            except ConnectionResetError:
                break
    assert running.call(PUBLISHER, "GetTopic")(PUBSUB.GetTopicRequest(topic="a")).name == "a"


def test_an_open_stream_is_told_that_the_server_stops(skin: Any) -> None:
    running = skin(Subscriber)
    answers = running.call(SUBSCRIBER, "StreamingPull")(
        _kept_open(iter([PUBSUB.StreamingPullRequest(subscription="one")]))
    )
    next(answers)
    running.close()
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # And empty settings.


def test_a_connection_on_which_nothing_happens_is_ended_and_one_with_a_call_is_not(skin: Any) -> None:
    running = skin(Subscriber, limits=Limits(idle_timeout_s=0.2))
    answers = running.call(SUBSCRIBER, "StreamingPull")(
        _kept_open(iter([PUBSUB.StreamingPullRequest(subscription="one")]))
    )
    next(answers)
    with socket.create_connection(("127.0.0.1", running.port)) as idle:
        idle.settimeout(20)
        idle.sendall(PREFACE)
        while idle.recv(65536):
            pass
    assert len(running.gateway.connections) == 1 and answers.is_active()


def test_connections_are_counted_whatever_is_spoken_on_them(skin: Any) -> None:
    running = skin(Publisher, limits=Limits(connections=1))
    with socket.create_connection(("127.0.0.1", running.port)) as first:
        first.settimeout(20)
        first.sendall(PREFACE)
        first.recv(65536)
        with socket.create_connection(("127.0.0.1", running.port)) as second:
            second.settimeout(20)
            assert b" 503 " in second.recv(65536)


def test_a_connection_that_is_gone_is_counted_no_more(skin: Any) -> None:
    running = skin(Publisher)
    channel = grpc.insecure_channel(f"127.0.0.1:{running.port}")
    running.call(PUBLISHER, "GetTopic", channel=channel)(PUBSUB.GetTopicRequest(topic="a"))
    assert len(running.gateway.connections) == 1
    channel.close()
    eventually(lambda: not running.gateway.connections)


class TestRest:
    """The same methods, transcoded."""

    def test_an_error_is_googles_error_document(self, skin: Any) -> None:
        running = skin(Publisher)
        answer = httpx.put(f"http://127.0.0.1:{running.port}/v1/projects/p/topics/t", json={"labels": {"a": "b"}})
        error = answer.json()["error"]
        assert answer.status_code == 409
        assert (error["code"], error["status"], error["message"]) == (409, "ALREADY_EXISTS", "Größe: 100% there")
        assert error["details"][0] == {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "THERE", "domain": "pubsub.googleapis.com",
        }  # fmt: skip

    def test_a_stream_is_an_array(self, skin: Any) -> None:
        running = skin(Firestore)
        path = "/v1/projects/p/databases/(default)/documents:runQuery"
        answer = httpx.post(f"http://127.0.0.1:{running.port}{path}", json={"structuredQuery": {"limit": 3}})
        assert answer.json() == [{}, {"skippedResults": 1}, {"skippedResults": 2}]

    def test_what_is_no_field_is_named(self, skin: Any) -> None:
        running = skin(Publisher)
        url = f"http://127.0.0.1:{running.port}/v1/projects/p/topics/t"
        assert 'Unknown name "nothing"' in httpx.put(url, json={"nothing": 1}).json()["error"]["message"]
        assert 'Unknown name "nothing"' in httpx.get(url, params={"nothing": "1"}).json()["error"]["message"]
        assert httpx.get(url, params={"alt": "json", "prettyPrint": "false"}).status_code == 200

    def test_what_is_not_served_is_named(self, skin: Any) -> None:
        running = skin(Publisher)
        answer = httpx.post(f"http://127.0.0.1:{running.port}/v1/projects/p/topics/t:publish", json={"messages": []})
        assert answer.status_code == 501 and "google.pubsub.v1.Publisher.Publish" in answer.json()["error"]["message"]
        unknown = httpx.get(f"http://127.0.0.1:{running.port}/v1/projects/p/nothing/at/all")
        assert (unknown.status_code, unknown.json()["error"]["status"]) == (404, "NOT_FOUND")


def _kept_open(requests: Any) -> Any:
    yield from requests
    threading.Event().wait(30)
