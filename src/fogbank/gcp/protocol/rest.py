"""REST, transcoded from the same methods that gRPC serves: a path and a verb lead to one of them (google.api.http)."""

from __future__ import annotations

import re
from contextlib import aclosing
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import orjson

from fogbank.gcp.protocol import descriptors, json_values, statuses, templates
from fogbank.gcp.service import Code, RpcError
from fogbank.kernel.gateway.messages import Response, Route

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from fogbank.gcp.protocol.descriptors import Binding, Method
    from fogbank.gcp.protocol.door import Door
    from fogbank.gcp.protocol.templates import Template
    from fogbank.kernel.gateway.messages import Request

JSON: Final = ("content-type", "application/json; charset=UTF-8")
_BODY_MAX = 20 * 1024 * 1024


class Rest:
    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> list[Route]:
        """By Google's own hosts, and by path where the host is this machine (no bucket of S3's is in its name then)."""
        return [
            Route(self.answer, host=re.compile(r".+\.googleapis\.com")),
            Route(
                self.answer, host=re.compile(r"[^.]*|[\d.]+|\[.*"),
                path=re.compile(
                    r"/v\d\w*/((projects|operations|folders|organizations|billingAccounts)(/|$)"
                    r"|entries:(write|list|tail|copy)$|monitoredResourceDescriptors$)"
                ),
            ),
        ]  # fmt: skip

    async def answer(self, request: Request) -> Response:
        query = parse_qsl(request.query, keep_blank_values=True)
        try:
            return await self._serve(request, query)
        except RpcError as error:
            return refused(error)

    async def _serve(self, request: Request, query: list[tuple[str, str]]) -> Response:
        method, binding, variables = self._find(request.method, request.path)
        if method.takes_stream:
            raise RpcError(
                Code.UNIMPLEMENTED, f"{method.service}.{method.name} takes a stream: it is served over gRPC."
            )
        if len(request.body) > _BODY_MAX:
            raise RpcError(Code.INVALID_ARGUMENT, f"Request payload size exceeds the limit: {_BODY_MAX} bytes.")
        served = self._door.find(method.path)
        asked = json_values.request(method.request, binding, variables, query, bytes(request.body))
        call = self._door.call(request.headers, request.headers.get("host", ""), request.peer, request.id)
        options = dict(query)
        numbers = "enum-encoding=int" in options.get("$alt", options.get("alt", ""))
        if method.gives_stream:
            answers = self._door.answers(served, call, asked)
            return Response(200, [JSON], await _begun(answers, numbers=numbers))
        message = await self._door.answer(served, call, asked)
        content = json_values.answer(message, numbers=numbers)
        if binding.response_body:
            content = content.get(binding.response_body)
        return Response(200, [JSON], _written(content, pretty=options.get("prettyPrint") != "false"))

    def _find(self, verb: str, path: str) -> tuple[Method, Binding, dict[str, str]]:
        for template, method, binding in self._table.get(verb, ()):
            variables = template.match(path)
            if variables is not None:
                return method, binding, variables
        raise RpcError(Code.NOT_FOUND, "Method not found.")

    @cached_property
    def _table(self) -> dict[str, list[tuple[Template, Method, Binding]]]:
        """All bindings by verb: what is served before what is not, the more exact before the less."""
        table: dict[str, list[tuple[Template, Method, Binding]]] = {}
        for service in descriptors.services():
            for method in descriptors.methods(service).values():
                for binding in method.bindings:
                    row = (templates.compiled(binding.template), method, binding)
                    table.setdefault(binding.verb, []).append(row)
        for rows in table.values():
            rows.sort(key=lambda row: (not self._door.serves(row[1]), row[0].rank))
        return table


async def _begun(answers: AsyncGenerator[Any, None], *, numbers: bool) -> bytes | AsyncIterator[bytes]:
    """A stream as a JSON array, once its first answer is there: an error before that has a status of its own."""
    try:
        first = await anext(answers)
    except StopAsyncIteration:
        return b"[]\n"
    return _array(first, answers, numbers=numbers)


async def _array(first: Any, answers: AsyncGenerator[Any, None], *, numbers: bool) -> AsyncIterator[bytes]:
    async with aclosing(answers):
        yield b"[" + _written(json_values.answer(first, numbers=numbers))
        try:
            async for message in answers:
                yield b",\n" + _written(json_values.answer(message, numbers=numbers))
        except RpcError as error:
            yield b",\n" + _written(statuses.document(error))
    yield b"]\n"


def told(content: Any) -> Response:
    """Of an address beside the methods that speaks as they do."""
    return Response(200, [JSON], _written(content))


def refused(error: RpcError) -> Response:
    return Response(statuses.http_status(error.code), [JSON], _written(statuses.document(error)))


def _written(content: Any, *, pretty: bool = True) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if pretty else 0))
