"""From a request to what a stack is to be: the template found, parsed, transformed and checked."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fogbank.aws.service import Call, ServiceError
from fogbank.aws.stacks import plan, transforms
from fogbank.aws.stacks.records import Stack, Wanted
from fogbank.aws.stacks.template import TemplateError, parse

if TYPE_CHECKING:
    from fogbank.aws.service import House

_BODY_BYTES_MAX, _URL_BYTES_MAX = 51_200, 1_048_576  # CloudFormation quotas: "Template body size".
_S3_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:[.-][a-z0-9-]+)?\.(?:amazonaws\.com|localhost)")


def refused(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)


async def body(house: House, call: Call, request: dict[str, Any], before: Stack | None = None) -> str:
    """TemplateBody, what TemplateURL leads to, or the template that the stack has."""
    if "TemplateBody" in request:
        text = str(request["TemplateBody"])
        if len(text.encode()) > _BODY_BYTES_MAX:
            raise refused(
                f"1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have "
                f"length less than or equal to {_BODY_BYTES_MAX}"
            )
        return text
    if "TemplateURL" in request:
        return await _fetch(house, call, request["TemplateURL"])
    if request.get("UsePreviousTemplate") and before is not None and before.current is not None:
        return before.current.body
    raise refused("Either Template URL or Template Body must be specified.")


async def _fetch(house: House, call: Call, url: str) -> str:
    """From our own S3, at whichever of its addresses."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    found = _S3_HOST.fullmatch(host)
    path = unquote(parts.path.lstrip("/"))
    if parts.scheme == "s3":
        bucket, key = parts.netloc, path
    elif found and found["bucket"]:
        bucket, key = found["bucket"], path
    else:
        bucket, _, key = path.partition("/")
    ask = house.caller(call.account, call.region, call.principal)
    try:
        answer = await ask("s3", "GetObject", Bucket=bucket, Key=key)
    except ServiceError as error:
        raise refused(f"S3 error: {error.message}\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html") from error  # fmt: skip  # noqa: E501
    content = getattr(answer["Body"], "body", answer["Body"])
    raw = bytes(content) if isinstance(content, bytes | memoryview) else await asyncio.to_thread(content.read_bytes)
    if len(raw) > _URL_BYTES_MAX:
        raise refused(f"Template may not exceed {_URL_BYTES_MAX} bytes in size.")
    return raw.decode("utf-8", "replace")


def given_parameters(request: dict[str, Any], before: Stack | None) -> dict[str, str]:
    kept = before.current.parameters if before and before.current else {}
    values = {}
    for one in request.get("Parameters", []):
        name = one["ParameterKey"]
        if one.get("UsePreviousValue"):
            if name not in kept:
                raise refused(f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key not in the previous template")  # fmt: skip  # noqa: E501
            values[name] = kept[name]
        else:
            values[name] = one.get("ParameterValue", "")
    return values


async def wanted(
    house: House, call: Call, text: str, request: dict[str, Any], before: Stack | None, *, macros_allowed: bool = False
) -> Wanted:
    """Raises `ServiceError`, or `TemplateError` where it is the transform that failed."""
    try:
        document = parse(text)
        values = plan.parameters(document, given_parameters(request, before))
    except TemplateError as error:
        raise refused(str(error)) from error
    capabilities = request.get("Capabilities", [])
    names = transforms.names(document)
    if names and not macros_allowed and "CAPABILITY_AUTO_EXPAND" not in capabilities:
        raise ServiceError("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_AUTO_EXPAND]")
    processed = await asyncio.to_thread(transforms.apply, document, dict(values), call.region) if names else document
    try:
        plan.check(processed, lambda name: name in house.resource_types)
    except TemplateError as error:
        raise refused(str(error)) from error
    needed = plan.needed_capability(processed)
    accepted = {"CAPABILITY_NAMED_IAM", *([] if needed == "CAPABILITY_NAMED_IAM" else ["CAPABILITY_IAM"])}
    if needed and not accepted & set(capabilities):
        raise ServiceError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")
    declared = processed.get("Parameters", {}) or {}
    return Wanted(
        body=text, template=processed, parameters=plan.parameters(processed, values), capabilities=list(capabilities),
        tags={tag["Key"]: tag["Value"] for tag in request.get("Tags", [])},
        disable_rollback=bool(request.get("DisableRollback")) or request.get("OnFailure") == "DO_NOTHING",
        hidden=[name for name, facts in declared.items() if str(facts.get("NoEcho", "")).lower() == "true"],
    )  # fmt: skip
