"""google.api.serviceusage.v1.ServiceUsage. What is disabled is remembered and shown, and answers all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol import longrunning
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.kernel.store import Tx

_USAGE = Package("google.api.serviceusage.v1")
_DISABLED = Records(bool, "serviceusage", "disabled")  # (project, service)
_KNOWN = tuple(
    f"{name}.googleapis.com"
    for name in (
        "artifactregistry", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "cloudtasks",
        "compute", "eventarc", "firestore", "iam", "iamcredentials", "logging", "pubsub", "run", "secretmanager",
        "serviceusage", "storage", "storage-api", "storage-component",
    )
)  # fmt: skip
_BATCH_MAX = {"enable": 20, "get": 30}


class ServiceUsage(Service):
    service = "google.api.serviceusage.v1.ServiceUsage"

    def get_service(self, tx: Tx, call: Call, request: Any) -> Any:
        return _told(tx, request.name)

    def list_services(self, tx: Tx, call: Call, request: Any) -> Any:
        wanted = request.filter.strip()
        if wanted not in ("", "state:ENABLED", "state:DISABLED"):
            raise RpcError(
                Code.INVALID_ARGUMENT, f"Invalid filter: {wanted[:128]}. It is state:ENABLED or state:DISABLED."
            )
        found = [_told(tx, f"{request.parent}/services/{name}") for name in _KNOWN]
        states = _USAGE.State
        kept = [one for one in found if not wanted or states.Name(one.state) == wanted.partition(":")[2]]
        return _USAGE.ListServicesResponse(services=kept)

    def batch_get_services(self, tx: Tx, call: Call, request: Any) -> Any:
        if len(request.names) > _BATCH_MAX["get"]:
            raise RpcError(Code.INVALID_ARGUMENT, f"At most {_BATCH_MAX['get']} services can be asked for at once.")
        return _USAGE.BatchGetServicesResponse(services=[_told(tx, name) for name in request.names])

    def enable_service(self, tx: Tx, call: Call, request: Any) -> Any:
        _switch(tx, request.name, disabled=False)
        return _done(tx, call, [request.name], _USAGE.EnableServiceResponse(service=_told(tx, request.name)))

    def disable_service(self, tx: Tx, call: Call, request: Any) -> Any:
        _switch(tx, request.name, disabled=True)
        return _done(tx, call, [request.name], _USAGE.DisableServiceResponse(service=_told(tx, request.name)))

    def batch_enable_services(self, tx: Tx, call: Call, request: Any) -> Any:
        if not 0 < len(request.service_ids) <= _BATCH_MAX["enable"]:
            raise RpcError(
                Code.INVALID_ARGUMENT, f"Between 1 and {_BATCH_MAX['enable']} services can be enabled at once."
            )
        names = [f"{request.parent}/services/{service_id}" for service_id in request.service_ids]
        for name in names:
            _switch(tx, name, disabled=False)
        answer = _USAGE.BatchEnableServicesResponse(services=[_told(tx, name) for name in names])
        return _done(tx, call, names, answer)


def _read(name: str) -> tuple[str, str]:
    """Project and service. Raises `RpcError`."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "projects" or parts[2] != "services" or not parts[1] or not parts[3]:
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid service name: {name[:256]}")
    if parts[3] not in _KNOWN:
        told = f"Not found or permission denied for service(s): {parts[3][:128]}."
        raise RpcError(Code.PERMISSION_DENIED, told)
    return parts[1], parts[3]


def _told(tx: Tx, name: str) -> Any:
    project, service = _read(name)
    state = "DISABLED" if _DISABLED.get(tx, project, service) else "ENABLED"
    number = projects.number(project)
    told = _USAGE.Service(
        name=f"projects/{number}/services/{service}", parent=f"projects/{number}", state=_USAGE.State.Value(state)
    )
    told.config.name = service
    return told


def _switch(tx: Tx, name: str, *, disabled: bool) -> None:
    project, service = _read(name)
    if disabled:
        _DISABLED.put(tx, project, service, row=True)
    else:
        _DISABLED.delete(tx, project, service)


def _done(tx: Tx, call: Call, resources: Iterable[str], answer: Any) -> Any:
    metadata = _USAGE.OperationMetadata(resource_names=resources)
    name = f"operations/acat.p2-{call.new_id()}"
    return longrunning.done(tx, name, answer, metadata, now_ms=call.now_ms)
