"""Triggers: made, described, listed, changed, deleted; each with its transport, in one transaction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from fogbank.gcp.protocol import longrunning
from fogbank.gcp.protocol.paging import page
from fogbank.gcp.service import Code, RpcError, Service
from fogbank.gcp.services.eventarc import names, transport, triggers
from fogbank.gcp.services.eventarc.state import EVENTARC, TRIGGERS, Trigger, find

if TYPE_CHECKING:
    from fogbank.gcp.service import Call
    from fogbank.gcp.services.eventarc.names import Name
    from fogbank.kernel.store import Tx

_PAGE_MAX: Final = 1000
_BY_DESTINATION: Final = re.compile(r"destination:(gke|cloud_run|cloud_function|workflow|http_endpoint)")


class Triggers(Service):
    service = "google.cloud.eventarc.v1.Eventarc"

    def create_trigger(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.new_trigger(request.parent, request.trigger_id)
        if TRIGGERS.get(tx, name.project, name.location, name.id, lock=True) is not None:
            raise RpcError(Code.ALREADY_EXISTS, f"Resource '{name}' already exists")
        return self._create(tx, call, name, request.trigger, validate_only=request.validate_only)

    def get_trigger(self, tx: Tx, call: Call, request: Any) -> Any:
        return find(tx, names.trigger(request.name)).settings

    def list_triggers(self, tx: Tx, call: Call, request: Any) -> Any:
        project, location = names.location(request.parent)
        wanted = _BY_DESTINATION.fullmatch(request.filter.replace(" ", "")) if request.filter else None
        if request.filter and wanted is None:
            raise RpcError(Code.UNIMPLEMENTED, "fogbank serves a ListTriggersRequest.filter by destination only.")
        if request.order_by not in ("", "name"):
            raise RpcError(Code.UNIMPLEMENTED, "fogbank lists triggers by name (ListTriggersRequest.order_by).")
        if location == "-":
            rows, token = TRIGGERS.all(tx, project), ""
        else:
            found, token = page(
                tx, TRIGGERS, project, location, size=request.page_size, token=request.page_token, largest=_PAGE_MAX
            )
            rows = [row for _, row in found]
        shown = [row.settings for row in rows]
        if wanted is not None:
            shown = [one for one in shown if one.destination.WhichOneof("descriptor") == wanted[1]]
        return EVENTARC.ListTriggersResponse(triggers=shown, next_page_token=token)

    def update_trigger(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.trigger(request.trigger.name)
        row = TRIGGERS.get(tx, name.project, name.location, name.id, lock=True)
        if row is None and request.allow_missing:
            return self._create(tx, call, name, request.trigger, validate_only=request.validate_only)
        row = row or find(tx, name)
        old = row.settings
        _check_etag(old, request.trigger.etag)
        told = triggers.changed(old, request)
        triggers.complete(told)
        told.update_time.FromMilliseconds(call.now_ms)
        told.etag = call.new_id()
        if not request.validate_only:
            transport.change(tx, self.house, name, told)
            row = replace(row, told=told.SerializeToString())
            TRIGGERS.put(tx, name.project, name.location, name.id, row=row)
        return _done(tx, call, name, "update", told)

    def delete_trigger(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.trigger(request.name)
        row = TRIGGERS.get(tx, name.project, name.location, name.id, lock=True)
        if row is None and request.allow_missing:
            return _done(tx, call, name, "delete", EVENTARC.Trigger(name=str(name)))
        row = row or find(tx, name)
        _check_etag(row.settings, request.etag)
        if not request.validate_only:
            transport.close(tx, self.house, name, row)
            TRIGGERS.delete(tx, name.project, name.location, name.id)
        return _done(tx, call, name, "delete", row.settings)

    def _create(self, tx: Tx, call: Call, name: Name, given: Any, *, validate_only: bool) -> Any:
        told = EVENTARC.Trigger()
        told.CopyFrom(given)
        for output in ("conditions", "satisfies_pzs"):
            told.ClearField(output)
        told.name, told.uid, told.etag = str(name), call.new_id(), call.new_id()
        told.create_time.FromMilliseconds(call.now_ms)
        told.update_time.FromMilliseconds(call.now_ms)
        triggers.check_new(told)
        triggers.complete(told)
        if not validate_only:
            owns = not told.transport.pubsub.topic
            transport.open_(tx, self.house, call, name, told)
            TRIGGERS.put(
                tx, name.project, name.location, name.id, row=Trigger(told.SerializeToString(), owns_topic=owns)
            )
        return _done(tx, call, name, "create", told)


def _check_etag(settings: Any, etag: str) -> None:
    if etag and etag != settings.etag:
        raise RpcError(Code.ABORTED, "The etag provided does not match the current etag of the resource.")


def _done(tx: Tx, call: Call, name: Name, verb: str, told: Any) -> Any:
    operation = f"projects/{name.project}/locations/{name.location}/operations/operation-{call.new_id()}"
    metadata = EVENTARC.OperationMetadata(target=str(name), verb=verb, api_version="v1")
    metadata.create_time.FromMilliseconds(call.now_ms)
    metadata.end_time.FromMilliseconds(call.now_ms)
    return longrunning.done(tx, operation, told, metadata, now_ms=call.now_ms)
