"""Integrations: what a method does with a request. Served: a Lambda function as proxy, and a mock."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.services.apigateway.state import bad

if TYPE_CHECKING:
    from collections.abc import Mapping

_FUNCTION = re.compile(r"arn:aws:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/(?P<arn>.+)/invocations")
_SERVED = ("AWS_PROXY", "MOCK")
_TIMEOUT_MAX_MS = 29_000  # API Gateway quotas: "Integration timeout".


def check(given: Mapping[str, Any]) -> None:
    """Raises BadRequestException for what is not served, naming it."""
    kind = given.get("type", "")
    if kind not in _SERVED:
        raise bad(f"Integrations of type {kind or '(none)'} are not served here; AWS_PROXY and MOCK are.")
    if kind == "AWS_PROXY" and _FUNCTION.fullmatch(str(given.get("uri", ""))) is None:
        raise bad(
            "Integrations of type AWS_PROXY currently only supports Lambda function and Firehose stream invocations."
        )
    for template in (given.get("requestTemplates") or {}).values():
        _check_template(template)
    for response in (given.get("integrationResponses") or {}).values():
        for template in (response.get("responseTemplates") or {}).values():
            _check_template(template)
    timeout_ms = given.get("timeoutInMillis", _TIMEOUT_MAX_MS)
    if not 50 <= timeout_ms <= _TIMEOUT_MAX_MS:
        raise bad("Timeout should be between 50 ms and 29000 ms")


def _check_template(template: str | None) -> None:
    """A template without directives or variables is its own output; others would need the template language."""
    text = template or ""
    if re.search(r"#(set|if|foreach|else|end|stop|macro)\b|\$[!{a-zA-Z]", text):
        raise bad("Mapping templates with variables or directives are not served here.")


def from_extension(given: Mapping[str, Any]) -> dict[str, Any]:
    """x-amazon-apigateway-integration as the API's Integration structure."""
    made: dict[str, Any] = {
        "type": str(given.get("type", "")).upper().replace("HTTP-PROXY", "HTTP_PROXY"),
        "httpMethod": given.get("httpMethod"),
        "uri": given.get("uri"),
        "timeoutInMillis": given.get("timeoutInMillis", _TIMEOUT_MAX_MS),
        "passthroughBehavior": str(given.get("passthroughBehavior", "when_no_match")).upper(),
        "requestTemplates": given.get("requestTemplates"),
        "requestParameters": given.get("requestParameters"),
        "contentHandling": given.get("contentHandling"),
        "credentials": given.get("credentials"),
        "integrationResponses": {
            str(facts.get("statusCode")): {
                "statusCode": str(facts.get("statusCode")),
                "responseParameters": facts.get("responseParameters") or {},
                "responseTemplates": facts.get("responseTemplates") or {},
                **({} if pattern == "default" else {"selectionPattern": pattern}),
            }
            for pattern, facts in (given.get("responses") or {}).items()
        },
    }
    made = {name: value for name, value in made.items() if value is not None}
    check(made)
    return made


def function_arn(integration: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    """Of an AWS_PROXY integration, with stage variables put in."""
    found = _FUNCTION.fullmatch(str(integration["uri"]))
    assert found is not None
    return re.sub(r"\$\{stageVariables\.(\w+)\}", lambda name: variables.get(name[1], ""), found["arn"])


def mock(integration: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], str]:
    """What a MOCK answers: the request template names a status, and the response for that status is given."""
    template = next(iter((integration.get("requestTemplates") or {}).values()), "") or ""
    try:
        wanted = int(orjson.loads(_relaxed(template))["statusCode"])
    except (ValueError, KeyError, TypeError):
        return 500, [], '{"message": "Internal server error"}'
    responses = integration.get("integrationResponses") or {}
    fitting = [r for r in responses.values() if re.fullmatch(r.get("selectionPattern", ""), str(wanted))]
    default = [r for r in responses.values() if not r.get("selectionPattern")]
    chosen = next(iter([*fitting, *default]), None)
    if chosen is None:
        return 500, [], '{"message": "Internal server error"}'
    headers = [
        (target.removeprefix("method.response.header."), source[1:-1])
        for target, source in (chosen.get("responseParameters") or {}).items()
        if target.startswith("method.response.header.") and source[:1] == source[-1:] == "'"
    ]
    template = next(iter((chosen.get("responseTemplates") or {}).items()), ("application/json", ""))
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", template[0]))
    return int(chosen["statusCode"]), headers, template[1] or ""


def _relaxed(template: str) -> str:
    """SAM's own template has neither quotes nor the strictness of JSON around its only key."""
    return re.sub(r"([{,]\s*)(\w+)\s*:", r'\1"\2":', template.strip())
