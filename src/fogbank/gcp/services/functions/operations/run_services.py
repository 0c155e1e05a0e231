"""Of google.cloud.run.v2.Services, and of the older API that gcloud speaks: the services that 2nd gen functions are.

A service is here nothing but another face of its function: it is looked at, and its policy is set; what it is follows
from the function.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol import hosts, policies, regions, rest
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.functions import listing, names, quantities, shapes, state
from fogbank.gcp.services.functions.state import ACTIVE, LABELS
from fogbank.kernel.gateway.messages import Request, Response, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.services.functions.state import Function
    from fogbank.kernel.store import Tx

_RUN = Package("google.cloud.run.v2")
_PAGE_MAX = 1000
_KNATIVE = re.compile(
    r"/apis/serving\.knative\.dev/v1/namespaces/(?P<project>[^/]+)/services(?:/(?P<service>[^/?]+))?$"
)


class RunServices(Service):
    service = "google.cloud.run.v2.Services"

    def routes(self) -> Iterable[Route]:
        return (Route(self._knative, path=_KNATIVE),)

    def get_service(self, tx: Tx, call: Call, request: Any) -> Any:
        parts = request.name.split("/")
        if len(parts) != 6 or parts[0::2] != ["projects", "locations", "services"]:
            raise RpcError(Code.INVALID_ARGUMENT, f"Invalid resource name: {request.name[:256]}")
        return _service(_found(tx, parts[1], parts[3], parts[5]), self.house.endpoint())

    def list_services(self, tx: Tx, call: Call, request: Any) -> Any:
        project, location = names.read_parent(request.parent)
        found, token = listing.page(
            tx, project, location, size=request.page_size, token=request.page_token, largest=_PAGE_MAX, accepts=_is_one
        )
        shown = [_service(function, self.house.endpoint()) for function in found]
        return _RUN.ListServicesResponse(services=shown, next_page_token=token)

    get_iam_policy = policies.get_iam_policy
    set_iam_policy = policies.set_iam_policy
    test_iam_permissions = policies.test_iam_permissions

    async def _knative(self, request: Request) -> Response:
        """Regions have hosts of their own there; here a service of that name is looked for in every one."""
        found = _KNATIVE.match(request.path)
        assert found is not None
        try:
            if request.method != "GET":
                raise RpcError(
                    Code.UNIMPLEMENTED, "fogbank makes Cloud Run services of functions only: deploy the function."
                )
            content = await self.house.store.transact(
                self._told, found["project"], found["service"], _region(request.host)
            )
        except RpcError as error:
            return rest.refused(error)
        return rest.told(content)

    def _told(self, tx: Tx, project: str, service: str | None, region: str) -> Any:
        places = (region,) if region else regions.ALL
        if service is None:
            every = [one for one in state.every(tx) if one.at.project == project and one.at.location in places]
            items = [_first(one, self.house.endpoint()) for one in every if _is_one(one)]
            return {"apiVersion": "serving.knative.dev/v1", "kind": "ServiceList", "items": items, "metadata": {}}
        for place in places:
            name = LABELS.get(tx, hosts.labels(project, place, service)[0])
            if name is not None:
                return _first(state.find(tx, name), self.house.endpoint())
        raise _missing(project, region or "-", service)


def _is_one(function: Any) -> bool:
    return bool(function.generation == 2)


def _found(tx: Tx, project: str, region: str, service: str) -> Function:
    name = LABELS.get(tx, hosts.labels(project, region, service)[0])
    if name is None:
        raise _missing(project, region, service)
    return state.find(tx, name)


def _missing(project: str, region: str, service: str) -> RpcError:
    where = f"in region '{region[:64]}' in project '{project[:64]}'"
    return RpcError(Code.NOT_FOUND, f"Resource '{service[:64]}' of kind 'SERVICE' {where} does not exist.")


def _region(host: str) -> str:
    """ "us-central1-run.googleapis.com" → "us-central1"; "" of any other."""
    found = re.fullmatch(r"(.+)-run\.googleapis\.com", host)
    return found[1] if found else ""


def _service(function: Function, endpoint: str) -> Any:
    settings, service = function.second, function.second.service_config
    told = _RUN.Service(
        name=shapes.service_name(function), uid=function.id, uri=shapes.uri(function, endpoint), generation=1,
        observed_generation=1, description=settings.description, ingress=service.ingress_settings,
        labels={**settings.labels, "goog-managed-by": "cloudfunctions"},
    )  # fmt: skip
    told.create_time.FromMilliseconds(function.created_ms)
    told.update_time.FromMilliseconds(function.updated_ms)
    template = told.template
    template.service_account = service.service_account_email
    template.max_instance_request_concurrency = service.max_instance_request_concurrency
    template.timeout.seconds = service.timeout_seconds
    template.scaling.min_instance_count = service.min_instance_count
    template.scaling.max_instance_count = service.max_instance_count
    container = template.containers.add(name="worker")
    container.resources.limits.update({"memory": service.available_memory, "cpu": service.available_cpu})
    for name, value in sorted(service.environment_variables.items()):
        container.env.add(name=name, value=value)
    if function.serving:
        revision = f"{told.name}/revisions/{function.serving.revision}"
        told.latest_created_revision = told.latest_ready_revision = revision
    ready = _RUN.Condition.State.Value("CONDITION_SUCCEEDED" if function.state == ACTIVE else "CONDITION_FAILED")
    told.terminal_condition.type, told.terminal_condition.state = "Ready", ready
    return told


def _first(function: Function, endpoint: str) -> dict[str, Any]:
    """As Knative's API has it."""
    at, service, settings = function.at, function.second.service_config, function.second
    revision = function.serving.revision if function.serving else ""
    created = _time(function)
    limits = {"memory": f"{quantities.megabytes(service.available_memory)}M", "cpu": service.available_cpu}
    variables = [{"name": name, "value": value} for name, value in sorted(service.environment_variables.items())]
    container = {
        "name": "worker",
        "env": variables,
        "resources": {"limits": limits},
        "ports": [{"containerPort": 8080}],
    }
    ready = "True" if function.state == ACTIVE else "Unknown" if function.operation else "False"
    labels = {**settings.labels, "cloud.googleapis.com/location": at.location, "goog-managed-by": "cloudfunctions"}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": function.service, "namespace": projects.number(at.project), "uid": function.id, "generation": 1,
            "labels": labels, "creationTimestamp": created, "selfLink": "", "resourceVersion": "AAAA",
            "annotations": {"cloudfunctions.googleapis.com/function-id": at.id},
        },
        "spec": {
            "template": {
                "metadata": {"name": revision},
                "spec": {
                    "containerConcurrency": service.max_instance_request_concurrency,
                    "timeoutSeconds": service.timeout_seconds,
                    "serviceAccountName": service.service_account_email, "containers": [container],
                },
            },
            "traffic": [{"percent": 100, "latestRevision": True}],
        },
        "status": {
            "observedGeneration": 1, "latestReadyRevisionName": revision, "latestCreatedRevisionName": revision,
            "url": shapes.uri(function, endpoint), "address": {"url": shapes.uri(function, endpoint)},
            "traffic": [{"percent": 100, "latestRevision": True, "revisionName": revision}],
            "conditions": [
                {"type": kind, "status": ready, "lastTransitionTime": created}
                for kind in ("Ready", "ConfigurationsReady", "RoutesReady")
            ],
        },
    }  # fmt: skip


def _time(function: Function) -> str:
    moment: Any = shapes.second(function, "").create_time
    return str(moment.ToJsonString())
