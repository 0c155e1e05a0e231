"""Of google.devtools.cloudbuild.v1.CloudBuild: the builds that functions were made by, and whose account makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol import paging
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.functions import metadata, names
from fogbank.gcp.services.functions.state import BUILDS, FUNCTIONS, Build

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_BUILD = Package("google.devtools.cloudbuild.v1")
_PAGE_MAX = 1000


class Builds(Service):
    service = "google.devtools.cloudbuild.v1.CloudBuild"

    def get_default_service_account(self, tx: Tx, call: Call, request: Any) -> Any:
        """ "The default service account": Compute Engine's, since 2024."""
        project = request.name.split("/")[1] if "/" in request.name else ""
        account = projects.compute_account(project)
        return _BUILD.DefaultServiceAccount(
            name=request.name, service_account_email=f"projects/{project}/serviceAccounts/{account}"
        )

    def get_build(self, tx: Tx, call: Call, request: Any) -> Any:
        """By its name, or in any region by its id."""
        parts = request.name.split("/")
        if len(parts) == 6:
            project, region, own = _project(tx, parts[1]), parts[3], parts[5]
            found = BUILDS.get(tx, project, region, own)
        else:
            project, own = _project(tx, request.project_id), request.id
            found = next((build for _, build in BUILDS.scan(tx, project) if build.id == own), None)
        if found is None:
            raise RpcError(Code.NOT_FOUND, "Requested entity was not found.")
        return _told(found)

    def list_builds(self, tx: Tx, call: Call, request: Any) -> Any:
        if request.filter:
            raise RpcError(Code.UNIMPLEMENTED, "fogbank lists builds without a filter only.")
        parts = request.parent.split("/")
        project = _project(tx, parts[1] if len(parts) == 4 else request.project_id)
        region = parts[3] if len(parts) == 4 else "global"
        rows, token = paging.page(
            tx, BUILDS, project, region, size=request.page_size, token=request.page_token, largest=_PAGE_MAX
        )
        return _BUILD.ListBuildsResponse(builds=[_told(build) for _, build in rows], next_page_token=token)


def _project(tx: Tx, named: str) -> str:
    """Builds are named by a project's number; ours are known by their ids."""
    if not named.isdigit():
        return named
    found = {str(key[2]) for key, _ in FUNCTIONS.scan(tx)}
    return next((project for project in sorted(found) if projects.number(project) == named), named)


def _told(build: Build) -> Any:
    at = names.read(build.function)
    status = _BUILD.Build.Status
    told = _BUILD.Build(
        id=build.id, project_id=at.project, status=status.Value("SUCCESS" if build.succeeded else "FAILURE"),
        name=f"projects/{projects.number(at.project)}/locations/{at.location}/builds/{build.id}",
        status_detail="" if build.succeeded else build.log[-1000:], log_url=metadata.logs_url(at, build.id),
    )  # fmt: skip
    told.create_time.FromMilliseconds(build.begun_ms)
    told.start_time.FromMilliseconds(build.begun_ms)
    told.finish_time.FromMilliseconds(build.ended_ms)
    told.tags.append(f"service_{at.id}")
    return told
