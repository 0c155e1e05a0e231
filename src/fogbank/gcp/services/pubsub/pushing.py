"""Push subscriptions: each message is POSTed to the endpoint, until that answers that it has taken it.

A message is lent as a puller's would be, for as long as the endpoint has to answer; so a crash repeats what was under
way, and loses nothing.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.gcp.protocol import hosts
from fogbank.gcp.service import RpcError
from fogbank.gcp.services.pubsub import lending, publishing, state
from fogbank.gcp.services.pubsub.state import CHANGED, SUBSCRIPTIONS
from fogbank.kernel.posting import Sender, Unreachable
from fogbank.kernel.store import StoreError
from fogbank.kernel.tasks import end
from fogbank.primitives import queues

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.pubsub.lending import Lent
    from fogbank.gcp.services.pubsub.state import Subscription
    from fogbank.kernel.store import Tx

_TAKEN = frozenset((102, 200, 201, 202, 204))  # "Receive push messages": all others mean that it is to be sent again.
_AGENT = "CloudPubSub-Google"
_AT_ONCE_MAX = 64  # Of one subscription.
# "Push backoff": "between 100 milliseconds and 60 seconds", where no retry policy says otherwise.
_BACKOFF_MS = (100, 60_000)
_AFTER_BUG_MS = 1_000


class Pushing:
    """A loop for each subscription that has an endpoint."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def run(self) -> None:
        loops: dict[str, asyncio.Task[None]] = {}
        if not self._house.config.store_url:  # A lone node: whoever was carrying something is gone.
            await self._house.store.transact(_release, self._house.clock.now_ms())
        try:
            with self._house.signals.watch(CHANGED) as watch:
                while True:
                    wanted = await self._house.store.transact(_with_endpoints)
                    for subscription_id in loops.keys() - wanted.keys():
                        loops.pop(subscription_id).cancel()
                    for subscription_id in wanted.keys() - loops.keys():
                        loop = _Loop(self._house, wanted[subscription_id], subscription_id)
                        loops[subscription_id] = asyncio.ensure_future(loop.run())
                    await watch.wait()
        finally:
            await end(loops.values())


def _with_endpoints(tx: Tx) -> dict[str, str]:
    """Names by ids."""
    return {
        row.id: row.name
        for row in SUBSCRIPTIONS.all(tx)
        if row.settings.push_config.push_endpoint and not row.settings.detached
    }


def _release(tx: Tx, now_ms: int) -> None:
    """What was on its way. What waits for another attempt goes on waiting."""
    for subscription_id in _with_endpoints(tx):
        queues.release(tx, subscription_id, now_ms, hidden=False)


