"""What every Google service is: classes whose public methods are its rpcs, named as the published Python clients name
them ("CreateTopic" is `create_topic`). A method written once is served over gRPC and, where it has one, over REST.

By the method's kind:

- `def create_topic(self, tx, call, request)` is one transaction: it is given the `Tx`, awaits nothing, and may be run
  again after a conflict. It returns the answer; of a method that gives a stream, an iterable of answers, made whole.
- `async def pull(self, call, request)` is one that waits; it opens its own transactions with
  `self.house.store.transact`. Of a method that gives a stream it is an asynchronous generator.
- A method that takes a stream is given an asynchronous iterator of requests in place of the request:
  `async def streaming_pull(self, call, requests)`.

Requests and answers are messages of `protocol.descriptors`. Errors are raised as `RpcError`. A call that the caller has
given up, or whose deadline is over, is cancelled: `asyncio.CancelledError` where it waits.

Classes stand in `gcp/services/<folder>/operations.py`, or in several files of `operations/` once there are several
nouns; several classes may share a service. They are found there, not registered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar
from urllib.parse import unquote

import msgspec

from fogbank.kernel.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from google.protobuf.message import Message

    from fogbank.functions.engine import Engine
    from fogbank.gcp.identity.issuer import Issuer
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.config import Config
    from fogbank.kernel.gateway.messages import Route
    from fogbank.kernel.ids import Ids
    from fogbank.kernel.signals import Signals
    from fogbank.kernel.store import Store
    from fogbank.kernel.tasks import Background
    from fogbank.kernel.telemetry import Telemetry
    from fogbank.primitives.blobs import Blobs

S = TypeVar("S")


class Code(IntEnum):
    """google.rpc.Code."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """An answer that the caller is meant to see. `details` are messages of google.rpc (`ErrorInfo`, `BadRequest`)."""

    def __init__(self, code: Code, message: str, details: Sequence[Message] = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, tuple(details)


class Call(msgspec.Struct, frozen=True, gc=False):
    """Who asks and when. Time and new names come with the call, so a transaction can be run again."""

    now_ms: int
    request_id: str
    trace_id: str
    new_id: Callable[[], str]
    metadata: Mapping[str, str] = {}  # Names in lower case; over REST the headers.
    host: str = ""  # "127.0.0.1:8085": where the caller reached us.
    peer: str = ""
    inside: bool = False  # Asked by a part of this program, not over the wire.

    @property
    def params(self) -> dict[str, str]:
        """What the client says the call is about (`x-goog-request-params`): "database" → "projects/p/databases/d"."""
        pairs = (pair.partition("=") for pair in self.metadata.get("x-goog-request-params", "").split("&"))
        return {unquote(name): unquote(value) for name, _, value in pairs if name}


@dataclass(frozen=True, slots=True)
class Later:
    """What an rpc returns from its transaction to wait for something: `finish()` is awaited once that is kept."""

    finish: Callable[[], Awaitable[Any]]


class Ask(Protocol):
    """A public unary rpc, called as a customer would: `await ask("google.pubsub.v1.Publisher", "Publish", request)`.
    Raises `RpcError`."""

    def __call__(self, service: str, rpc: str, request: Message, /) -> Awaitable[Any]: ...


@dataclass(slots=True)
class House:
    """What a service may use. Built once, by `fogbank.assembly`."""

    config: Config
    store: Store
    clock: Clock
    ids: Ids
    signals: Signals
    blobs: Blobs
    engine: Engine
    telemetry: Telemetry
    ask: Ask
    identity: Issuer
    endpoint: Callable[[], str]  # "http://127.0.0.1:4566": where this server answers, once it does.
    links: dict[str, Any] = field(default_factory=dict)  # By name, "gcp.pubsub_to_functions": the modules in gcp/links.
    _shared: Shared = field(default_factory=Shared)

    def share(self, part: Callable[[House], S]) -> S:
        """The one `part(house)` of this server, made when it is first asked for: what a service's classes share."""
        return self._shared.get(part, self)


class Service:
    """Base of every class of rpcs. `service` is the proto's full name: "google.pubsub.v1.Publisher"."""

    service: ClassVar[str]
    methods: ClassVar[tuple[str, ...]] = ()  # What it serves of an API that no proto describes, for the coverage.

    def __init__(self, house: House) -> None:
        self.house = house

    def routes(self) -> Iterable[Route]:
        """Addresses beside the API itself that this service answers at."""
        return ()

    def backgrounds(self) -> Iterable[Background]:
        """Loops that run as long as the server does."""
        return ()
