"""Request validators: what a method asks of a request before its integration is bothered.

API Gateway Developer Guide, "Request validation for REST APIs in API Gateway". Loaded only where an API has one: the
library of JSON schemas takes a tenth of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import orjson
from jsonschema import Draft4Validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.services.apigateway.state import Api
    from fogbank.kernel.gateway.messages import Request


def problem(api: Api, method: Mapping[str, Any], request: Request, labels: Mapping[str, str]) -> tuple[str, str] | None:
    """The gateway response to give and its message, if the request is not what the method asks for."""
    wanted = method["validator"]
    if wanted.get("validateRequestParameters"):
        missing = _missing(method.get("requestParameters") or {}, request, labels)
        if missing:
            return "BAD_REQUEST_PARAMETERS", f"Missing required request parameters: [{', '.join(missing)}]"
    if wanted.get("validateRequestBody") and "bodySchema" in method and not _fits(api, method["bodySchema"], request):
        return "BAD_REQUEST_BODY", "Invalid request body"
    return None


def _missing(parameters: Mapping[str, bool], request: Request, labels: Mapping[str, str]) -> list[str]:
    query = parse_qs(request.query, keep_blank_values=True)
    found = []
    for source, required in parameters.items():
        place, _, name = source.removeprefix("method.request.").partition(".")
        there = {
            "querystring": any(query.get(name, [])), "header": bool(request.headers.get(name.lower())),
            "path": bool(labels.get(name)),
        }  # fmt: skip
        if required and not there[place]:
            found.append(name)
    return found


def _fits(api: Api, schema: Mapping[str, Any], request: Request) -> bool:
    """Models are JSON schemas (draft 4), which may refer to each other as OpenAPI 2 or 3 has it."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        return True  # No model is for it.
    try:
        body = orjson.loads(bytes(request.body))
    except orjson.JSONDecodeError:
        return False
    whole = {**schema, "definitions": api.models, "components": {"schemas": api.models}}
    return bool(Draft4Validator(whole).is_valid(body))
