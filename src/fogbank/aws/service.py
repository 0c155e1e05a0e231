"""What every AWS service is: classes whose public methods are its operations, named as botocore names them.

A plain `def put_item(self, tx, call, request)` is one transaction: it is given the `Tx`, awaits nothing, and may be run
again after a conflict. An `async def invoke(self, call, request)` is one that waits (a long poll, an invocation); it
opens its own transactions with `self.house.store.transact`. Both return the API's output structure as a plain dict.
What mostly need not wait, and sometimes must (a long poll), is a plain one that returns `Later`.

A service is a folder `aws/services/<botocore name, "-" as "_">/`; its classes of operations stand in `operations.py`,
or in several files of `operations/` once there are several nouns. They are found there, not registered. ("lambda" is
a word of Python's, so that folder is `lambda_`.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import msgspec

from fogbank.kernel.shared import Shared
from fogbank.kernel.tasks import Background as Background  # Of the contract: services take it from here.

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from fogbank.functions.engine import Engine
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.config import Config
    from fogbank.kernel.gateway.messages import Request, Route
    from fogbank.kernel.ids import Ids
    from fogbank.kernel.signals import Signals
    from fogbank.kernel.store import Store, Tx
    from fogbank.kernel.telemetry import Telemetry
    from fogbank.primitives.blobs import Blobs


S = TypeVar("S")


class Call(msgspec.Struct, frozen=True, gc=False):
    """Who asks, where and when. Time and new names come with the call, so an operation can be run again."""

    account: str  # Twelve digits.
    region: str
    principal: str  # The caller's ARN.
    now_ms: int
    request_id: str
    trace_id: str
    new_id: Callable[[], str]
    access_key: str = ""
    source_arn: str = ""  # Of a service that calls on behalf of something of its own: the rule, the API's method.
    host: str = ""  # "127.0.0.1:4566": where the caller reached us, for URLs that must work for it.
    trace_header: str = ""  # X-Amzn-Trace-Id as it came: what carries an event on takes its lineage along.
    inside: bool = False  # Asked by a part of this program, not over the wire.

    @property
    def sender(self) -> str:
        """The caller's unique id, as messages carry it: made of the ARN, as there may be no such user on record."""
        return _unique_id(self.principal)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True)
class Later:
    """What an operation returns from its transaction to wait for something: `finish()` is awaited once that is kept."""

    finish: Callable[[], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What a service that issues access keys knows of one."""

    account: str
    principal: str
    secret: str
    token: str = ""  # Of a temporary one.
    expires_ms: int = 0  # 0: never.


@lru_cache(1024)
def _unique_id(arn: str) -> str:
    return f"AIDA{sha256(arn.encode()).hexdigest()[:17].upper()}"


class ServiceError(Exception):
    """An answer that the caller is meant to see.

    `code` is the model's shape name (`QueueDoesNotExist`), or a plain code where the model has none
    (`ValidationException`); `fields` are further members of the error's shape (`CancellationReasons`), `headers` those
    of the answer that no shape tells of.
    """

    def __init__(
        self, code: str, message: str, *, status: int = 400, fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.code, self.message, self.status, self.fields = code, message, status, dict(fields or {})
        self.headers = dict(headers or {})


class Ask(Protocol):
    """A public operation, called as a customer would: validated, authorized, logged. Raises `ServiceError`."""

    def __call__(self, service: str, operation: str, /, **request: Any) -> Awaitable[dict[str, Any]]: ...


class Caller(Protocol):
    """Makes an `Ask` that acts as somebody, somewhere: `house.caller(account, region, principal)`.

    `source_arn` is what a service principal acts for: function policies ask for it.
    """

    def __call__(self, account: str, region: str, principal: str, /, *, source_arn: str = "") -> Ask: ...


class Signer(Protocol):
    """Who signed a request, or none. Raises `ServiceError` where the signature is not good."""

    def __call__(self, request: Request, /) -> Awaitable[KnownKey | None]: ...


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
    caller: Caller
    signer: Signer  # Of requests to `routes`; those to the API itself are authenticated before they come.
    endpoint: Callable[[], str]  # "http://127.0.0.1:4566": where this server answers, once it does.
    serves: Callable[[str, str], bool]  # Whether a service has this operation: what leads to others asks before.
    links: dict[str, Any] = field(default_factory=dict)  # By name, "aws.sqs_to_lambda": the modules in aws/links.
    resource_types: dict[str, Any] = field(default_factory=dict)  # CloudFormation's, by name: instances of the classes.
    _shared: Shared = field(default_factory=Shared)

    def share(self, part: Callable[[House], S]) -> S:
        """The one `part(house)` of this server, made when it is first asked for: what a service's classes share."""
        return self._shared.get(part, self)


class Operations:
    """Base of every class of operations. `service` is botocore's name for the service."""

    service: ClassVar[str]
    # By operation: members of its input that are refused by name when they are given, unless they are one of the values
    # beside them, which ask for nothing. "*": of every operation that has them.
    refused: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {}
    # In the same way, members that change nothing on AWS either (for what there is here), and why.
    without_effect: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def __init__(self, house: House) -> None:
        self.house = house

    def routes(self) -> Iterable[Route]:
        """Addresses beside the API itself that this service answers at (an API's own host, a JWKS document)."""
        return ()

    def key_registers(self) -> Iterable[Callable[[Tx, str], KnownKey | None]]:
        """How to find an access key among those that this service has issued."""
        return ()

    def backgrounds(self) -> Iterable[Background]:
        """Loops that run as long as the server does."""
        return ()
