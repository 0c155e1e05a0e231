"""Where a function's source comes from: a zip that was put at an address of ours, or an object of Cloud Storage."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec.structs import replace

from fogbank.gcp.identity import projects
from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.functions import state
from fogbank.gcp.services.functions.state import UPLOADS, Upload
from fogbank.kernel.gateway.messages import Request, Response, Route
from fogbank.kernel.store import StoreError

if TYPE_CHECKING:
    from fogbank.gcp.service import Call, House
    from fogbank.kernel.store import Tx

_UPLOAD = re.compile(r"/gcf-v\d-uploads-[a-z0-9.-]+\.cloudfunctions\.appspot\.com/(?P<token>[a-z0-9-]{36,64})\.zip$")
_DOWNLOAD = re.compile(r"/gcf-v\d-sources-[a-z0-9-]+/(?P<token>[a-z0-9-]{36,64})\.zip$")
_GOOD_FOR_MS = 30 * 60_000  # GenerateUploadUrlRequest: "the signed URL … is valid for 30 minutes".
_ZIPPED_BYTES_MAX = 512 * 1024 * 1024
_FETCH_S = 60.0
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_COULD_NOT = "Failed to retrieve function source code"


def upload_to(tx: Tx, call: Call, project: str, location: str, generation: int) -> tuple[str, str]:
    """A bucket's name and an object's, where one zip may be put."""
    token = call.new_id()
    UPLOADS.put(tx, token, row=Upload(project, location, call.now_ms + _GOOD_FOR_MS))
    bucket = f"gcf-v{generation}-uploads-{projects.number(project)}.{location}.cloudfunctions.appspot.com"
    return bucket, f"{token}.zip"


def download_from(tx: Tx, call: Call, function: state.Function) -> str:
    """The path of an address where the zip can be had."""
    token = call.new_id()
    at = function.at
    UPLOADS.put(tx, token, row=Upload(at.project, at.location, call.now_ms + _GOOD_FOR_MS, function.source))
    return f"/gcf-v{function.generation}-sources-{projects.number(at.project)}-{at.location}/{token}.zip"


class Addresses:
    """Where zips are put and had."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        return [Route(self._put, path=_UPLOAD), Route(self._get, path=_DOWNLOAD)]

    async def _put(self, request: Request) -> Response:
        found = _UPLOAD.match(request.path)
        assert found is not None
        token = found["token"]
        if request.method != "PUT":
            return _refused(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if len(request.body) > _ZIPPED_BYTES_MAX:
            return _refused(400, "EntityTooLarge", "Your proposed upload is larger than the maximum object size.")
        house = self._house
        if await house.store.transact(_open, token, house.clock.now_ms()) is None:
            return _refused(403, "AccessDenied", "Access denied.")
        try:
            blob = await house.blobs.put(request.body, owner=house.ids.new())
            unnamed = await house.store.transact(_keep, token, blob)
        except StoreError as error:
            return _refused(503, "ServiceUnavailable", str(error))
        if unnamed:
            house.blobs.delete(unnamed)
        return Response(200, [("x-goog-hash", f"sha256={blob.partition('-')[0]}")])

    async def _get(self, request: Request) -> Response:
        found = _DOWNLOAD.match(request.path)
        assert found is not None
        upload = await self._house.store.transact(_open, found["token"], self._house.clock.now_ms())
        if request.method != "GET" or upload is None or not self._house.blobs.path(upload.blob).is_file():
            return _refused(403, "AccessDenied", "Access denied.")
        return Response(200, [("content-type", "application/zip")], self._house.blobs.path(upload.blob))


async def fetch(house: House, settings: Any, *, owner: str) -> str:
    """The zip that the settings of a function name, kept under a name of that owner's. Raises `RpcError`."""
    token, bucket, name = _asked(settings)
    if token:
        upload = await house.store.transact(UPLOADS.get, token)
        if upload is None or not upload.blob:
            raise RpcError(Code.INVALID_ARGUMENT, f"{_COULD_NOT}: nothing was uploaded there.")
        try:
            return await house.blobs.link(upload.blob, owner=owner)
        except FileNotFoundError as error:
            raise RpcError(Code.INVALID_ARGUMENT, _COULD_NOT) from error
    place = f"b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
    content = await asyncio.to_thread(_download, f"{house.endpoint()}/storage/v1/{place}")
    return await house.blobs.put(content, owner=owner)


def _asked(settings: Any) -> tuple[str, str, str]:
    """The token of an address of ours; else a bucket and an object in it."""
    if settings.DESCRIPTOR.full_name.endswith(".v1.CloudFunction"):
        if settings.source_archive_url:
            bucket, _, name = settings.source_archive_url.removeprefix("gs://").partition("/")
            return "", bucket, name
        found = _UPLOAD.search(settings.source_upload_url.partition("?")[0])
        return (found["token"] if found else "?"), "", ""
    source = settings.build_config.source.storage_source
    found = _UPLOAD.match(f"/{source.bucket}/{source.object}")
    return (found["token"], "", "") if found else ("", source.bucket, source.object)


def _download(url: str) -> bytes:
    request = urllib.request.Request(f"{url}?alt=media", headers={"Authorization": "Bearer functions"})
    try:
        with _DIRECTLY.open(request, timeout=_FETCH_S) as answer:
            content: bytes = answer.read(_ZIPPED_BYTES_MAX + 1)
    except (OSError, urllib.error.URLError) as error:
        raise RpcError(Code.INVALID_ARGUMENT, f"{_COULD_NOT}: {url.partition('/b/')[2]} cannot be read.") from error
    if len(content) > _ZIPPED_BYTES_MAX:
        raise RpcError(Code.INVALID_ARGUMENT, f"{_COULD_NOT}: the archive is too large.")
    return content


def _open(tx: Tx, token: str, now_ms: int) -> Upload | None:
    upload = UPLOADS.get(tx, token)
    return upload if upload is not None and now_ms < upload.expires_ms else None


def _keep(tx: Tx, token: str, blob: str) -> str:
    """What nobody names any more: what lay there before, or this one where the address has gone."""
    upload = UPLOADS.get(tx, token, lock=True)
    if upload is None:
        return blob
    UPLOADS.put(tx, token, row=replace(upload, blob=blob))
    return upload.blob


def _refused(status: int, code: str, message: str) -> Response:
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(status, [("content-type", "application/xml; charset=UTF-8")], body.encode())
