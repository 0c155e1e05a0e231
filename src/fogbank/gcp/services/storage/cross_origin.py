"""CORS: preflights, and what a browser may see of an answer; by a bucket's configuration, or of the JSON API always.

"Cross-origin resource sharing (CORS)" in the manual: the first rule that fits the origin and the method counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.kernel.gateway.messages import Request


def preflight(request: Request, rules: Sequence[dict[str, Any]]) -> Response:
    """200 with nothing said where no rule fits: the browser then refuses."""
    method = request.headers.get("access-control-request-method", "")
    rule = _rule(request, rules, method)
    if rule is None:
        return Response(200)
    wanted = [
        one.strip() for one in request.headers.get("access-control-request-headers", "").split(",") if one.strip()
    ]
    allowed = {name.lower() for name in rule.get("responseHeader", [])}
    if "*" not in allowed and any(name.lower() not in allowed for name in wanted):
        return Response(200)
    headers = [("Access-Control-Allow-Methods", ",".join(rule.get("method", [])))]
    if wanted:
        headers.append(("Access-Control-Allow-Headers", ",".join(wanted)))
    if "maxAgeSeconds" in rule:
        headers.append(("Access-Control-Max-Age", str(rule["maxAgeSeconds"])))
    return Response(200, [*_allowed(request, rule), *headers])


def shared(request: Request, response: Response, rules: Sequence[dict[str, Any]]) -> Response:
    if request.method != "OPTIONS":
        rule = _rule(request, rules, request.method)
        if rule is not None:
            exposed = ", ".join(rule.get("responseHeader", []))
            told = [("Access-Control-Expose-Headers", exposed)] if exposed else []
            response.headers = [*response.headers, *_allowed(request, rule), *told]
    return response


def _rule(request: Request, rules: Sequence[dict[str, Any]], method: str) -> dict[str, Any] | None:
    origin = request.headers.get("origin")
    if origin is None:
        return None
    fitting = (rule for rule in rules if _fits(origin, rule.get("origin", [])))
    return next((rule for rule in fitting if "*" in rule.get("method", []) or method in rule.get("method", [])), None)


def _fits(origin: str, origins: Sequence[str]) -> bool:
    """ "*" is any origin; in the middle of one it is anything."""
    for one in origins:
        before, star, after = one.partition("*")
        if origin == one or (star and origin.startswith(before) and origin.endswith(after)):
            return True
    return False


def _allowed(request: Request, rule: dict[str, Any]) -> list[tuple[str, str]]:
    everybody = "*" in rule.get("origin", [])
    return [("Access-Control-Allow-Origin", "*" if everybody else request.headers["origin"]), ("Vary", "Origin")]


def preflight_for_all(request: Request) -> Response:
    """The JSON API's: "allow CORS" whatever a bucket's configuration says."""
    asked = request.headers
    told = [
        ("Access-Control-Allow-Methods", "DELETE,GET,HEAD,PATCH,POST,PUT"),
        ("Access-Control-Allow-Headers", asked.get("access-control-request-headers", "")),
        ("Access-Control-Max-Age", "3600"),
    ]
    return shared_with_all(request, Response(200, told))


def shared_with_all(request: Request, response: Response) -> Response:
    origin = request.headers.get("origin")
    if origin is not None:
        response.headers = [
            *response.headers, ("Access-Control-Allow-Origin", origin), ("Vary", "Origin"),
            ("Access-Control-Expose-Headers", "Content-Length, Content-Range, ETag, Location, Range"),
        ]  # fmt: skip
    return response
