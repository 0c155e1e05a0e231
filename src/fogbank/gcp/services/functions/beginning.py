"""How work on a function begins: in one transaction it is written down, with the operation that tells of it.

Whoever is told of the operation may rely on it: what was begun ends, whatever becomes of this process.
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol import hosts, longrunning
from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions import metadata, names, sources, state
from fogbank.gcp.services.functions.state import DELETING, DEPLOYING, DUE, JOBS, LABELS, Function, Job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.gcp.service import Call, House
    from fogbank.kernel.store import Tx


async def create(house: House, call: Call, settings: Any, generation: int) -> Any:
    """Its source is had, then it is begun: the operation. Raises `RpcError` where the name is taken."""
    function_id = call.new_id()
    source = await sources.fetch(house, settings, owner=call.new_id())
    with _kept(house, source):
        return await house.store.transact(_create, call, settings, generation, source, function_id)


async def update(
    house: House, call: Call, function: Function, settings: Any, *, rebuilds: bool, from_source: bool
) -> Any:  # fmt: skip
    """The same for a function that is there; `from_source`: its source is to be another, or to be had anew."""
    source = await sources.fetch(house, settings, owner=call.new_id()) if from_source else ""
    with _kept(house, source):
        return await house.store.transact(_update, call, function, settings, source, rebuilds=rebuilds or from_source)


@contextmanager
def _kept(house: House, source: str) -> Iterator[None]:
    """The zip is gone again where what it is for could not be begun."""
    try:
        yield
    except BaseException:
        if source:
            house.blobs.delete(source)
        raise


def _create(tx: Tx, call: Call, settings: Any, generation: int, source: str, function_id: str) -> Any:
    name = settings.name
    there = state.get(tx, name, lock=True)
    if there is not None:
        raise _taken(there, generation)
    _take_label(tx, names.read(name), generation)
    told = settings.SerializeToString()
    function = Function(
        function_id, name, generation, told, DEPLOYING, call.now_ms, call.now_ms, source=source, deployments=1
    )
    return _begin(tx, call, function, "create", settings, source, rebuilds=True)


def _update(tx: Tx, call: Call, function: Function, settings: Any, source: str, *, rebuilds: bool) -> Any:
    """`source`: another zip, if it is to be another. Raises `RpcError` where something is under way."""
    there = state.get(tx, function.name, lock=True)
    if there is None or there.id != function.id:
        raise state.missing(function.name) if function.generation == 2 else state.missing_first(function.name)
    refuse_busy(there)
    busy = replace(there, state=DEPLOYING, deployments=there.deployments + rebuilds, updated_ms=call.now_ms)
    return _begin(tx, call, busy, "update", settings, source or there.source, rebuilds=rebuilds)


def delete(tx: Tx, call: Call, function: Function) -> Any:
    refuse_busy(function)
    settings = function.second if function.generation == 2 else function.first
    gone = replace(function, state=DELETING, updated_ms=call.now_ms)
    return _begin(tx, call, gone, "delete", settings, function.source, rebuilds=False)


def refuse_busy(function: Function) -> None:
    if not function.operation:
        return
    if function.generation == 2:
        raise RpcError(Code.ABORTED, "unable to queue the operation")
    at = function.at
    raise RpcError(
        Code.FAILED_PRECONDITION,
        f"An operation on function {at.id} in region {at.location} in project {at.project} is already in progress. "
        "Please try again later.",
    )


def _begin(
    tx: Tx, call: Call, function: Function, kind: str, settings: Any, source: str, *, rebuilds: bool
) -> Any:  # fmt: skip
    request: Any = message("google.protobuf.Any")()
    request.Pack(settings)
    operation = _operation_name(call, function)
    job = Job(
        function.id, function.name, kind, operation, settings.SerializeToString(), source,
        request.SerializeToString(), call.now_ms, rebuilds,
    )  # fmt: skip
    state.put(tx, replace(function, operation=operation))
    JOBS.put(tx, function.id, row=job)
    tx.emit(DUE)
    triggered = settings.HasField("event_trigger")
    told = metadata.second(job, triggered=triggered) if function.generation == 2 else metadata.first(job)
    return longrunning.begin(tx, operation, told, now_ms=call.now_ms)


def _operation_name(call: Call, function: Function) -> str:
    """As either API writes them: the 1st gen's say in base64 what they are about."""
    at, token = function.at, call.new_id()
    if function.generation == 1:
        about = f"{at.project}/{at.location}/{at.id}/{token[-12:]}{token[14:23].replace('-', '')}"
        return f"operations/{b64encode(about.encode(), b'-_').decode().rstrip('=')}"
    digits = token.replace("-", "")
    own = f"operation-{call.now_ms}-{digits[:13]}-{digits[13:21]}-{digits[-8:]}"
    return f"projects/{at.project}/locations/{at.location}/operations/{own}"


def _taken(there: Function, generation: int) -> RpcError:
    at = there.at
    if generation == 2:
        return RpcError(Code.ALREADY_EXISTS, f"Resource '{there.name}' already exists")
    told = f"Function {at.id} in region {at.location} in project {at.project} already exists"
    return RpcError(Code.ALREADY_EXISTS, told)


def _take_label(tx: Tx, at: names.Name, generation: int) -> None:
    """Two functions of the 2nd generation cannot have one service: create_item and create-item are one there."""
    if generation != 2:
        return
    service = names.service_id(at.id)
    for label in hosts.labels(at.project, at.location, service):
        taken = LABELS.get(tx, label, lock=True)
        if taken is not None:
            told = (
                f"Could not create Cloud Run service {service}. A Cloud Run service with this name already exists. "
                "Please redeploy the function with a different name."
            )
            raise RpcError(Code.ALREADY_EXISTS, told)
        LABELS.put(tx, label, row=str(at))
