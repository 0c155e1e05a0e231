"""What a trigger may be: all that can be said against one, and what is set where nobody says."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from fogbank.gcp.protocol import masks
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.eventarc import catalog, filters
from fogbank.gcp.services.eventarc.filters import invalid

_LABELS_MAX: Final = 64
_MUTABLE: Final = (
    "event_filters",
    "service_account",
    "destination",
    "labels",
    "event_data_content_type",
    "retry_policy",
)
_NAME: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_FUNCTION: Final = re.compile(r"projects/[^/\s]+/locations/[a-z0-9-]+/functions/[A-Za-z][\w-]{0,62}", re.ASCII)
_PATH: Final = re.compile(r"[\x21-\x7e]{0,2048}")
_ATTEMPTS: Final = (0, 1)  # "The only valid value is 1", or none.


def check_new(trigger: Any) -> None:
    """What can be said against one that is to be made, and not against one that is there. Raises `RpcError`."""
    kind, _ = filters.read(trigger.event_filters)
    if trigger.transport.pubsub.topic and kind.type != catalog.MESSAGE_PUBLISHED:
        raise invalid(f"trigger.transport.pubsub.topic cannot be chosen for events of type {kind.type}")
    trigger.transport.pubsub.ClearField("subscription")  # It is told, and not asked for.


def complete(trigger: Any) -> None:
    """Check it, and set what nobody has said. Raises `RpcError`."""
    kind, _ = filters.read(trigger.event_filters)
    if trigger.channel:
        raise RpcError(Code.UNIMPLEMENTED, "fogbank does not serve channels of third-party events (trigger.channel).")
    _complete_destination(trigger)
    if len(trigger.labels) > _LABELS_MAX:
        raise invalid(f"trigger.labels has more than {_LABELS_MAX} entries")
    if trigger.retry_policy.max_attempts not in _ATTEMPTS:
        raise invalid("trigger.retry_policy.max_attempts must be 1 where it is set")
    if not trigger.event_data_content_type:
        # Functions read documents as protocol buffers; "application/json" is what holds elsewhere.
        to_function = trigger.destination.WhichOneof("descriptor") == "cloud_function"
        trigger.event_data_content_type = kind.content_types[0] if to_function else catalog.JSON
    if trigger.event_data_content_type not in kind.content_types:
        told = f'"{trigger.event_data_content_type[:256]}" is not supported for events of type {kind.type}'
        raise invalid(f"trigger.event_data_content_type {told}")


def _complete_destination(trigger: Any) -> None:
    destination = trigger.destination
    kind = destination.WhichOneof("descriptor")
    if kind is None:
        raise invalid("missing trigger.destination")
    if kind in ("gke", "workflow") or destination.network_config.network_attachment:
        told = "network_config" if kind not in ("gke", "workflow") else kind
        raise RpcError(Code.UNIMPLEMENTED, f"fogbank does not serve trigger.destination.{told}.")
    if kind == "http_endpoint":
        parts = urlsplit(destination.http_endpoint.uri)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise invalid(f'invalid trigger.destination.http_endpoint.uri "{destination.http_endpoint.uri[:512]}"')
    run = destination.cloud_run
    if kind == "cloud_run" and not (_NAME.fullmatch(run.service) and _NAME.fullmatch(run.region)):
        raise invalid("trigger.destination.cloud_run must name a service and its region")
    if kind == "cloud_run" and not _PATH.fullmatch(run.path):
        raise invalid(f'malformed trigger.destination.cloud_run.path "{run.path[:512]}"')
    if kind == "cloud_function" and not _FUNCTION.fullmatch(destination.cloud_function):
        raise invalid(f'malformed trigger.destination.cloud_function "{destination.cloud_function[:512]}"')


def changed(old: Any, request: Any) -> Any:
    """After an UpdateTrigger. Raises `RpcError`."""
    paths = list(request.update_mask.paths)
    if not paths:  # "If no field mask is provided, all provided fields in the request are updated."
        paths = [field.name for field, _ in request.trigger.ListFields() if field.name in _MUTABLE]
    if paths == ["*"]:
        paths = list(_MUTABLE)
    for path in paths:
        if path.partition(".")[0] not in _MUTABLE:
            raise invalid(f'the field "{path[:256]}" of the update mask cannot be changed')
    made = type(old)()
    made.CopyFrom(old)
    try:
        masks.apply(paths, request.trigger, made)
    except KeyError as error:
        raise invalid(f"the update mask names {error}, which is no field of a trigger") from error
    if filters.read(made.event_filters)[0].type != filters.read(old.event_filters)[0].type:
        raise invalid("the type of a trigger's events cannot be changed")
    return made
