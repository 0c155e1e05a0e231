"""Firestore and Pub/Sub, durable here, against Google's own emulators, which keep both in memory, in one run.

The load is made by gRPC's own client with requests that were written before: what is measured is the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc

from bench import official, servers
from bench.measuring import scratch, show
from bench.servers import Absent
from fogbank.gcp.protocol.descriptors import Package

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bench.servers import Served

_AT_ONCE, _SECONDS, _ROUNDS, _STARTS = 16, 2.0, 3, 3
_LATENCIES = 200
_DOCUMENTS = 500  # As many as one commit has always been able to write.
_IN_BATCH, _UNACKNOWLEDGED = 100, 1000
_DATABASE = "projects/p/databases/(default)"
_FIRESTORE, _PUBLISHER, _SUBSCRIBER = (
    "/google.firestore.v1.Firestore/", "/google.pubsub.v1.Publisher/", "/google.pubsub.v1.Subscriber/",
)  # fmt: skip
_OWNER = (("authorization", "Bearer owner"),)
_firestore, _pubsub = Package("google.firestore.v1"), Package("google.pubsub.v1")


@dataclass
class Line:
    """Of one server over all rounds: by what was measured, the figures."""

    found: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, figure: float) -> None:
        self.found.setdefault(what, []).append(figure)

    def __getitem__(self, what: str) -> float:
        return statistics.median(self.found[what])


# Firestore -----------------------------------------------------------------------------------------------------------


def _write(number: int) -> Any:
    document = _firestore.Document(name=f"{_DATABASE}/documents/items/{number % _DOCUMENTS}")
    document.fields["n"].integer_value = number
    document.fields["text"].string_value = "x" * 100
    return _firestore.Write(update=document)


def _commit(*numbers: int) -> bytes:
    request = _firestore.CommitRequest(database=_DATABASE, writes=map(_write, numbers))
    return bytes(request.SerializeToString())


def _get(number: int) -> bytes:
    name = f"{_DATABASE}/documents/items/{number % _DOCUMENTS}"
    return bytes(_firestore.GetDocumentRequest(name=name).SerializeToString())


async def _rate(port: int, method: str, request: Callable[[int], bytes]) -> float:
    """Answers a second, `_AT_ONCE` under way."""
    requests = [request(number) for number in range(_DOCUMENTS)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary(method)
        done = 0
        await ask(requests[0], metadata=_OWNER, wait_for_ready=True)
        began_s = time.perf_counter()

        async def worker(first: int) -> None:
            nonlocal done
            number = first
            while time.perf_counter() - began_s < _SECONDS:
                await ask(requests[number % _DOCUMENTS], metadata=_OWNER)
                number += _AT_ONCE
                done += 1

        await asyncio.gather(*map(worker, range(_AT_ONCE)))
        return done / (time.perf_counter() - began_s)


def _load_firestore(one: Served, line: Line) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{one.port}") as channel:  # Each is there before it is asked for.
        channel.unary_unary(_FIRESTORE + "Commit")(_commit(*range(_DOCUMENTS)), metadata=_OWNER)
    line.note("commits", asyncio.run(_rate(one.port, _FIRESTORE + "Commit", _commit)))
    line.note("gets", asyncio.run(_rate(one.port, _FIRESTORE + "GetDocument", _get)))


# Pub/Sub -------------------------------------------------------------------------------------------------------------


class _Subscription:
    """A topic and its subscription, and what comes on its stream."""

    def __init__(self, channel: Any, name: str) -> None:
        self._channel = channel
        self.topic, self.name = f"projects/p/topics/{name}", f"projects/p/subscriptions/{name}"
        self._requests: asyncio.Queue[bytes] = asyncio.Queue()
        self._publish = channel.unary_unary(_PUBLISHER + "Publish")

    async def make(self) -> None:
        topic = _pubsub.Topic(name=self.topic).SerializeToString()
        await self._channel.unary_unary(_PUBLISHER + "CreateTopic")(topic, wait_for_ready=True)
        subscription = _pubsub.Subscription(name=self.name, topic=self.topic).SerializeToString()
        await self._channel.unary_unary(_SUBSCRIBER + "CreateSubscription")(subscription)
        first = _pubsub.StreamingPullRequest(
            subscription=self.name, stream_ack_deadline_seconds=60, max_outstanding_messages=_UNACKNOWLEDGED
        )
        self._requests.put_nowait(first.SerializeToString())

    async def publish(self, count: int) -> None:
        messages = [{"data": b"x" * 100}] * count
        await self._publish(_pubsub.PublishRequest(topic=self.topic, messages=messages).SerializeToString())

    async def received(self) -> AsyncIterator[int]:
        """How many have come, each acknowledged at once."""
        call = self._channel.stream_stream(_SUBSCRIBER + "StreamingPull")(self._asked())
        try:
            async for raw in call:
                there = _pubsub.StreamingPullResponse.FromString(raw).received_messages
                ack = _pubsub.AcknowledgeRequest(subscription=self.name, ack_ids=[one.ack_id for one in there])
                if there:
                    await self._channel.unary_unary(_SUBSCRIBER + "Acknowledge")(ack.SerializeToString())
                    yield len(there)
        finally:
            call.cancel()

    async def _asked(self) -> AsyncIterator[bytes]:
        while True:
            yield await self._requests.get()


async def _latency_ms(port: int, name: str) -> float:
    """From the moment of publication until the message is there, one at a time: the middle of all."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        one = _Subscription(channel, name)
        await one.make()
        took_ms = []
        came = one.received()
        await one.publish(1)
        await anext(came)
        for _ in range(_LATENCIES):
            began_s = time.perf_counter()
            await one.publish(1)
            await anext(came)
            took_ms.append((time.perf_counter() - began_s) * 1000)
        await came.aclose()
        return statistics.median(took_ms)


