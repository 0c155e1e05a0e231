"""What API Gateway remembers: APIs with their parts, deployments (an API as it was), stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import Call, ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

CHANGED = "apigateway.changed"  # The signal; its key is (API id,).


@dataclass(frozen=True, slots=True)
class Resource:
    id: str
    parent: str  # Its id; "" for the root.
    part: str  # The last part of its path: "items", "{id}".
    path: str
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)  # By HTTP method: the API's Method structure.


@dataclass(frozen=True, slots=True)
class Authorizer:
    id: str
    facts: dict[str, Any]  # The API's Authorizer structure.


@dataclass(frozen=True, slots=True)
class Api:
    id: str
    account: str
    region: str
    name: str
    created_ms: int
    description: str = ""
    version: str = ""
    binary_types: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    endpoint: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)  # By id.
    authorizers: dict[str, Authorizer] = field(default_factory=dict)
    gateway_responses: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)  # policy, apiKeySource, minimumCompressionSize, …


@dataclass(frozen=True, slots=True)
class Deployment:
    id: str
    created_ms: int
    description: str
    api: Api  # As it was.


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    deployment: str
    created_ms: int
    modified_ms: int
    description: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)  # methodSettings, tracingEnabled, cacheClusterEnabled, …
    tags: dict[str, str] = field(default_factory=dict)


APIS = Records(Api, "apigateway", "api")  # (id,)
DEPLOYMENTS = Records(Deployment, "apigateway", "deployment")  # (API id, id)
STAGES = Records(Stage, "apigateway", "stage")  # (API id, name)


def api(tx: Tx, call: Call, api_id: str) -> Api:
    found = APIS.get(tx, api_id)
    if found is None or (found.account, found.region) != (call.account, call.region):
        raise missing(f"Invalid API identifier specified {call.account}:{api_id}")
    return found


def put(tx: Tx, changed: Api) -> None:
    APIS.put(tx, changed.id, row=changed)


def stage(tx: Tx, api_id: str, name: str) -> Stage:
    found = STAGES.get(tx, api_id, name)
    if found is None:
        raise missing("Invalid stage identifier specified")
    return found


def put_stage(tx: Tx, api_id: str, changed: Stage) -> None:
    STAGES.put(tx, api_id, changed.name, row=changed)
    tx.emit(CHANGED, (api_id,))


def resource(found: Api, resource_id: str) -> Resource:
    if resource_id not in found.resources:
        raise missing("Invalid Resource identifier specified")
    return found.resources[resource_id]


def method(found: Api, resource_id: str, http_method: str) -> dict[str, Any]:
    known = resource(found, resource_id).methods
    if http_method not in known:
        raise missing("Invalid Method identifier specified")
    return known[http_method]


def missing(message: str) -> ServiceError:
    return ServiceError("NotFoundException", message, status=404)


def bad(message: str) -> ServiceError:
    return ServiceError("BadRequestException", message)
