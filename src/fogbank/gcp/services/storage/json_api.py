"""The JSON API: addresses, parameters and bodies in; the noun's method; resources, or errors with reasons, out.

Which methods there are, at which addresses and with which parameters, is read from Google's discovery document.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import orjson

from fogbank.gcp.protocol import discovery
from fogbank.gcp.protocol import partial as partial_response
from fogbank.gcp.protocol.descriptors import method_name
from fogbank.gcp.services.storage import cross_origin
from fogbank.gcp.services.storage.asking import Asked, Later, base_of, readable
from fogbank.gcp.services.storage.errors import StorageError, invalid, not_served, required
from fogbank.gcp.services.storage.nouns.objects import read_resource
from fogbank.kernel.gateway.messages import Ready, Response
from fogbank.kernel.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from fogbank.gcp.protocol.discovery import ApiMethod
    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.nouns.noun import Noun
    from fogbank.kernel.gateway.messages import Answer, Request
    from fogbank.kernel.store import Settling

API: Final = "storage.v1"
# Clients for Node leave "/storage/v1" away where an emulator is named.
_PATH: Final = re.compile(
    r"(?P<way>/(?:resumable/)?upload|/download)?(?:/storage/v1)?/(?P<rest>(?:b|projects)(?:/.*)?)"
)
_JSON: Final = ("Content-Type", "application/json; charset=UTF-8")
_BODY_MAX: Final = 20 * 1024 * 1024  # Of what is not an object's content.


class JsonApi:
    def __init__(self, house: House, nouns: Iterable[Noun]) -> None:
        self._house, self._at_once = house, house.store.immediate
        self._nouns: dict[str, list[Noun]] = {}
        for noun in nouns:
            self._nouns.setdefault(noun.noun, []).append(noun)

    def answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return Ready(cross_origin.preflight_for_all(request))
        request = readable(request)
        query = dict(pairs := parse_qsl(request.query, keep_blank_values=True))
        try:
            run, asked = self._read(request, query, pairs)
        except StorageError as error:
            return Ready(self._told(request, query, error))
        if iscoroutinefunction(run) or self._at_once is None:
            return self._answer_waiting(request, query, run, asked)
        try:
            result = self._at_once.run(run, asked)
            if type(result) is Later:
                return self._finish_kept(request, query, result, _settling(self._at_once.tick))
            response = self._written(request, query, result)
        except Exception as error:
            response = self._told(request, query, error)  # It may tell of rows of this tick: it waits as they do.
        return Ready(response, self._at_once.tick, partial(self._told, request, query))

    async def _finish_kept(
        self, request: Request, query: Mapping[str, str], later: Later, kept: asyncio.Future[StoreError | None]
    ) -> Response:
        """Files go only once it is kept that no row names them."""
        lost = await kept
        if lost is not None:
            return self._told(request, query, lost)
        return await self._finish(request, query, later.finish)

    async def _answer_waiting(
        self, request: Request, query: Mapping[str, str], run: Callable[..., Any], asked: Asked
    ) -> Response:
        async def work() -> Any:
            if iscoroutinefunction(run):
                return await run(asked)
            result = await self._house.store.transact(run, asked)
            return await result.finish() if type(result) is Later else result

        return await self._finish(request, query, work)

    async def _finish(self, request: Request, query: Mapping[str, str], work: Callable[[], Awaitable[Any]]) -> Response:
        try:
            return self._written(request, query, await work())
        except Exception as error:
            return self._told(request, query, error)

    # -- reading --

    def _read(
        self, request: Request, query: dict[str, str], pairs: list[tuple[str, str]]
    ) -> tuple[Callable[..., Any], Asked]:
        found = _PATH.fullmatch(request.path)
        if found is None:
            raise _not_found()
        way, verb = found["way"] or "", "GET" if request.method == "HEAD" else request.method
        uploads = "upload" in way
        if uploads and "upload_id" in query:
            query.pop("method", None)
            if verb == "DELETE":
                query["method"] = verb
            verb = "POST"
        at = discovery.api(API).find(verb, found["rest"])
        if at is None or (uploads and not at[0].takes_media):
            raise _not_found()
        method, variables = at
        if way == "/download":
            query.setdefault("alt", "media")
        if not uploads:
            query.pop("uploadType", None)
            query.pop("upload_id", None)
        run = self._method(method)
        _check(method, query)
        lists: dict[str, list[str]] = {}
        for name, text in pairs:
            lists.setdefault(name, []).append(text)
        resource = {} if method.takes_media else self._resource(request)
        asked = Asked(
            self._house.clock.now_ms(), self._house.ids.new, base_of(request), {**query, **variables}, request.headers,
            request.body, resource, lists,
        )  # fmt: skip
        return run, asked

    def _method(self, method: ApiMethod) -> Callable[..., Any]:
        if self._house.telemetry.debugging:
            self._house.telemetry.debug("method", of=method.id)
        name = method_name(method.name[0].upper() + method.name[1:])
        for noun in self._nouns.get(method.noun, ()):
            run = getattr(noun, name, None) or getattr(noun, f"{name}_", None)
            if run is not None:
                return run  # type: ignore[no-any-return]
        raise not_served(method.id)

    def _resource(self, request: Request) -> dict[str, Any]:
        if len(request.body) > _BODY_MAX:
            raise StorageError(413, "uploadTooLarge", f"The request is larger than {_BODY_MAX} bytes.")
        return read_resource(bytes(request.body)) if request.body else {}

    # -- writing --

    def _written(self, request: Request, query: Mapping[str, str], result: Any) -> Response:
        if result is None:
            response = Response(204)
        elif type(result) is Response:
            response = result
        else:
            if query.get("fields"):
                result = _picked(result, query["fields"])
            etag = [("ETag", result["etag"])] if isinstance(result, dict) and "etag" in result else []
            response = Response(200, [_JSON, *etag], written(result, query))
        return cross_origin.shared_with_all(request, response)

    def _told(self, request: Request, query: Mapping[str, str], error: Exception) -> Response:
        told = as_told(self._house, request, error)
        if told.status == 304:
            return cross_origin.shared_with_all(request, Response(304, list(told.headers)))
        if query.get("alt") == "media" or (query.get("uploadType") == "resumable" and told.status == 503):
            response = Response(
                told.status, [("Content-Type", "text/html; charset=UTF-8"), *told.headers], told.message.encode()
            )
        else:
            response = Response(told.status, [_JSON, *told.headers], written(told.document(), query))
        return cross_origin.shared_with_all(request, response)


def _settling(until: Settling | None) -> asyncio.Future[StoreError | None]:
    """Asked at once: what has settled already tells nobody any more."""
    settled: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()
    if until is None:
        settled.set_result(None)
    else:
        until.then(lambda error: None if settled.done() else settled.set_result(error))
    return settled


def as_told(house: House, request: Request, error: Exception) -> StorageError:
    """What went wrong as a caller may see it; all of a bug is in the log."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, StoreError):
        house.telemetry.error("the store could not keep a write", error=str(error), service=API)
        return StorageError(503, "backendError", f"The store could not keep this: {error}")
    house.telemetry.error(
        "storage request failed", path=request.path, error=repr(error),
        stack="".join(traceback.format_exception(error)),
    )  # fmt: skip
    told = f"Internal error; look for trace {request.trace_id} in fogbank's log."
    return StorageError(500, "internalError", told)