async def _throughput(port: int, name: str) -> float:
    """Messages a second that were published, came on the stream and were acknowledged."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        one = _Subscription(channel, name)
        await one.make()
        began_s, done, open_ = time.perf_counter(), 0, asyncio.Semaphore(_UNACKNOWLEDGED // _IN_BATCH)

        async def publishing() -> None:
            while time.perf_counter() - began_s < _SECONDS:
                await open_.acquire()
                await one.publish(_IN_BATCH)

        publisher = asyncio.create_task(publishing())
        batches = 0
        came = one.received()
        async for count in came:
            done += count
            while batches < done // _IN_BATCH:
                batches += 1
                open_.release()
            if time.perf_counter() - began_s >= _SECONDS:
                break
        took_s = time.perf_counter() - began_s
        open_.release()
        await came.aclose()
        await publisher
        return done / took_s


def _load_pubsub(one: Served, line: Line) -> None:
    name = f"bench{time.monotonic_ns()}"
    line.note("latency", asyncio.run(_latency_ms(one.port, "l" + name)))
    line.note("messages", asyncio.run(_throughput(one.port, "t" + name)))


# Both ----------------------------------------------------------------------------------------------------------------


def _first_answer_s(start: Any, method: str, request: bytes) -> float:
    """From nothing to the first answer that is not "unavailable"."""
    began_s = time.perf_counter()
    with start(scratch()) as one, grpc.insecure_channel(f"127.0.0.1:{one.port}") as channel:
        with contextlib.suppress(grpc.RpcError):  # That it is not there is an answer.
            channel.unary_unary(method)(request, metadata=_OWNER, wait_for_ready=True)
        return time.perf_counter() - began_s


def _measure(targets: dict[str, Any], method: str, request: bytes, load: Any) -> dict[str, Line]:
    found: dict[str, Line] = {}
    with contextlib.ExitStack() as stack:
        running: dict[str, Served] = {}
        for name, start in targets.items():
            try:
                line = Line()
                for _ in range(_STARTS):
                    line.note("start", _first_answer_s(start, method, request))
                running[name] = stack.enter_context(start(scratch()))
                found[name] = line
            except Absent as why:
                print(f"  {name} is left out: {why}")
        time.sleep(1.0)
        for name, one in running.items():
            found[name].note("idle", one.resident_mb)
        for turn in range(_ROUNDS + 1):
            for name, one in running.items():
                load(one, found[name] if turn else Line())  # The first is to get warm.
        for name, one in running.items():
            found[name].note("loaded", one.resident_mb)
    return found


def _show(title: str, found: dict[str, Line], lines: list[tuple[str, str, str, str, float]]) -> None:
    """`lines`: what, its title, its format, "less" or "more" is better, how many times better we mean to be."""
    ours = found["fogbank"]
    rows = []
    for what, told, shape, better, goal in lines:
        rows.append((f"{told}: fogbank", shape.format(ours[what]), "" if len(found) > 1 else "no emulator here"))
        for name, theirs in found.items():
            if name != "fogbank":
                times = theirs[what] / ours[what] if better == "less" else ours[what] / theirs[what]
                rows.append((f"{told}: {name}", shape.format(theirs[what]), f"{times:.1f} times (goal: {goal:g})"))
    show(title, rows)


_COMMON = [
    ("start", "start to the first answer", "{:.2f} s", "less", 5.0),
    ("idle", "memory, idle", "{:.0f} MB", "less", 3.0),
    ("loaded", "memory, after load", "{:.0f} MB", "less", 3.0),
]


def _show_both(firestore: dict[str, Line], pubsub: dict[str, Line]) -> None:
    """One fogbank is both; who has them officially runs two."""
    if "official" in firestore and "official" in pubsub:
        rows = []
        for what, told in (("idle", "idle"), ("loaded", "after load")):
            ours = max(firestore["fogbank"][what], pubsub["fogbank"][what])
            theirs = firestore["official"][what] + pubsub["official"][what]
            rows.append((f"memory, {told}: fogbank", f"{ours:.0f} MB", ""))
            rows.append((f"memory, {told}: both official", f"{theirs:.0f} MB", f"{theirs / ours:.1f} times (goal: 3)"))
        show("Firestore and Pub/Sub together", rows)


def main() -> None:
    get = _get(0)
    firestore = _measure(
        {"fogbank": servers.fogbank, "official": official.firestore}, _FIRESTORE + "GetDocument", get, _load_firestore
    )
    commits = ("commits", f"commits, {_AT_ONCE} at once", "{:,.0f}/s", "more", 1.0)
    gets = ("gets", f"gets, {_AT_ONCE} at once", "{:,.0f}/s", "more", 1.0)
    _show("Firestore", firestore, [*_COMMON, commits, gets])
    topic = _pubsub.GetTopicRequest(topic="projects/p/topics/none").SerializeToString()
    pubsub = _measure(
        {"fogbank": servers.fogbank, "official": official.pubsub}, _PUBLISHER + "GetTopic", topic, _load_pubsub
    )
    latency = ("latency", "publish to receive, p50", "{:.2f} ms", "less", 1.0)
    messages = ("messages", "published, streamed, acknowledged", "{:,.0f}/s", "more", 1.0)
    _show("Pub/Sub", pubsub, [*_COMMON, latency, messages])
    _show_both(firestore, pubsub)


if __name__ == "__main__":
    main()
