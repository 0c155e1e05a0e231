"""From a request to what a stack is to be: the template found, parsed, transformed and checked."""

from __future__ import annotations

import asyncio
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fogbank.aws.service import Call, ServiceError
from fogbank.aws.stacks import include, plan, transforms
from fogbank.aws.stacks.intrinsics import Scope
from fogbank.aws.stacks.records import Stack, Wanted
from fogbank.aws.stacks.resource import find
from fogbank.aws.stacks.template import TemplateError, parse
from fogbank.aws.stacks.values import pseudo

if TYPE_CHECKING:
    from fogbank.aws.service import House

_BODY_BYTES_MAX, _URL_BYTES_MAX = 51_200, 1_048_576  # CloudFormation quotas: "Template body size".
_STORED_AT_ONCE = 10  # SSM, GetParameters.
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
        return await fetch(house, call, request["TemplateURL"])
    if request.get("UsePreviousTemplate") and before is not None and before.current is not None:
        return before.current.body
    raise refused("Either Template URL or Template Body must be specified.")


async def fetch(house: House, call: Call, url: str) -> str:
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
    return await _text(answer)


async def _text(answer: dict[str, Any]) -> str:
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
    """Raises `ServiceError`, or `TemplateError` where it is the transform that failed, or what it has made."""
    _refuse_what_is_not_served(request)
    try:
        document = parse(text)
        values = plan.parameters(document, given_parameters(request, before))
    except TemplateError as error:
        raise refused(str(error)) from error
    stored = await _stored(house, call, plan.stored_parameters(document, values))
    capabilities = request.get("Capabilities", [])
    names = transforms.names(document)
    if names and not macros_allowed and "CAPABILITY_AUTO_EXPAND" not in capabilities:
        raise ServiceError("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_AUTO_EXPAND]")
    processed = await _processed(house, call, document, values | stored) if names else document
    place = before or Stack("", str(request["StackName"]), call.account, call.region, "", 0)
    try:
        values = plan.parameters(processed, values)
        plan.check(processed, lambda name: find(house.resource_types, name) is not None)
        plan.check_chosen(processed, _static(processed, values | stored, place))
    except TemplateError as error:
        if names:  # What a transform has made is looked at after the request was taken.
            raise
        raise refused(str(error)) from error
    _check_types(before, processed)
    _check_capabilities(processed, capabilities)
    _check_resource_types(processed, request.get("ResourceTypes"))
    declared = processed.get("Parameters", {}) or {}
    return Wanted(
        body=text, template=processed, parameters=values, capabilities=list(capabilities), fetched=stored,
        tags={tag["Key"]: tag["Value"] for tag in request.get("Tags", [])},
        disable_rollback=bool(request.get("DisableRollback")) or request.get("OnFailure") == "DO_NOTHING",
        hidden=[name for name, facts in declared.items() if str(facts.get("NoEcho", "")).lower() == "true"],
        on_failure=request.get("OnFailure", request.get("OnStackFailure", "ROLLBACK")),
        timeout_ms=int(request.get("TimeoutInMinutes", 0)) * 60_000,
    )  # fmt: skip


def _refuse_what_is_not_served(request: dict[str, Any]) -> None:
    """Rather an error now than a stack that silently does less than it was asked to."""
    if request.get("NotificationARNs"):
        raise refused("Notifications of stack events (NotificationARNs) are not served here.")
    if request.get("RollbackConfiguration", {}).get("RollbackTriggers"):
        raise refused("Rollback triggers (RollbackConfiguration) are not served here.")
    if request.get("OnFailure") and "DisableRollback" in request:
        raise refused("You can specify either DisableRollback or OnFailure, but not both.")


async def _stored(house: House, call: Call, names: dict[str, str]) -> dict[str, str]:
    """The values of parameters that name one in the Parameter Store."""
    if not names:
        return {}
    ask = house.caller(call.account, call.region, call.principal)
    wanted = sorted(set(names.values()))
    found: dict[str, str] = {}
    why = ""
    for at in range(0, len(wanted), _STORED_AT_ONCE):
        try:
            answer = await ask("ssm", "GetParameters", Names=wanted[at : at + _STORED_AT_ONCE])
        except ServiceError as error:
            why = f" {error.message}"
            continue
        found |= {one["Name"]: one["Value"] for one in answer.get("Parameters", [])}
    missing = [name for name in wanted if name not in found]
    if missing:
        raise refused(f"Unable to fetch parameters [{','.join(missing)}] from parameter store for this account.{why}")
    return {parameter: found[name] for parameter, name in names.items()}


async def _processed(house: House, call: Call, document: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    async def piece(location: str) -> str:
        try:
            return await fetch(house, call, location)
        except ServiceError as error:
            raise TemplateError(f"Transform AWS::Include failed with: {error.message}") from error

    place = Stack("", "", call.account, call.region, "", 0)
    document = await include.expand(document, _static(document, values, place), piece)
    return await asyncio.to_thread(transforms.apply, document, dict(values), call.region)


def _static(template: dict[str, Any], values: dict[str, str], stack: Stack) -> Scope:
    """What is known before anything is there."""

    def unknown(name: str, *_: str) -> Any:
        raise TemplateError(f"Template error: {name} is not known before the stack is there.")

    return Scope(
        parameters={**plan.parameter_values(template, values), **pseudo(stack)},
        conditions=template.get("Conditions") or {}, mappings=template.get("Mappings") or {},
        resource=unknown, attribute=unknown, exported=unknown,
    )  # fmt: skip


def _check_types(before: Stack | None, template: dict[str, Any]) -> None:
    """UpdateStack: a resource of another type needs another logical id."""
    had = (before.current.template.get("Resources") or {}) if before and before.current else {}
    changed = [n for n, one in template["Resources"].items() if n in had and had[n]["Type"] != one["Type"]]
    if changed:
        raise refused(f"Update of resource type is not permitted. The new template modifies resource type of the following resources: [{', '.join(changed)}]")  # fmt: skip  # noqa: E501


def _check_capabilities(template: dict[str, Any], given: list[str]) -> None:
    needed = plan.needed_capability(template)
    accepted = {"CAPABILITY_NAMED_IAM", *([] if needed == "CAPABILITY_NAMED_IAM" else ["CAPABILITY_IAM"])}
    if needed and not accepted & set(given):
        raise ServiceError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")


def _check_resource_types(template: dict[str, Any], allowed: list[str] | None) -> None:
    """ResourceTypes: "AWS::*", "Custom::*", "AWS::service::*" or a type."""
    if allowed is None:
        return
    used = sorted({one["Type"] for one in template["Resources"].values()})
    refused_types = [name for name in used if not any(fnmatchcase(name, pattern) for pattern in allowed)]
    if refused_types:
        raise refused(f"Resource type {', '.join(refused_types)} is not allowed by parameter ResourceTypes {allowed}")