def written(content: Any, query: Mapping[str, str]) -> bytes:
    pretty = query.get("prettyPrint") != "false"
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if pretty else 0))


def served(nouns: Iterable[type[Noun]]) -> list[str]:
    """The ids of the methods that are written: "storage.buckets.get"."""
    known = list(nouns)

    def is_written(method: ApiMethod) -> bool:
        name = method_name(method.name[0].upper() + method.name[1:])
        return any(noun.noun == method.noun and (hasattr(noun, name) or hasattr(noun, f"{name}_")) for noun in known)

    return sorted(method.id for method in discovery.api(API).methods.values() if is_written(method))


def _check(method: ApiMethod, query: dict[str, str]) -> None:
    for name, parameter in method.parameters.items():
        text = query.get(name)
        if parameter.required and not parameter.in_path and not text:
            raise required(name)
        if text and parameter.choices and text not in parameter.choices:
            allowed = ", ".join(parameter.choices)
            told = f"Invalid string value: '{text[:64]}'. Allowed values: [{allowed}]"
            raise StorageError(400, "invalidParameter", told, place=("parameter", name))
        if text and parameter.kind == "boolean":
            query[name] = text.lower()  # Python's client says True.
            if query[name] not in ("true", "false"):
                told = f"Invalid boolean value: '{text[:64]}'."
                raise StorageError(400, "invalidParameter", told, place=("parameter", name))


def _picked(result: Any, fields: str) -> Any:
    try:
        return partial_response.chosen(result, fields)
    except partial_response.BadFields:
        raise invalid(f"Invalid field selection {fields[:64]}", place=("parameter", "fields")) from None


def _not_found() -> StorageError:
    return StorageError(404, "notFound", "Not Found")