class _Loop:
    """What carries the messages of one subscription."""

    def __init__(self, house: House, name: str, subscription_id: str) -> None:
        self._house, self._name, self._id = house, name, subscription_id
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        house = self._house
        try:
            with house.signals.watch(queues.DUE, (self._id,)) as watch:
                while True:
                    try:
                        lent, next_ms = await house.store.transact(self._take, house.clock.now_ms())
                    except RpcError:  # It is deleted, or detached: its loop is about to be ended.
                        return
                    except StoreError as error:
                        house.telemetry.error("no messages to push could be had", error=str(error))
                        await house.clock.sleep(_AFTER_BUG_MS)
                        continue
                    for row in _in_rows(lent):
                        task = asyncio.ensure_future(self._carry_all(row))
                        self._working.add(task)
                        task.add_done_callback(self._working.discard)
                        task.add_done_callback(lambda _: watch.woken.set())
                    if not lent:
                        await watch.wait(next_ms)
        finally:
            await end(self._working)

    def _take(self, tx: Tx, now_ms: int) -> tuple[list[tuple[Subscription, Lent]], int | None]:
        room = _AT_ONCE_MAX - len(self._working)
        subscription, lent = lending.lend(
            tx, self._name, limit=room, lease_ms=0, now_ms=now_ms, new_id=self._house.ids.new
        )
        next_ms = queues.next_due_ms(tx, subscription.id, after_ms=now_ms) if room else None
        return [(subscription, one) for one in lent], next_ms

    async def _carry_all(self, row: list[tuple[Subscription, Lent]]) -> None:
        """In their order, up to one that has not arrived: those behind it wait with it."""
        for at, (subscription, lent) in enumerate(row):
            try:
                arrived = await self._arrives(subscription, lent)
                left = [] if arrived else [one for _, one in row[at:]]
                await self._house.store.transact(self._settle, lent if arrived else None, left)
            except Exception as error:  # One that cannot be carried must not end the others; its lease will.
                self._house.telemetry.error("a push failed", subscription=self._name, error=repr(error))
                await self._house.clock.sleep(_AFTER_BUG_MS)
                return
            if left:
                return

    def _settle(self, tx: Tx, arrived: Lent | None, left: list[Lent]) -> None:
        now_ms = self._house.clock.now_ms()
        try:
            subscription = state.subscription(tx, self._name)
        except RpcError:
            return
        if arrived is not None:
            lending.acknowledge(tx, subscription, [arrived.ack_id], now_ms)
        for one in left:
            pause_ms = subscription.pause_ms(one.message.receive_count) or _backoff_ms(one.message.receive_count)
            queues.hide(tx, subscription.id, one.message.receipt, due_ms=now_ms + pause_ms, now_ms=now_ms)

    async def _arrives(self, subscription: Subscription, lent: Lent) -> bool:
        settings = subscription.settings
        push = settings.push_config
        for link in self._house.links.values():
            pushed = getattr(link, "PUSHED", None)
            if pushed is not None and pushed.search(push.push_endpoint):
                done = await link.push(self._house, subscription, publishing.content(lent.message), lent.attempt)
                if done is not None:
                    return bool(done)
        headers, body = _unwrapped(subscription, lent) if push.HasField("no_wrapper") else _wrapped(subscription, lent)
        if push.HasField("oidc_token"):
            # "audience": "If not specified, the Push endpoint URL will be used".
            oidc = push.oidc_token
            token = await self._house.identity.mint(oidc.audience or push.push_endpoint, oidc.service_account_email)
            headers["Authorization"] = f"Bearer {token}"
        sender = Sender(_AGENT, float(settings.ack_deadline_seconds), hosts.OURS)
        try:
            with self._house.clock.aside:
                status = await sender.post(push.push_endpoint, headers, body, here=self._house.endpoint())
        except Unreachable:
            return False
        return status in _TAKEN


def _in_rows(lent: list[tuple[Subscription, Lent]]) -> list[list[tuple[Subscription, Lent]]]:
    """What is to be carried one after the other."""
    rows: dict[str, list[tuple[Subscription, Lent]]] = {}
    for subscription, one in lent:
        rows.setdefault(one.message.group or one.ack_id, []).append((subscription, one))
    return list(rows.values())


def _wrapped(subscription: Subscription, lent: Lent) -> tuple[dict[str, str], bytes]:
    """ "Receive push messages", the JSON body: some names stand in it twice."""
    content: Any = publishing.content(lent.message)
    published = content.publish_time.ToJsonString()
    message = {
        "data": b64encode(content.data).decode(),
        "messageId": content.message_id,
        "message_id": content.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    if content.attributes:
        message["attributes"] = dict(content.attributes)
    if content.ordering_key:
        message["orderingKey"] = content.ordering_key
    envelope: dict[str, Any] = {"message": message, "subscription": subscription.name}
    if lent.attempt:
        envelope["deliveryAttempt"] = lent.attempt
    return {"Content-Type": "application/json", "From": "noreply@google.com"}, orjson.dumps(envelope)


def _unwrapped(subscription: Subscription, lent: Lent) -> tuple[dict[str, str], bytes]:
    """ "Payload unwrapping": the data alone; with `write_metadata` the rest as headers."""
    content: Any = publishing.content(lent.message)
    if not subscription.settings.push_config.no_wrapper.write_metadata:
        return {}, content.data
    headers = {
        **dict(content.attributes),
        "x-goog-pubsub-subscription-name": subscription.name,
        "x-goog-pubsub-message-id": content.message_id,
        "x-goog-pubsub-publish-time": content.publish_time.ToJsonString(),
    }
    if content.ordering_key:
        headers["x-goog-pubsub-ordering-key"] = content.ordering_key
    if lent.attempt:
        headers["x-goog-pubsub-delivery-attempt"] = str(lent.attempt)
    return headers, content.data


def _backoff_ms(attempt: int) -> int:
    return int(min(_BACKOFF_MS[1], _BACKOFF_MS[0] * 2 ** min(attempt - 1, 20)))
