"""What carries a trigger's events: a topic and a subscription, made by the link to Pub/Sub; who listens, who receives.

"Retry events": the subscription's id "begins with eventarc-REGION-"; it keeps messages for 24 hours and waits 10 to 600
seconds between attempts. Whoever wants it otherwise, or wants a dead-letter topic, sets the subscription.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.protocol import hosts
from fogbank.gcp.services.eventarc import catalog, filters, state
from fogbank.gcp.services.eventarc.state import Listener, Receiver

if TYPE_CHECKING:
    from fogbank.gcp.service import Call, House
    from fogbank.gcp.services.eventarc.names import Name
    from fogbank.gcp.services.eventarc.state import Trigger
    from fogbank.kernel.store import Tx

_PUBSUB: Final = "gcp.eventarc_to_pubsub"


def open_(tx: Tx, house: House, call: Call, name: Name, told: Any) -> None:
    """Make what is missing, and tell the trigger of it. Raises `RpcError` where a topic that it names is not there."""
    pubsub = told.transport.pubsub
    number = str(int(call.new_id().replace("-", "")[-12:], 16) % 1000).zfill(3)
    base = f"eventarc-{name.location}-{name.id}"
    house.links[_PUBSUB].open_transport(
        tx, pubsub, topic=f"projects/{name.project}/topics/{base}-{number}",
        subscription=f"projects/{name.project}/subscriptions/{base}-sub-{number}", endpoint=_endpoint(name, told),
        seconds=_deadline_s(told), new_id=call.new_id,
    )  # fmt: skip
    _connect(tx, house, name, told)


def change(tx: Tx, house: House, name: Name, told: Any) -> None:
    """The same transport, for other filters and another destination."""
    house.links[_PUBSUB].redirect(tx, told.transport.pubsub.subscription, _endpoint(name, told), _deadline_s(told))
    _connect(tx, house, name, told)


def close(tx: Tx, house: House, name: Name, row: Trigger) -> None:
    pubsub = row.settings.transport.pubsub
    kind, _ = filters.read(row.settings.event_filters)
    house.links[_PUBSUB].close_transport(tx, pubsub, with_topic=row.owns_topic)
    state.RECEIVERS.delete(tx, pubsub.subscription)
    state.unlisten(tx, kind.source, name.project, str(name))
    tell_sources(tx, house, kind.source, name.project)


def _connect(tx: Tx, house: House, name: Name, told: Any) -> None:
    kind, asked = filters.read(told.event_filters)
    pubsub = told.transport.pubsub
    state.RECEIVERS.put(tx, pubsub.subscription, row=_receiver(name, told, kind.type, pubsub.topic))
    if kind.type != catalog.MESSAGE_PUBLISHED:
        row = Listener(str(name), kind.type, asked, pubsub.topic, told.event_data_content_type)
        state.listen(tx, kind.source, name.project, row)
        tell_sources(tx, house, kind.source, name.project)


def tell_sources(tx: Tx, house: House, source: str, project: str) -> None:
    """A source that has to do something for its changes to be seen learns whether anybody listens."""
    for link in house.links.values():
        if getattr(link, "LISTENS_TO", None) == source:
            link.listened(tx, project, listened=bool(state.listeners(tx, source, project)))


def _receiver(name: Name, told: Any, event_type: str, topic: str) -> Receiver:
    destination = told.destination
    published = event_type == catalog.MESSAGE_PUBLISHED
    type_, from_topic = (event_type, topic) if published else ("", "")
    once = told.retry_policy.max_attempts == 1
    match destination.WhichOneof("descriptor"):
        case "cloud_function":
            kind, target, path = "function", destination.cloud_function, "/"
        case "cloud_run":
            run = destination.cloud_run
            kind, target = "service", f"projects/{name.project}/locations/{run.region}/services/{run.service}"
            path = f"/{run.path.lstrip('/')}"
        case _:
            kind, target, path = "http", destination.http_endpoint.uri, ""
    return Receiver(str(name), kind, target, told.service_account, path, type_, from_topic, once)


def _endpoint(name: Name, told: Any) -> str:
    """What the subscription shows: where its messages go, as far as that has an address."""
    destination = told.destination
    match destination.WhichOneof("descriptor"):
        case "cloud_function":
            _, project, _, location, _, function = destination.cloud_function.split("/")
            return f"https://{hosts.functions_host(project, location)}/{function}"
        case "cloud_run":
            run = destination.cloud_run
            host = hosts.service_host(name.project, run.region, run.service)
            return f"https://{host}/{run.path.lstrip('/')}"
        case _:
            return str(destination.http_endpoint.uri)


def _deadline_s(told: Any) -> int:
    """A function of an event may run for 540 seconds; others are given as long as Pub/Sub gives by itself."""
    return 600 if told.destination.WhichOneof("descriptor") == "cloud_function" else 10
