"""A queue's HTTP target (v2beta3): what it says in place of its tasks, of their URL, method, headers and token.

HttpTarget and UriOverride in google/cloud/tasks/v2beta3/target.proto.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from fogbank.gcp.protocol import targets
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from fogbank.gcp.protocol.targets import Target

TASKS_V2BETA3 = Package("google.cloud.tasks.v2beta3")
_SCHEMES = {0: "https", 1: "http", 2: "https"}
_IF_NOT_EXISTS = 1
_PORTS = {"http": 80, "https": 443}


def check(http_target: Any) -> None:
    """Raises `RpcError`."""
    override = http_target.uri_override
    if override.HasField("host") and not override.host:
        raise _invalid("UriOverride.host cannot be empty.")
    if override.HasField("port") and not 0 <= override.port <= 65_535:
        raise _invalid("UriOverride.port must be between 0 and 65535.")
    for one in http_target.header_overrides:
        if not targets.is_header(one.header.key, one.header.value):
            raise _invalid(f"HttpTarget.header_overrides has an invalid header: {one.header.key[:128]!r}.")
    token = http_target.WhichOneof("authorization_header")
    if token and not getattr(http_target, token).service_account_email:
        raise _invalid(f"HttpTarget.{token}.service_account_email is required.")


def applied(target: Target, told: bytes) -> Target:
    """What is sent for a task of a queue that has this HTTP target."""
    if not told:
        return target
    http_target = TASKS_V2BETA3.HttpTarget.FromString(told)
    if http_target.HasField("uri_override"):
        target = replace(target, url=_url(target.url, http_target.uri_override))
    if http_target.http_method:
        target = replace(target, method=TASKS_V2BETA3.HttpMethod.Name(http_target.http_method))
    if http_target.header_overrides:
        ours = {one.header.key: one.header.value for one in http_target.header_overrides}
        names = {name.lower() for name in ours}
        kept = {name: value for name, value in target.headers.items() if name.lower() not in names}
        target = replace(target, headers={**kept, **ours})
    match http_target.WhichOneof("authorization_header"):
        case "oidc_token":
            oidc = http_target.oidc_token
            target = replace(target, oidc=(oidc.service_account_email, oidc.audience), oauth=None)
        case "oauth_token":
            oauth = http_target.oauth_token
            target = replace(target, oauth=(oauth.service_account_email, oauth.scope), oidc=None)
    return target


def address(told: bytes) -> str:
    """Of a queue that says where all its tasks go; "" if it does not."""
    override = TASKS_V2BETA3.HttpTarget.FromString(told).uri_override
    return _url("https://", override) if override.host else ""


def _url(url: str, override: Any) -> str:
    """Part by part; with IF_NOT_EXISTS only those that the task's URL has not."""
    parts = urlsplit(url)
    all_of_it = override.uri_override_enforce_mode != _IF_NOT_EXISTS
    scheme, host, port, path, query = parts.scheme, parts.hostname or "", parts.port, parts.path, parts.query
    if override.HasField("scheme") and (all_of_it or not scheme):
        scheme = _SCHEMES.get(override.scheme, "https")
    if override.HasField("host") and (all_of_it or not host):
        host = override.host
    if override.HasField("port") and (all_of_it or port is None):
        port = override.port or None
    if override.HasField("path_override") and (all_of_it or path in ("", "/")):
        path = override.path_override.path
    if override.HasField("query_override") and (all_of_it or not query):
        query = override.query_override.query_params
    netloc = host if port in (None, _PORTS.get(scheme)) else f"{host}:{port}"
    return urlunsplit((scheme, netloc, path if path.startswith("/") or not path else f"/{path}", query, ""))


def _invalid(text: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, text)
