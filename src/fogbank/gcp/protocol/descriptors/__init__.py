"""What Google's services are: messages, enums and methods, from the published definitions, in a pool of our own.

The definitions lie beside this file as `make protos` writes them. They are unpacked when the first of them is asked
for: a server that nobody asks for Google's services does not pay for them.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

_SET = Path(__file__).with_name("google.binpb.gz")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a method stands in REST (google.api.http)."""

    verb: str  # "GET".
    template: str  # "/v1/{name=projects/*/topics/*}:publish".
    body: str  # "*": all that the path does not tell; a field's name; "": nothing, the query tells the rest.
    response_body: str  # The field that is the answer; "": the whole message.


@dataclass(frozen=True, slots=True)
class Method:
    service: str  # "google.pubsub.v1.Publisher".
    name: str  # "CreateTopic".
    request: type[Message]
    response: type[Message]
    takes_stream: bool
    gives_stream: bool
    bindings: tuple[Binding, ...]

    @property
    def path(self) -> str:
        """As gRPC asks for it."""
        return f"/{self.service}/{self.name}"


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """All of them. Ours alone: in the process-wide one they would clash with those that a library brings."""
    made = descriptor_pool.DescriptorPool()
    for file in _files():
        made.AddSerializedFile(file.SerializeToString())
    return made


@cache
def _files() -> tuple[descriptor_pb2.FileDescriptorProto, ...]:
    """In an order in which each comes after those that it needs."""
    return tuple(descriptor_pb2.FileDescriptorSet.FromString(gzip.decompress(_SET.read_bytes())).file)


def message(full_name: str) -> type[Message]:
    """ "google.pubsub.v1.Topic" → its class. Raises `KeyError`."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(full_name))


class Package:
    """The messages and enums of a package: `Package("google.pubsub.v1").Topic(name=…)`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._find(name)
        setattr(self, name, found)  # The next one does not come here.
        return found

    def _find(self, name: str) -> Any:
        full_name = f"{self._name}.{name}"
        try:
            return message(full_name)
        except KeyError:
            pass
        try:
            return EnumTypeWrapper(pool().FindEnumTypeByName(full_name))
        except KeyError:
            raise AttributeError(f"{self._name} has no {name}") from None


def services() -> list[str]:
    """All that are described, by their full names."""
    return [f"{file.package}.{service.name}" for file in _files() for service in file.service]


@cache
def methods(service: str) -> dict[str, Method]:
    """By their names. Raises `KeyError` for a service that is not described."""
    described = pool().FindServiceByName(service)
    return {method.name: _method(service, method) for method in described.methods}


def _method(service: str, described: MethodDescriptor) -> Method:
    return Method(
        service,
        described.name,
        message_factory.GetMessageClass(described.input_type),
        message_factory.GetMessageClass(described.output_type),
        described.client_streaming,
        described.server_streaming,
        tuple(_bindings(described)),
    )


# What APIs mix in stands in their service configurations, which are not published with the protos: they have IAM's
# reading method at GET, beside the POST that its own proto tells, and operations and locations below their own names.
_MIXED_IN = {
    "google.iam.v1.IAMPolicy.GetIamPolicy": [
        Binding("GET", f"/{version}/{{resource=**}}:getIamPolicy", "", "") for version in ("v1", "v2")
    ],
    "google.cloud.location.Locations.ListLocations": [Binding("GET", "/v2/{name=projects/*}/locations", "", "")],
    "google.cloud.location.Locations.GetLocation": [Binding("GET", "/v2/{name=projects/*/locations/*}", "", "")],
    "google.longrunning.Operations.GetOperation": [
        Binding("GET", f"/{version}/{{name=projects/*/{owners}/*/operations/*}}", "", "")
        for version in ("v1", "v2")
        for owners in ("locations", "databases")
    ],
    "google.longrunning.Operations.ListOperations": [
        Binding("GET", f"/{version}/{{name=projects/*/{owners}/*}}/operations", "", "")
        for version in ("v1", "v2")
        for owners in ("locations", "databases")
    ],
    "google.longrunning.Operations.DeleteOperation": [
        Binding("DELETE", f"/{version}/{{name=projects/*/{owners}/*/operations/*}}", "", "")
        for version in ("v1", "v2")
        for owners in ("locations", "databases")
    ],
    "google.iam.v1.IAMPolicy.SetIamPolicy": [Binding("POST", "/v2/{resource=**}:setIamPolicy", "*", "")],
    "google.iam.v1.IAMPolicy.TestIamPermissions": [Binding("POST", "/v2/{resource=**}:testIamPermissions", "*", "")],
}


def _bindings(described: MethodDescriptor) -> list[Binding]:
    # Read again as a message of our pool: in the process-wide one nobody may know the extension.
    options: Any = message("google.protobuf.MethodOptions").FromString(described.GetOptions().SerializeToString())
    extension = pool().FindExtensionByName("google.api.http")
    if not options.HasExtension(extension):
        return []
    rule = options.Extensions[extension]
    told = [_binding(one) for one in (rule, *rule.additional_bindings)]
    return told + _MIXED_IN.get(described.full_name, [])


def _binding(rule: Any) -> Binding:
    kind = rule.WhichOneof("pattern")
    if kind == "custom":
        return Binding(rule.custom.kind, rule.custom.path, rule.body, rule.response_body)
    return Binding(kind.upper(), getattr(rule, kind), rule.body, rule.response_body)


@cache
def method_name(rpc: str) -> str:
    """How a class of ours calls it, and the published Python clients do: "CreateTopic" → "create_topic"."""
    return _WORD.sub("_", rpc).lower()
