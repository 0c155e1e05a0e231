"""Buckets, views and sinks as every project has them from its beginning on. None can be made; nothing is routed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.logging import names
from fogbank.gcp.services.logging.entries import LOGGING

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_DAYS = {"_Default": 30, "_Required": 400}
_ACTIVE = 1  # LifecycleState.
_AUDIT = 'LOG_ID("cloudaudit.googleapis.com/activity") OR LOG_ID("cloudaudit.googleapis.com/system_event")'
_BUCKET = re.compile(r"(.+)/locations/([^/]+)/buckets/([^/]+)")
_VIEWS = {"_AllLogs": "", "_Default": 'NOT LOG_ID("cloudaudit.googleapis.com/data_access")'}


class Config(Service):
    service = "google.logging.v2.ConfigServiceV2"

    def list_buckets(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "`-` as the location lists those of all": all of them are global."""
        parent, _, location = request.parent.partition("/locations/")
        names.owner(tx, parent)
        buckets = [_bucket(parent, bucket_id) for bucket_id in sorted(_DAYS)] if location in ("global", "-") else []
        return LOGGING.ListBucketsResponse(buckets=buckets)

    def get_bucket(self, tx: Tx, call: Call, request: Any) -> Any:
        found = _BUCKET.fullmatch(request.name)
        if found is None or found[2] != "global" or found[3] not in _DAYS:
            raise RpcError(Code.NOT_FOUND, f"Bucket {request.name[:512]} does not exist")
        names.owner(tx, found[1])
        return _bucket(found[1], found[3])

    def list_views(self, tx: Tx, call: Call, request: Any) -> Any:
        self.get_bucket(tx, call, LOGGING.GetBucketRequest(name=request.parent))
        views = [
            LOGGING.LogView(name=f"{request.parent}/views/{view}", filter=text)
            for view, text in _VIEWS.items()
            if view == "_AllLogs" or request.parent.endswith("/_Default")
        ]
        return LOGGING.ListViewsResponse(views=views)

    def list_sinks(self, tx: Tx, call: Call, request: Any) -> Any:
        names.owner(tx, request.parent)
        return LOGGING.ListSinksResponse(sinks=[_sink(request.parent, sink) for sink in sorted(_DAYS)])

    def get_sink(self, tx: Tx, call: Call, request: Any) -> Any:
        parent, _, sink = request.sink_name.partition("/sinks/")
        names.owner(tx, parent)
        if sink not in _DAYS:
            raise RpcError(Code.NOT_FOUND, f"Sink {sink[:128]} does not exist")
        return _sink(parent, sink)

    def list_exclusions(self, tx: Tx, call: Call, request: Any) -> Any:
        names.owner(tx, request.parent)
        return LOGGING.ListExclusionsResponse()


def _bucket(parent: str, bucket_id: str) -> Any:
    return LOGGING.LogBucket(
        name=f"{parent}/locations/global/buckets/{bucket_id}", retention_days=_DAYS[bucket_id],
        lifecycle_state=_ACTIVE, locked=bucket_id == "_Required",
        description="Audit bucket" if bucket_id == "_Required" else "Default bucket",
    )  # fmt: skip


def _sink(parent: str, sink: str) -> Any:
    return LOGGING.LogSink(
        name=sink, destination=f"logging.googleapis.com/{parent}/locations/global/buckets/{sink}",
        filter=_AUDIT if sink == "_Required" else "",
    )  # fmt: skip
