"""google.devtools.artifactregistry.v1.ArtifactRegistry: `gcf-artifacts` of each region, which holds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import regions
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Call, Code, RpcError, Service

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_REGISTRY = Package("google.devtools.artifactregistry.v1")
_OWN = "gcf-artifacts"


class Repositories(Service):
    service = "google.devtools.artifactregistry.v1.ArtifactRegistry"

    def get_repository(self, tx: Tx, call: Call, request: Any) -> Any:
        parent, _, own = request.name.rpartition("/repositories/")
        if own != _OWN or parent.rpartition("/")[2] not in regions.ALL:
            raise RpcError(Code.NOT_FOUND, "Requested entity was not found.")
        return _repository(parent)

    def list_repositories(self, tx: Tx, call: Call, request: Any) -> Any:
        known = request.parent.rpartition("/")[2] in regions.ALL
        return _REGISTRY.ListRepositoriesResponse(repositories=[_repository(request.parent)] if known else [])


def _repository(parent: str) -> Any:
    return _REGISTRY.Repository(
        name=f"{parent}/repositories/{_OWN}", format=_REGISTRY.Repository.Format.Value("DOCKER"),
        mode=_REGISTRY.Repository.Mode.Value("STANDARD_REPOSITORY"),
        description="This repository is created and used by Cloud Functions for storing function docker images.",
        labels={"goog-managed-by": "cloudfunctions"},
    )  # fmt: skip
