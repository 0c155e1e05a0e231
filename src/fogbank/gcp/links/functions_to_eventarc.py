"""Cloud Functions (1st gen) → Eventarc: a function's trigger listens and receives as a trigger of Eventarc's does.

"Events and triggers": such a trigger is part of its function. Of what carries its events only a subscription to a topic
of people's own is theirs to see; the rest lies in a tenant project, as it does at Google.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.identity import projects
from fogbank.gcp.links import eventarc_to_pubsub, firestore_to_eventarc, storage_to_eventarc
from fogbank.gcp.protocol import hosts
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.eventarc import patterns, state
from fogbank.gcp.services.eventarc.filters import Filter
from fogbank.gcp.services.eventarc.requests import LEGACY_PUBLISHED
from fogbank.gcp.services.eventarc.state import Listener, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.services.functions.state import Function
    from fogbank.kernel.store import Tx

_EVENTARC: Final = Package("google.cloud.eventarc.v1")
_PUBLISHED: Final = (LEGACY_PUBLISHED, "providers/cloud.pubsub/eventTypes/topic.publish")
_DOCUMENT: Final = re.compile(r"projects/([^/]+)/databases/([^/]+)/documents/(.+)")
_BUCKET: Final = re.compile(r"(?:projects/[^/]+/buckets/)?([^/]+)")
_TOPIC: Final = re.compile(r"projects/[^/]+/topics/([^/]+)")
_DEADLINE_S: Final = 600
_RETENTION_S: Final = 7 * 86_400  # "Retry asynchronous functions": for up to 7 days.


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a trigger asks for."""

    source: str
    type: str
    filters: tuple[Filter, ...] = ()
    topic: str = ""  # People's own.


def function_changed(
    tx: Tx,
    new_id: Callable[[], str],
    now_ms: int,  # noqa: ARG001  # Part of the hook.
    before: Function | None,
    after: Function | None,
) -> None:
    """In the transaction in which a function is deployed or deleted. Raises `RpcError` for what it cannot listen to."""
    was, asked = _asked(before), _asked(after)
    if before is not None and was is not None and (was != asked or after is None or after.id != before.id):
        _close(tx, before, was)
        was = None
    if after is not None and asked is not None and was is None:
        _open(tx, after, asked, new_id)


def _open(tx: Tx, function: Function, asked: _Asked, new_id: Callable[[], str]) -> None:
    carried = _transport(function, asked)
    at = function.at
    endpoint = f"https://{hosts.functions_host(at.project, at.location)}/{at.id}"
    eventarc_to_pubsub.open_transport(
        tx, carried, topic=carried.topic or _in_tenant(function, "topics"), subscription=carried.subscription,
        endpoint=endpoint, seconds=_DEADLINE_S, new_id=new_id, retention_s=_RETENTION_S,
    )  # fmt: skip
    published = (asked.type, asked.topic) if asked.topic else ("", "")
    receiver = Receiver(function.name, "function", function.name, "", "/", *published)
    state.RECEIVERS.put(tx, carried.subscription, row=receiver)
    if not asked.topic:
        listener = Listener(function.name, asked.type, list(asked.filters), carried.topic, "")
        state.listen(tx, asked.source, at.project, listener)
        _tell(tx, asked.source, at.project)


def _close(tx: Tx, function: Function, asked: _Asked) -> None:
    carried = _transport(function, asked)
    carried.topic = carried.topic or _in_tenant(function, "topics")
    eventarc_to_pubsub.close_transport(tx, carried, with_topic=not asked.topic)
    state.RECEIVERS.delete(tx, carried.subscription)
    state.unlisten(tx, asked.source, function.at.project, function.name)
    _tell(tx, asked.source, function.at.project)


def _tell(tx: Tx, source: str, project: str) -> None:
    if source == firestore_to_eventarc.LISTENS_TO:
        firestore_to_eventarc.listened(tx, project, listened=bool(state.listeners(tx, source, project)))


def _transport(function: Function, asked: _Asked) -> Any:
    """What carries its events; the topic only where it is people's own."""
    if not asked.topic:
        return _EVENTARC.Pubsub(subscription=_in_tenant(function, "subscriptions"))
    at, topic = function.at, asked.topic.rpartition("/")[2]
    name = f"projects/{at.project}/subscriptions/gcf-{at.id}-{at.location}-{topic}"
    return _EVENTARC.Pubsub(topic=asked.topic, subscription=name)


def _in_tenant(function: Function, kind: str) -> str:
    at = function.at
    return f"projects/{projects.number(at.project)}-tp/{kind}/gcf-{at.location}-{at.id}"


def _asked(function: Function | None) -> _Asked | None:
    if function is None or function.generation != 1 or not function.first.HasField("event_trigger"):
        return None
    trigger = function.first.event_trigger
    kind, resource = trigger.event_type, trigger.resource
    if kind in _PUBLISHED and _TOPIC.fullmatch(resource):
        return _Asked("pubsub", kind, topic=resource)
    if kind in storage_to_eventarc.LEGACY_KINDS and (found := _BUCKET.fullmatch(resource)):
        return _Asked(storage_to_eventarc.SOURCE, kind, (Filter("bucket", found[1]),))
    if firestore_to_eventarc.is_legacy(kind) and (found := _DOCUMENT.fullmatch(resource)):
        return _Asked(firestore_to_eventarc.LISTENS_TO, kind, _document(found[2], found[3]))
    known = kind in _PUBLISHED or kind in storage_to_eventarc.LEGACY_KINDS or firestore_to_eventarc.is_legacy(kind)
    if known:
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid resource for an event trigger of {kind}: {resource[:512]}")
    raise RpcError(Code.UNIMPLEMENTED, f"fogbank gives no events of type {kind[:256]}.")


def _document(database: str, document: str) -> tuple[Filter, ...]:
    try:
        patterns.compiled(document)
    except patterns.BadPattern as error:
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid document path {document[:512]}: {error}.") from error
    return Filter("database", database), Filter("document", document, is_pattern=True)
