"""Service models as botocore ships them, read straight from its data: importing botocore would slow every start.

A `Shape` is a member's reference and the shape it refers to, seen as one: the reference's traits win.
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import orjson

from fogbank.aws.protocol import sqs_query


class UnknownService(Exception):
    """No service of this name is modelled."""


class Shape:
    """`type` is structure, list, map, string, blob, timestamp, boolean, integer, long, float or double."""

    def __init__(self, model: Model, ref: dict[str, Any], member_name: str = "") -> None:
        own = model.document["shapes"][ref["shape"]]
        self.name: str = ref["shape"]
        self.type: str = {"character": "string", "bigdecimal": "double"}.get(own["type"], own["type"])
        self.member_name = member_name
        self._model, self._own = model, own
        self._traits = own | ref

    def trait(self, name: str, default: Any = None) -> Any:
        return self._traits.get(name, default)

    @cached_property
    def location(self) -> str:
        """header, headers, uri, querystring, statusCode, or "" for the body."""
        return str(self._traits.get("location", ""))

    @cached_property
    def wire_name(self) -> str:
        """In the body: `locationName`, or the member's own name."""
        return str(self._traits.get("locationName", self.member_name))

    @cached_property
    def members(self) -> dict[str, Shape]:
        return {name: Shape(self._model, ref, name) for name, ref in self._own.get("members", {}).items()}

    @cached_property
    def member(self) -> Shape:
        """Of a list."""
        return Shape(self._model, self._own["member"])

    @cached_property
    def key(self) -> Shape:
        return Shape(self._model, self._own["key"])

    @cached_property
    def value(self) -> Shape:
        return Shape(self._model, self._own["value"])

    @cached_property
    def required(self) -> tuple[str, ...]:
        return tuple(self._own.get("required", ()))

    @cached_property
    def flattened(self) -> bool:
        return bool(self._traits.get("flattened"))

    @cached_property
    def payload(self) -> Shape | None:
        """The member that is the whole body, where one is."""
        name = self._own.get("payload")
        return self.members[name] if name else None


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    uri: str
    status: int
    input: Shape | None
    output: Shape | None
    wrapper: str | None = None  # Query: the element around the result.
    facts: dict[str, Any] = field(default_factory=dict, compare=False)


class Model:
    def __init__(self, service: str, document: dict[str, Any]) -> None:
        self.service, self.document = service, document
        self.metadata: dict[str, Any] = document["metadata"]

    @cached_property
    def protocol(self) -> str:
        return str(self.metadata["protocol"])

    @cached_property
    def namespace(self) -> str:
        """Of its XML: the query protocol's own, or one derived as the service derives it."""
        given = self.metadata.get("xmlNamespace", "")
        return str(given.get("uri", "") if isinstance(given, dict) else given)

    @cached_property
    def as_query(self) -> Model:
        """As the query protocol names things, where that is not as this model does."""
        return Model(self.service, sqs_query.document(self.document)) if self.service == "sqs" else self

    @cached_property
    def query_codes(self) -> dict[str, str]:
        """What the query protocol calls errors, by the names of their shapes, where the model does not tell."""
        return sqs_query.CODES if self.service == "sqs" else {}

    @cached_property
    def target_prefix(self) -> str:
        return str(self.metadata.get("targetPrefix", ""))

    @cached_property
    def operations(self) -> dict[str, Operation]:
        return {name: self._operation(name, facts) for name, facts in self.document["operations"].items()}

    def shape(self, name: str) -> Shape:
        return Shape(self, {"shape": name})

    def error(self, code: str) -> Shape | None:
        """The error's shape, by its name or by the wire code that it carries."""
        found = self._errors.get(code)
        return self.shape(found) if found else None

    @cached_property
    def _errors(self) -> dict[str, str]:
        shapes = self.document["shapes"].items()
        errors = {name: shape for name, shape in shapes if shape.get("exception") or "error" in shape}
        by_code = {shape["error"]["code"]: name for name, shape in errors.items() if shape.get("error", {}).get("code")}
        return by_code | {name: name for name in errors}

    def _operation(self, name: str, facts: dict[str, Any]) -> Operation:
        http = facts.get("http", {})
        output = facts.get("output")
        return Operation(
            name=name,
            method=http.get("method", "POST"),
            uri=http.get("requestUri", "/"),
            status=int(http.get("responseCode", 200)),
            input=Shape(self, facts["input"]) if "input" in facts else None,
            output=Shape(self, output) if output else None,
            wrapper=output.get("resultWrapper") if output else None,
            facts=facts,
        )


@cache
def _data() -> Path:
    spec = importlib.util.find_spec("botocore")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data"


@cache
def load(service: str) -> Model:
    """The newest model of a service, by botocore's name for it."""
    folder = _data() / service
    versions = sorted(folder.glob("*/service-2.json*")) if folder.is_dir() else []
    if not versions:
        raise UnknownService(service)
    raw = versions[-1].read_bytes()
    return Model(service, orjson.loads(gzip.decompress(raw) if versions[-1].suffix == ".gz" else raw))


def modelled() -> list[str]:
    """Every service that botocore knows."""
    return sorted(folder.name for folder in _data().iterdir() if any(folder.glob("*/service-2.json*")))
