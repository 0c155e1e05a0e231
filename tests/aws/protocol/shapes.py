"""Values made from botocore's shapes by a seeded generator, and botocore's own ends of the wire to hold ours by."""

from __future__ import annotations

import gzip
import math
import random
import string
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any
from urllib.parse import urlencode

import botocore
import orjson
from botocore.awsrequest import AWSRequest
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from fogbank.kernel.gateway.messages import Request

PROTOCOLS = ("smithy-rpc-v2-cbor", "json", "rest-json", "rest-xml", "query", "ec2")
_TEXT = string.ascii_letters + string.digits + "-_ äß&<>'\"/?=%+~.:,€"
_HEADER_TEXT = string.ascii_letters + string.digits + "-_./"
_DEPTH_MAX = 4
_LENGTH_MAX = 200


@cache
def model(service: str) -> ServiceModel:
    versions = sorted((Path(botocore.__file__).parent / "data" / service).glob("*/service-2.json*"))
    raw = versions[-1].read_bytes()
    return ServiceModel(orjson.loads(gzip.decompress(raw) if versions[-1].suffix == ".gz" else raw), service)


def protocols(service: str) -> tuple[str, ...]:
    """All that a client may speak with it."""
    metadata = model(service).metadata
    return tuple(metadata.get("protocols") or (metadata["protocol"],))


class Maker:
    """`text`: what strings are made of is narrower in headers and paths."""

    def __init__(self, seed: str, *, answers: bool = False) -> None:
        self._random, self._answers = random.Random(seed), answers

    def request(self, operation: OperationModel) -> dict[str, Any]:
        made = self.structure(operation.input_shape) if operation.input_shape else {}
        in_host = {
            name for _, name, _, _ in Formatter().parse((operation.endpoint or {}).get("hostPrefix", "")) if name
        }
        return made | dict.fromkeys(in_host, "a1")

    def answer(self, operation: OperationModel) -> dict[str, Any]:
        return self.structure(operation.output_shape) if operation.output_shape else {}

    def structure(self, shape: Shape, depth: int = 0) -> dict[str, Any]:
        """At least one member where the shape has any: an empty one is nothing in half of the protocols."""
        members = {name: member for name, member in shape.members.items() if not _is_stream(member)}
        simple = [name for name, member in members.items() if member.type_name not in ("structure", "list", "map")]
        if getattr(shape, "is_tagged_union", False) and members:
            name = self._random.choice(sorted(members))
            if depth > _DEPTH_MAX:  # The way out of shapes that hold themselves.
                name = min(sorted(members), key=lambda one: _height(members[one]))
            return {name: self.value(members[name], depth + 1)}
        required = {name for name, member in members.items() if self._must(shape, name, member)}
        chosen = [
            name for name in members
            if name in required or (depth < _DEPTH_MAX and self._random.random() < 0.7)
        ]  # fmt: skip
        if not chosen and members and depth < _DEPTH_MAX + 4:
            chosen = sorted(simple or members)[:1]
        return {
            name: self.value(members[name], depth + 1, members[name].serialization.get("location", ""))
            for name in chosen
        }

    def _must(self, shape: Shape, name: str, member: Shape) -> bool:
        location = member.serialization.get("location")
        told_anyway = member.serialization.get("name", "").lower() == "content-type"
        is_body = name == shape.serialization.get("payload")
        return name in shape.metadata.get("required", ()) or location in ("uri", "statusCode") or told_anyway or is_body

    def value(self, shape: Shape, depth: int, location: str = "") -> Any:
        if shape.type_name == "structure":
            return {"document": ["a", 1, None, True]} if shape.is_document_type else self.structure(shape, depth)
        if shape.type_name == "list":
            sizes = shape.metadata.get("min", 0), shape.metadata.get("max")
            must = bool(location or shape.serialization.get("flattened") or depth <= _DEPTH_MAX)
            size = self._size(*sizes, least=1, most=3) if must else sizes[0]
            return [self.value(shape.member, depth + 1, location) for _ in range(size)]
        if shape.type_name == "map":
            least = 1 if depth <= _DEPTH_MAX else 0
            size = self._size(shape.metadata.get("min", 0), shape.metadata.get("max"), least=least, most=3 * least)
            keys = [self._key(shape, number, location) for number in range(size)]
            return {key: self.value(shape.value, depth + 1, location) for key in keys}
        return self._scalar(shape, location)

    def _key(self, shape: Shape, number: int, location: str) -> str:
        allowed = shape.key.enum if hasattr(shape.key, "enum") else None
        if allowed:
            return str(allowed[number % len(allowed)])
        least = shape.key.metadata.get("min", 0)
        return f"key{number}".ljust(min(least, _LENGTH_MAX), "x")

    def _size(self, least_allowed: int, most_allowed: int | None, *, least: int, most: int) -> int:
        if most_allowed == 0:
            return 0
        low = max(least_allowed, least)
        high = max(low, min(most, most_allowed if most_allowed is not None else most))
        return self._random.randint(low, high)

    def _scalar(self, shape: Shape, location: str) -> Any:
        kind = shape.type_name
        if location == "statusCode":
            return self._random.choice([200, 202])
        if kind in ("integer", "long"):
            return self._random.randint(*_range(shape, -5, 1000))
        if kind in ("float", "double"):
            least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
            return max(least, round(self._random.uniform(least, least + 100 if most is None else most), 2))
        if kind == "boolean":
            return self._random.random() < 0.5
        if kind == "timestamp":
            return datetime.fromtimestamp(self._random.randint(1_000_000_000, 2_000_000_000), UTC)
        if kind == "blob":
            return self._random.randbytes(self._text_size(shape))
        return self._string(shape, location)

    def _text_size(self, shape: Shape) -> int:
        return self._size(shape.metadata.get("min", 0), shape.metadata.get("max"), least=1, most=12)

    def _string(self, shape: Shape, location: str) -> Any:
        if shape.serialization.get("jsonvalue"):
            return {"of": ["json", 1]}
        allowed = getattr(shape, "enum", None)
        if allowed:
            return self._random.choice(allowed)
        letters = _HEADER_TEXT if location in ("header", "headers", "uri") else _TEXT
        text = "".join(self._random.choices(letters, k=self._text_size(shape)))
        return text.replace("/", "-").replace(".", "-") if location == "uri" else text


