"""Google's asynchronous clients, on grpc.aio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
from google.pubsub_v1 import PublisherAsyncClient, StreamingPullRequest, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.cloud import Cloud

TOPIC, READER = "projects/fog-project/topics/news", "projects/fog-project/subscriptions/reader"


def test_messages_go_round(cloud: Cloud) -> None:
    async def go_round() -> list[bytes]:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{cloud.server.port}")
        publisher = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))
        subscriber = SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel))
        await publisher.create_topic(name=TOPIC)
        await subscriber.create_subscription(name=READER, topic=TOPIC)
        sending = [publisher.publish(topic=TOPIC, messages=[{"data": str(one).encode()}]) for one in range(20)]
        await asyncio.gather(*sending)
        got: list[bytes] = []
        requests: asyncio.Queue[Any] = asyncio.Queue()
        requests.put_nowait(StreamingPullRequest(subscription=READER, stream_ack_deadline_seconds=10))

        async def asked() -> AsyncIterator[Any]:
            while True:
                yield await requests.get()

        stream = await subscriber.streaming_pull(requests=asked(), timeout=60)
        async for answer in stream:
            got += [one.message.data for one in answer.received_messages]
            requests.put_nowait(StreamingPullRequest(ack_ids=[one.ack_id for one in answer.received_messages]))
            if len(got) == 20:
                break
        stream.cancel()
        await channel.close()
        return got

    assert sorted(asyncio.run(go_round()), key=int) == [str(one).encode() for one in range(20)]
