"""Function URLs: created, changed, read, listed, deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import paging, settings, state
from fogbank.aws.services.lambda_.state import URLS, Url
from fogbank.aws.services.lambda_.urls import BUFFERED, Urls

if TYPE_CHECKING:
    from fogbank.kernel.gateway.messages import Route
    from fogbank.kernel.store import Tx

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class FunctionUrls(Operations):
    service: ClassVar = "lambda"

    def routes(self) -> list[Route]:
        return self.house.share(Urls).routes()

    def create_function_url_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"], request.get("Qualifier"))
        if who.qualifier.isdigit() or who.qualifier == state.LATEST:
            told = "The qualifier of a function URL must be the name of an alias."
            raise ServiceError("InvalidParameterValueException", told)
        function = state.find(tx, who)
        state.published(tx, function, who)
        if state.URL_IDS.get(tx, function.id, who.qualifier) is not None:
            arn = who.arn
            told = f"Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig exists for this Lambda function"  # noqa: E501
            raise ServiceError("ResourceConflictException", told, status=409)
        url_id = self.house.ids.token(32, _LETTERS)
        made = Url(
            url_id, who.account, who.region, who.name, who.qualifier, request["AuthType"], call.now_ms, call.now_ms,
            request.get("Cors", {}), request.get("InvokeMode", BUFFERED),
        )  # fmt: skip
        URLS.put(tx, url_id, row=made)
        state.URL_IDS.put(tx, function.id, who.qualifier, row=url_id)
        return _described(call, made)

    def update_function_url_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        _, found = _find(tx, call, request)
        made = replace(
            found,
            auth=request.get("AuthType", found.auth),
            cors=request.get("Cors", found.cors),
            mode=request.get("InvokeMode", found.mode),
            modified_ms=call.now_ms,
        )
        URLS.put(tx, made.id, row=made)
        return _described(call, made)

    def get_function_url_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _described(call, _find(tx, call, request)[1])

    def list_function_url_configs(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        found = [url for url_id in state.URL_IDS.all(tx, function.id) if (url := URLS.get(tx, url_id)) is not None]
        page, more = paging.page(request, found, lambda url: url.qualifier or state.LATEST)
        return {"FunctionUrlConfigs": [_described(call, one) for one in page], **more}

    def delete_function_url_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        function, found = _find(tx, call, request)
        URLS.delete(tx, found.id)
        state.URL_IDS.delete(tx, function.id, found.qualifier)


def _described(call: Call, url: Url) -> dict[str, Any]:
    """FunctionUrl is the address that works here; requests for the real one's host are answered too."""
    end = f":{url.qualifier}" if url.qualifier else ""
    colon, port = call.host.rpartition(":")[1:]
    shown = {
        "FunctionUrl": f"http://{url.id}.lambda-url.{url.region}.localhost{colon}{port if colon else ''}/",
        "FunctionArn": f"arn:aws:lambda:{url.region}:{url.account}:function:{url.function}{end}",
        "AuthType": url.auth,
        "CreationTime": settings.iso(url.created_ms),
        "LastModifiedTime": settings.iso(url.modified_ms),
        "InvokeMode": url.mode,
    }
    return shown | ({"Cors": url.cors} if url.cors else {})


def _find(tx: Tx, call: Call, request: dict[str, Any]) -> tuple[state.Function, Url]:
    who = state.named(call, request["FunctionName"], request.get("Qualifier"))
    function = state.find(tx, who)
    url_id = state.URL_IDS.get(tx, function.id, who.qualifier)
    found = URLS.get(tx, url_id) if url_id else None
    if found is None:
        raise ServiceError(
            "ResourceNotFoundException", "The resource you requested does not exist.", fields={"Type": "User"}
        )
    return function, found
