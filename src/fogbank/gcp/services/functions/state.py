"""What is remembered of functions: each with its settings, the version that answers, and what is to become of it.

A function's settings are kept as the message of the API that it was made by: the 1st gen's as
google.cloud.functions.v1.CloudFunction, the 2nd gen's as google.cloud.functions.v2.Function. What is true of this
moment (state, addresses, revisions) stands beside them and is added to answers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions import names
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

FIRST, SECOND = Package("google.cloud.functions.v1"), Package("google.cloud.functions.v2")
ACTIVE, FAILED, DEPLOYING, DELETING = "ACTIVE", "FAILED", "DEPLOYING", "DELETING"


class Message(msgspec.Struct, frozen=True):
    """One line of `state_messages`."""

    severity: str
    type: str
    text: str


class Serving(msgspec.Struct, frozen=True):
    """A version that has been built and is good: all that an instance of it needs."""

    number: int  # Of the deployment: "1", "2", …
    revision: str  # "create-item-00002-xyz".
    source: str  # The zip's name among blobs.
    build: str  # The build's id.
    told: bytes  # The settings as they were then.


class Function(msgspec.Struct, frozen=True):
    id: str  # A new one each time the name is used again.
    name: str
    generation: int  # 1 or 2.
    told: bytes  # What was asked for, as it was taken last.
    state: str
    created_ms: int
    updated_ms: int
    source: str = ""  # The zip that was taken last, by its name among blobs.
    deployments: int = 0
    serving: Serving | None = None
    messages: tuple[Message, ...] = ()
    trigger: str = ""  # The Eventarc trigger that was made for it.
    operation: str = ""  # What is under way.

    @property
    def first(self) -> Any:
        """A 1st gen function's settings. Belongs to all that have it: nobody may change it."""
        return _first(self.told)

    @property
    def second(self) -> Any:
        """A 2nd gen function's settings. Belongs to all that have it."""
        return _second(self.told)

    @property
    def at(self) -> names.Name:
        return names.read(self.name)

    @property
    def service(self) -> str:
        return names.service_id(self.at.id)


class Job(msgspec.Struct, frozen=True):
    """What is to be done to a function, written down with the operation that tells of it."""

    function_id: str
    name: str
    kind: str  # "create", "update" or "delete".
    operation: str
    told: bytes  # The settings as they are to be.
    source: str  # The zip, by its name among blobs.
    request: bytes  # For the operation: a google.protobuf.Any.
    begun_ms: int
    rebuilds: bool = True  # Else the version stays, and only what stands beside it changes.


class Build(msgspec.Struct, frozen=True):
    id: str
    function: str
    begun_ms: int
    ended_ms: int
    succeeded: bool
    log: str


class Upload(msgspec.Struct, frozen=True):
    """Where a zip may be put, and where it then lies."""

    project: str
    location: str
    expires_ms: int
    blob: str = ""


FUNCTIONS = Records(Function, "functions", "function")  # (project, location, id)
JOBS = Records(Job, "functions", "job")  # (function's id,)
BUILDS = Records(Build, "functions", "build")  # (project, location, build's id)
UPLOADS = Records(Upload, "functions", "upload")  # (its token,)
LABELS = Records(str, "functions", "label")  # (label of a service's host,) → function's name
CHANGED = "functions.changed"  # The signal: a function was made, deployed or deleted.
DUE = "functions.due"  # The signal: there is a job.


@lru_cache(1024)
def _first(told: bytes) -> Any:
    return FIRST.CloudFunction.FromString(told)


@lru_cache(1024)
def _second(told: bytes) -> Any:
    return SECOND.Function.FromString(told)


def get(tx: Tx, name: str, *, lock: bool = False) -> Function | None:
    at = names.read(name)
    key = (at.project, at.location, at.id)
    return FUNCTIONS.get(tx, *key, lock=True) if lock else FUNCTIONS.get_shared(tx, *key)


def find(tx: Tx, name: str) -> Function:
    """Raises `RpcError`."""
    function = get(tx, name)
    if function is None:
        raise missing(name)
    return function


def every(tx: Tx) -> list[Function]:
    return FUNCTIONS.all(tx)


def put(tx: Tx, function: Function) -> None:
    at = function.at
    FUNCTIONS.put(tx, at.project, at.location, at.id, row=function)
    tx.emit(CHANGED)


def missing(name: str) -> RpcError:
    return RpcError(Code.NOT_FOUND, f"Resource '{name}' was not found")


def missing_first(name: str) -> RpcError:
    at = names.read(name)
    told = f"Function {at.id} in region {at.location} in project {at.project} does not exist"
    return RpcError(Code.NOT_FOUND, told)
