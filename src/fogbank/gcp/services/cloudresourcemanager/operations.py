"""google.cloud.resourcemanager.v3.Projects, and of v1, which tools still speak, what they ask of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol import policies, rest
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.kernel.gateway.messages import Request, Response, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.kernel.store import Tx

_MANAGER = Package("google.cloud.resourcemanager.v3")
_V1 = re.compile(r"/v1/projects(?:/(?P<project>[^/:?]+))?/?$")
_HERE = re.compile(r"(?:cloudresourcemanager\.googleapis\.com)|[^.]*|[\d.]+|\[.*")
_CREATED = "2024-01-01T00:00:00Z"  # Nobody remembers when a project began; it was before everything in it.


class Projects(Service):
    service = "google.cloud.resourcemanager.v3.Projects"

    def routes(self) -> Iterable[Route]:
        return (Route(_answer, host=_HERE, path=_V1),)

    def get_project(self, tx: Tx, call: Call, request: Any) -> Any:
        return _project(request.name.partition("/")[2])

    def search_projects(self, tx: Tx, call: Call, request: Any) -> Any:
        """The one that everything is in where nobody says otherwise."""
        return _MANAGER.SearchProjectsResponse(projects=[_project(projects.DEFAULT)])

    get_iam_policy = policies.get_iam_policy
    set_iam_policy = policies.set_iam_policy
    test_iam_permissions = policies.test_iam_permissions


def _project(project: str) -> Any:
    if not projects.ID.fullmatch(project):
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid project name: {project[:128]}")
    told = _MANAGER.Project(
        name=f"projects/{projects.number(project)}", project_id=project, display_name=project,
        state=_MANAGER.Project.State.Value("ACTIVE"),
    )  # fmt: skip
    told.create_time.FromJsonString(_CREATED)
    return told


async def _answer(request: Request) -> Response:
    """v1: GET of a project, and of all."""
    found = _V1.match(request.path)
    assert found is not None
    if request.method != "GET":
        told = "fogbank makes no projects: each is there once it is named."
        return rest.refused(RpcError(Code.UNIMPLEMENTED, told))
    if found["project"] is None:
        return rest.told({"projects": [_first(projects.DEFAULT)]})
    if not projects.ID.fullmatch(found["project"]):
        return rest.refused(RpcError(Code.INVALID_ARGUMENT, "Request contains an invalid argument."))
    return rest.told(_first(found["project"]))


def _first(project: str) -> dict[str, Any]:
    return {
        "projectNumber": projects.number(project), "projectId": project, "lifecycleState": "ACTIVE", "name": project,
        "createTime": _CREATED,
    }  # fmt: skip
