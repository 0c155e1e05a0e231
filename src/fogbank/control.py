"""Fogbank's own API, at /_fogbank/ on the same port: what the command line asks a running server."""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec
import orjson

from fogbank.aws.service import ServiceError
from fogbank.gcp.services.functions import state
from fogbank.kernel.gateway.messages import Request, Response, Route
from fogbank.kernel.store import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from fogbank.aws.service import Ask
    from fogbank.functions.engine import Engine
    from fogbank.kernel.clock import Clock
    from fogbank.kernel.config import Config
    from fogbank.kernel.store import Store, Tx
    from fogbank.kernel.tasks import Supervisor

MARK = "x-fogbank"
_CLOCK_KEY = ("kernel", "clock")
_ADVANCE_MAX_MS = 10 * 366 * 86_400_000


class Node(Protocol):
    """What of a server this API shows and moves."""

    @property
    def config(self) -> Config: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def store(self) -> Store: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def supervisor(self) -> Supervisor: ...

    def health(self) -> dict[str, Any]: ...
    async def debug(
        self, account: str, region: str, function: str, qualifier: str, port: int
    ) -> AsyncGenerator[dict[str, Any], None]: ...
    def caller(self, account: str, region: str, principal: str, *, source_arn: str = "") -> Ask: ...


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    service: str
    operation: str
    request: dict[str, Any] = {}
    account: str = ""
    region: str = ""


class _ClockMove(msgspec.Struct, forbid_unknown_fields=True):
    advance_ms: int | None = None
    set_ms: int | None = None


class _Debugged(msgspec.Struct, forbid_unknown_fields=True):
    function: str
    qualifier: str = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    account: str = ""
    region: str = ""


def routes(node: Node) -> list[Route]:
    async def answer(request: Request) -> Response:
        if request.method != "GET" and MARK not in request.headers:  # A web page elsewhere cannot set it unasked.
            return _json(403, {"error": f"send the header {MARK}: it tells a tool from a web page"})
        handler = handlers.get((request.method, request.path))
        if handler is None:
            return _json(404, {"error": f"fogbank has no {request.method} {request.path}"})
        try:
            return await handler(request)
        except StoreError as error:
            return _json(503, {"error": f"the store in {node.config.data_dir.absolute()} cannot keep this: {error}"})

    async def health(_: Request) -> Response:
        return _json(200, {"status": "running", **node.health()})

    async def status(_: Request) -> Response:
        google = await node.store.transact(state.every)
        named = [{"name": one.at.id, "project": one.at.project, "state": one.state} for one in google]
        return _json(200, {**_status(node), "google_functions": named})

    async def read_clock(_: Request) -> Response:
        return _json(200, {"now_ms": node.clock.now_ms(), "offset_ms": node.clock.offset_ms})

    async def move_clock(request: Request) -> Response:
        problem = await _move_clock(node, bytes(request.body))
        return _json(400, {"error": problem}) if problem else await read_clock(request)

    async def ask(request: Request) -> Response:
        return await _ask(node, bytes(request.body))

    async def debug(request: Request) -> Response:
        return await _debug(node, bytes(request.body))

    handlers: dict[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
        ("GET", "/_fogbank/health"): health,
        ("GET", "/_fogbank/status"): status,
        ("GET", "/_fogbank/clock"): read_clock,
        ("POST", "/_fogbank/clock"): move_clock,
        ("POST", "/_fogbank/ask"): ask,
        ("POST", "/_fogbank/debug"): debug,
    }
    return [Route(answer, path=re.compile("/_fogbank/"))]


async def restore_clock(store: Store, clock: Clock) -> None:
    """A clock that was moved stays moved over a restart: what was due then must not be due again."""
    kept = await store.transact(_kept_offset_ms)
    clock.offset_ms = max(clock.offset_ms, kept)


async def _move_clock(node: Node, body: bytes) -> str:
    """Move it as the body says; the answer is what is wrong with the body, if anything is."""
    try:
        move = msgspec.json.decode(body, type=_ClockMove)
    except msgspec.DecodeError as error:
        return f"the body must be a JSON object with advance_ms or set_ms: {error}"
    distance_ms = move.advance_ms if move.set_ms is None else move.set_ms - node.clock.now_ms()
    if distance_ms is None or (move.advance_ms is not None and move.set_ms is not None):
        return "give either advance_ms or set_ms"
    if not 0 <= distance_ms <= _ADVANCE_MAX_MS:
        return "the clock moves forward only, and ten years at most in one step"
    await node.clock.advance(distance_ms)
    await node.store.transact(_keep_offset, node.clock.offset_ms)
    return ""


async def _ask(node: Node, body: bytes) -> Response:
    """Any operation of any service as JSON, for tools that would not load an SDK for one question."""
    try:
        question = msgspec.json.decode(body, type=_Question)
    except msgspec.DecodeError as error:
        return _json(400, {"error": f"the body must be a JSON object with service, operation and request: {error}"})
    account = question.account or node.config.account
    caller = node.caller(account, question.region or node.config.region, f"arn:aws:iam::{account}:root")
    try:
        return _json(200, await caller(question.service, question.operation, **question.request))
    except ServiceError as error:
        return _json(error.status, {"error": error.message, "code": error.code})


async def _debug(node: Node, body: bytes) -> Response:
    """A line of JSON for each thing there is to know, and an empty one now and then; debugging ends when the caller
    goes away."""
    try:
        wanted = msgspec.json.decode(body, type=_Debugged)
    except msgspec.DecodeError as error:
        return _json(400, {"error": f"the body must be a JSON object with function: {error}"})
    account, region = wanted.account or node.config.account, wanted.region or node.config.region
    try:
        news = await node.debug(account, region, wanted.function, wanted.qualifier, wanted.port)
    except ServiceError as error:
        return _json(error.status, {"error": error.message, "code": error.code})
    return Response(200, [("content-type", "application/x-ndjson")], _lines(news))


async def _lines(news: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(news):
        async for one in news:
            yield orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) if one else b"\n"


def _plain(value: object) -> str:
    if isinstance(value, bytes | memoryview):
        return b64encode(value).decode()
    return str(value)


def _status(node: Node) -> dict[str, Any]:
    tasks = node.supervisor.tasks.values()
    return {
        **node.health(),
        "data_dir": str(node.config.data_dir.absolute()),
        "now_ms": node.clock.now_ms(),
        "store": node.store.describe(),
        "tasks": [{"name": task.name, "restarts": task.restarts, "last_error": task.last_error} for task in tasks],
        "instances": node.engine.status(),
    }


def _kept_offset_ms(tx: Tx) -> int:
    raw = tx.get(_CLOCK_KEY)
    return int(raw) if raw else 0


def _keep_offset(tx: Tx, offset_ms: int) -> None:
    tx.put(_CLOCK_KEY, str(offset_ms).encode())


def _json(status: int, document: dict[str, Any]) -> Response:
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE, default=_plain)
    return Response(status, [("content-type", "application/json")], body)