def _height(shape: Shape, above: frozenset[str] = frozenset()) -> float:
    """How deep the smallest value of the shape is; endless for one that must hold itself."""
    if shape.type_name == "list" and shape.metadata.get("min"):
        return _height(shape.member, above)
    if shape.type_name != "structure":
        return 0
    if shape.name in above:
        return math.inf
    below = above | {shape.name}
    if getattr(shape, "is_tagged_union", False):
        return 1 + min((_height(member, below) for member in shape.members.values()), default=0)
    required = shape.metadata.get("required", ())
    return 1 + max((_height(shape.members[name], below) for name in required), default=0)


def _is_stream(member: Shape) -> bool:
    return (
        member.type_name == "structure"
        and any(below.serialization.get("event") for below in getattr(member, "members", {}).values())
    ) or bool(getattr(member, "is_event_stream", False) or member.metadata.get("eventstream"))


def _range(shape: Shape, low: int, high: int) -> tuple[int, int]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and most is not None:
        return int(least), int(most)
    if least is not None:
        return int(least), int(least) + high
    return (int(most) - high, int(most)) if most is not None else (low, high)


def request(operation: OperationModel, protocol: str, parameters: dict[str, Any], *, signed_as: str) -> Request:
    """As botocore would send it."""
    serializer = create_serializer(protocol, include_validation=False)
    made = serializer.serialize_to_request(parameters, operation)
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body, doseq=True)
    query = made["query_string"] or {}
    url = "http://127.0.0.1:4566" + made["url_path"]
    if query:
        url += ("&" if "?" in url else "?") + _query(query)
    prepared = AWSRequest(made["method"], url, made["headers"], body).prepare()
    scope = f"test/20260101/us-east-1/{signed_as}/aws4_request"
    headers = {name.lower(): _text(value) for name, value in prepared.headers.items()}
    headers |= {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    path, _, text = prepared.url.removeprefix("http://127.0.0.1:4566").partition("?")
    raw = prepared.body or b""
    raw = raw.read() if hasattr(raw, "read") else raw
    raw = raw.encode() if isinstance(raw, str) else bytes(raw)
    return Request(
        prepared.method,
        path,
        text,
        {"host": "127.0.0.1:4566"} | headers,
        list(headers.items()),
        raw,
        "127.0.0.1",
        "0",
        "0" * 32,
    )


def _query(query: dict[str, Any]) -> str:
    pairs = query.items() if hasattr(query, "items") else query
    return urlencode([(k, v) for k, given in pairs for v in (given if isinstance(given, list) else [given])])


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def parse(
    operation: OperationModel, protocol: str, status: int, headers: dict[str, str], body: bytes
) -> dict[str, Any]:
    """As botocore would hand it to its caller, errors included."""
    from botocore.awsrequest import HeadersDict

    answer = {
        "status_code": status,
        "headers": HeadersDict(headers),
        "body": body,
        "context": {"operation_name": operation.name},
    }
    shape = operation.output_shape
    if operation.has_streaming_output and not operation.has_event_stream_output:
        answer["body"] = _Raw(body)
    return create_parser(protocol).parse(answer, shape)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self) -> bytes:
        return self._body

    def __eq__(self, other: object) -> bool:
        return other == self._body


def parse_error(
    service: ServiceModel, operation: OperationModel, protocol: str, status: int, headers: dict[str, str], body: bytes
) -> dict[str, Any]:
    """As botocore's client does it: the error itself, then the members of its shape."""
    from botocore.awsrequest import HeadersDict

    answer = {
        "status_code": status,
        "headers": HeadersDict(headers),
        "body": body,
        "context": {"operation_name": operation.name},
    }
    parser = create_parser(protocol)
    found = parser.parse(answer, operation.output_shape)
    shape = service.shape_for_error_code(found.get("Error", {}).get("Code"))
    if shape is not None:
        found.update(parser.parse(answer, shape))
    return found
