"""Secrets that a function is given: read from Secret Manager, as its customer, when a version is made ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import RpcError

if TYPE_CHECKING:
    from fogbank.gcp.service import House

_SECRETS = Package("google.cloud.secretmanager.v1")


async def read(house: House, project: str, settings: Any) -> tuple[dict[str, str], dict[str, bytes]]:
    """Variables, and files by their absolute paths. Raises `RpcError`."""
    told = settings if hasattr(settings, "secret_volumes") else settings.service_config
    variables: dict[str, str] = {}
    for variable in told.secret_environment_variables:
        content = await _access(house, project, variable.project_id, variable.secret, variable.version)
        variables[variable.key] = content.decode(errors="replace")
    files: dict[str, bytes] = {}
    for volume in told.secret_volumes:
        mounted = [(one.path, one.version) for one in volume.versions] or [(volume.secret, "latest")]
        for path, version in mounted:
            content = await _access(house, project, volume.project_id, volume.secret, version)
            files[f"{volume.mount_path.rstrip('/')}/{path.lstrip('/')}"] = content
    return variables, files


async def _access(house: House, project: str, owner: str, secret: str, version: str) -> bytes:
    """A project is named by its id or by its number; ours are known by their ids."""
    if not owner or owner == projects.number(project):
        owner = project
    name = f"projects/{owner}/secrets/{secret}/versions/{version or 'latest'}"
    request = _SECRETS.AccessSecretVersionRequest(name=name)
    try:
        answer = await house.ask("google.cloud.secretmanager.v1.SecretManagerService", "AccessSecretVersion", request)
    except RpcError as error:
        raise RpcError(error.code, f"Secret {name} cannot be read: {error.message}") from error
    content: bytes = answer.payload.data
    return content
