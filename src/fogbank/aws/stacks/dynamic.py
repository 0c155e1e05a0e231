"""Dynamic references: values that a template names and does not hold, fetched when a resource is made of them.

CloudFormation User Guide, "Get values stored in other services using dynamic references". What is fetched goes to the
resource only; records and events keep the reference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from fogbank.aws.service import Ask

_REFERENCE = re.compile(r"\{\{resolve:([a-z-]+):([^{}]*)\}\}")


async def fetched(value: Any, ask: Ask) -> Any:
    """The value with every reference in it replaced. Raises `ServiceError` where one cannot be."""
    if isinstance(value, dict):
        return {name: await fetched(item, ask) for name, item in value.items()}
    if isinstance(value, list):
        return [await fetched(item, ask) for item in value]
    if not isinstance(value, str) or "{{resolve:" not in value:
        return value
    pieces, at = [], 0
    for found in _REFERENCE.finditer(value):
        pieces += [value[at : found.start()], await _fetch(found[1], found[2], ask)]
        at = found.end()
    return "".join([*pieces, value[at:]])


async def _fetch(service: str, reference: str, ask: Ask) -> str:
    if service != "secretsmanager":
        told = f"Dynamic references to {service} are not served by fogbank; secretsmanager is."
        raise ServiceError("ValidationError", told)
    secret_id, rest = reference, ""
    if reference.startswith("arn:"):  # An ARN has colons of its own: seven parts are the id.
        parts = reference.split(":")
        secret_id, rest = ":".join(parts[:7]), ":".join(parts[7:])
    else:
        secret_id, _, rest = reference.partition(":")
    kind, key, stage, version = (*rest.split(":"), "", "", "", "")[:4]
    if kind not in ("", "SecretString"):
        raise ServiceError(
            "ValidationError", f"Incorrect format is used in the reference {reference}: use SecretString."
        )
    asked = {name: given for name, given in (("VersionStage", stage), ("VersionId", version)) if given}
    value = (await ask("secretsmanager", "GetSecretValue", SecretId=secret_id, **asked)).get("SecretString")
    if value is None:
        raise ServiceError("ValidationError", f"The secret {secret_id} has no SecretString.")
    if not key:
        return str(value)
    try:
        return str(orjson.loads(value)[key])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        told = f"Could not find a value associated with JSONKey {key} in SecretString of {secret_id}"
        raise ServiceError("ValidationError", told) from error
