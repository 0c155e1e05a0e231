"""Which service and operation a request is for, as whom, and where: told by its headers, host, path and form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from fogbank.aws.protocol import cbor_values, models, signatures_v2
from fogbank.aws.protocol.rest import Binding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fogbank.kernel.gateway.messages import Request

_CREDENTIAL = re.compile(r"Credential=([^/,\s]*)/(\d{8})/([^/,\s]*)/([^/,\s]*)/aws4_request")
_AWS_HOST = re.compile(
    r"(?:(?P<service>[a-z0-9-]+)\.)(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.)?(?:amazonaws\.com|api\.aws)"
)
_S3_HOST = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3(?:-accelerate|-fips)?(?:\.dualstack)?(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?"
    r"\.(?:amazonaws\.com|localhost)"
)
_CBOR_PATH = re.compile(r"/service/[^/]+/operation/(?P<operation>[A-Za-z0-9]+)")
# Names that services sign with, where they are not botocore's names for them.
_SIGNING_NAMES = {
    "monitoring": "cloudwatch", "states": "stepfunctions", "email": "ses", "ses": "sesv2", "execute-api": "apigateway",
    "tagging": "resourcegroupstaggingapi", "elasticloadbalancing": "elbv2", "aws-marketplace": "marketplace-catalog",
}  # fmt: skip
# First steps of paths, for requests that nobody signed.
_UNSIGNED_PATHS = (
    (re.compile(r"/20\d\d-\d\d-\d\d/(functions|event-source-mappings|layers|account-settings|tags)"), "lambda"),
    (re.compile(r"/(restapis|account|apikeys|usageplans|domainnames)(/|$)"), "apigateway"),
)


@dataclass(frozen=True, slots=True)
class Destination:
    service: str  # Botocore's name; "" where nothing tells it.
    operation: str = ""  # Where the request names it; REST requests are matched against the service's bindings.
    protocol: str = ""  # Where it is not the model's own.
    region: str = ""
    access_key: str = ""
    path: str = "/"  # For REST: as it would be without the bucket in the host.


def destination(request: Request, served: Iterable[str]) -> Destination:
    access_key, region, signing_name = _scope(request)
    service = _SIGNING_NAMES.get(signing_name, signing_name)
    target = request.headers.get("x-amz-target")
    if target:
        is_cbor = request.headers.get("content-type", "").startswith(cbor_values.AMZ_TYPE)
        asked = (target, service, region, access_key, cbor_values.AMZ if is_cbor else "json")
        known = _targets.get(asked)
        return _of_target(asked, served) if known is None else known
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor" and (cbor := _CBOR_PATH.fullmatch(request.path)):
        return Destination(service or _of_host(request)[0], cbor["operation"], "cbor", region, access_key)
    bucket_host = _S3_HOST.fullmatch(request.host)
    if bucket_host and service in ("", "s3"):
        bucket = bucket_host["bucket"]
        path = f"/{bucket}{request.path}" if bucket else request.path
        return Destination("s3", region=region or bucket_host["region"] or "", access_key=access_key, path=path)
    host_service, host_region = _of_host(request)
    service = service or host_service
    action = _action(request)
    if action and service != "s3":
        return Destination(
            service or _by_action(action, served), action, "query", region or host_region, access_key, request.path
        )
    service = service or _by_path(request.path)
    return Destination(service, region=region or host_region, access_key=access_key, path=request.path)


def _of_target(asked: tuple[str, str, str, str, str], served: Iterable[str]) -> Destination:
    target, service, region, access_key, protocol = asked
    prefix, _, operation = target.rpartition(".")
    found = Destination(_by_target(prefix, service, served) or service, operation, protocol, region, access_key)
    if len(_targets) >= _TARGETS_MAX:
        _targets.clear()
    _targets[asked] = found
    return found


_TARGETS_MAX = 1024
_targets: dict[tuple[str, str, str, str, str], Destination] = {}  # Callers ask for the same again and again.


class Bindings:
    """All REST addresses of one service."""

    def __init__(self, model: models.Model) -> None:
        self._by_method: dict[str, list[Binding]] = {}
        for operation in model.operations.values():
            self._by_method.setdefault(operation.method, []).append(Binding(operation))

    def find(
        self, method: str, path: str, query: str, headers: Mapping[str, str]
    ) -> tuple[models.Operation, dict[str, str]] | None:
        parameters = parse_qs(query, keep_blank_values=True)
        matches = [
            (binding.weight(headers), number, binding, labels)
            for number, binding in enumerate(self._by_method.get(method, ()))
            if (labels := binding.match(path, parameters, headers)) is not None
        ]
        if not matches:
            return None
        _, _, binding, labels = max(matches, key=lambda match: (match[0], -match[1]))
        return binding.operation, labels


def _scope(request: Request) -> tuple[str, str, str]:
    """Access key, region and signing name, from the header or from a presigned query."""
    text = request.headers.get("authorization", "")
    if not text.startswith("AWS4-") and "X-Amz-Credential=" in request.query:
        text = "Credential=" + unquote(request.query.partition("X-Amz-Credential=")[2].partition("&")[0])
    found = _CREDENTIAL.search(text)
    if found is None and (older := signatures_v2.claim(request)) is not None:
        return older.access_key, "", "s3"
    return (found[1], found[3], found[4]) if found else ("", "", "")


def _by_target(prefix: str, service: str, served: Iterable[str]) -> str:
    candidates = [service, *served] if service else list(served)
    for candidate in candidates:
        try:
            if models.load(candidate).target_prefix == prefix:
                return candidate
        except models.UnknownService:
            continue
    return ""


def _by_action(action: str, served: Iterable[str]) -> str:
    matching = (name for name in served if action in models.load(name).operations)
    return next((name for name in matching if models.load(name).protocol in ("query", "json")), "")


def _by_path(path: str) -> str:
    return next((service for pattern, service in _UNSIGNED_PATHS if pattern.match(path)), "s3")


def _of_host(request: Request) -> tuple[str, str]:
    found = _AWS_HOST.fullmatch(request.host)
    if found is None:
        return "", ""
    name = found["service"]
    return _SIGNING_NAMES.get(name, name), found["region"] or ""


def _action(request: Request) -> str:
    if "Action=" in request.query:
        return parse_qs(request.query).get("Action", [""])[0]
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return parse_qs(bytes(request.body[: 1 << 20]).decode("utf-8", "replace")).get("Action", [""])[0]
    return ""
