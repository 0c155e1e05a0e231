"""Objects: inserted, told of, read, listed, changed, deleted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from msgspec.structs import replace

from fogbank.gcp.services.storage import (
    acl,
    changes,
    conditions,
    contents,
    encryption,
    listing,
    media,
    multipart,
    resources,
    shown,
    state,
    writing,
)  # fmt: skip
from fogbank.gcp.services.storage.asking import Later
from fogbank.gcp.services.storage.errors import StorageError, invalid
from fogbank.gcp.services.storage.nouns.noun import Noun
from fogbank.gcp.services.storage.uploads import Finished, Standing, Uploads
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.contents import Content
    from fogbank.gcp.services.storage.objects import Objects as Made
    from fogbank.gcp.services.storage.state import Bucket, Object
    from fogbank.kernel.store import Tx


class Objects(Noun):
    noun: ClassVar = "objects"

    def __init__(self, house: House, objects: Made) -> None:
        super().__init__(house, objects)
        self.uploads = Uploads(house, objects)

    # -- inserting --

    def insert(self, tx: Tx, asked: Asked) -> dict[str, Any] | Response | Later:
        parameters = asked.parameters
        if "upload_id" in parameters:
            return Later(partial(self._go_on, asked))
        match parameters.get("uploadType"):
            case "media":
                told, body = _named({}, asked), asked.body
                if "content-type" in asked.headers:
                    told["contentType"] = asked.headers["content-type"]
            case "multipart":
                raw, part = multipart.upload(asked.body, asked.headers.get("content-type", ""))
                told, body = _named(read_resource(raw), asked), part.body
                if not told.get("contentType") and "content-type" in part.headers:
                    told["contentType"] = part.headers["content-type"]
            case "resumable":
                return self._begin(tx, asked)
            case _:
                told_why = (
                    "Upload requests must include an uploadType URL parameter and a URL path beginning with /upload/"
                )
                raise StorageError(400, "wrongUrlForUpload", told_why)
        told |= contents.hashes_told(asked.headers)
        if not contents.is_small(body):
            return Later(partial(self._insert_large, asked, told, body))
        (kept, owner), loose = self._insert(tx, contents.small(body), told, asked)
        made = shown.object_(owner, kept, asked.base, full=asked.full)
        return Later(partial(self._drop, loose, made)) if loose else made

    async def _insert_large(self, asked: Asked, told: dict[str, Any], body: bytes | memoryview) -> dict[str, Any]:
        await self.house.store.transact(state.bucket, asked.parameters["bucket"])
        content = await contents.kept(self.house.blobs, body, asked.new_id())
        kept, owner = await self.objects.keep(
            content.blob, partial(self._insert, content=content, told=told, asked=asked)
        )
        return shown.object_(owner, kept, asked.base, full=asked.full)

    def _insert(
        self, tx: Tx, content: Content, told: dict[str, Any], asked: Asked
    ) -> tuple[tuple[Object, Bucket], list[str]]:
        contents.check(content, told)
        owner, kept, loose = self.objects.insert(
            tx, asked.parameters["bucket"], told["name"], content, told, asked, parameters=asked.parameters,
            key_sha256=encryption.key_sha256(asked.headers),
        )  # fmt: skip
        return (kept, owner), loose

    def _begin(self, tx: Tx, asked: Asked) -> Response:
        told = _named(read_resource(bytes(asked.body)), asked)
        if not told.get("contentType") and "x-upload-content-type" in asked.headers:
            told["contentType"] = asked.headers["x-upload-content-type"]
        bucket = asked.parameters["bucket"]
        begun = self.uploads.begin(tx, bucket, told["name"], told, asked)
        where = f"{asked.base}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={begun.id}"
        return Response(200, [("Location", where), ("X-GUploader-UploadID", begun.id)])

    async def _go_on(self, asked: Asked) -> dict[str, Any] | Response:
        upload_id = asked.parameters["upload_id"]
        if asked.parameters.get("method") == "DELETE":
            await self.uploads.cancel(upload_id, asked)
            return Response(499, [("X-GUploader-UploadID", upload_id)])
        stands = await self.uploads.go_on(upload_id, asked)
        if isinstance(stands, Finished):
            return shown.object_(stands.owner, stands.row, asked.base, full=asked.full)
        return standing(stands, upload_id, asked)

    # -- reading --

    def get(self, tx: Tx, asked: Asked) -> dict[str, Any] | Response:
        owner, found = self._found(tx, asked)
        conditions.check(found, asked.parameters, reads=True)
        conditions.check_headers(found, asked.headers)
        if asked.parameters.get("alt") == "media":
            return media.response(self.house.blobs, found, asked.headers, asked.parameters)
        told = shown.object_(owner, found, asked.base, full=asked.full)
        if found.key_sha256:
            if "x-goog-encryption-key" in asked.headers:
                encryption.check(found, asked.headers)
            else:  # "crc32c and md5Hash … are not returned" to those who have not got the key.
                told = {name: value for name, value in told.items() if name not in ("crc32c", "md5Hash")}
        return told

    def _found(self, tx: Tx, asked: Asked) -> tuple[Bucket, Object]:
        owner, name = state.bucket(tx, asked.parameters["bucket"]), asked.parameters["object"]
        generation = conditions.number(asked.parameters, "generation")
        if asked.parameters.get("softDeleted") == "true":
            if generation is None:
                raise invalid("Invalid argument. The generation of a soft-deleted object is required.")
            return owner, state.soft_deleted(tx, owner, name, generation, asked.now_ms)
        return owner, state.object_(tx, owner, name, generation)

    def list_(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        owner, query = state.bucket(tx, asked.parameters["bucket"]), listing.read(asked.parameters)
        made = listing.page(tx, owner, query, asked.now_ms)
        told = [shown.object_(owner, row, asked.base, full=asked.full) for row in made.items]
        return {"kind": "storage#objects", **listing.prefixes_and_items(made, told)}

    # -- changing --

    def patch(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        return self._changed(tx, asked, whole=False)

    def update(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        return self._changed(tx, asked, whole=True)

    def _changed(self, tx: Tx, asked: Asked, *, whole: bool) -> dict[str, Any]:
        owner = state.bucket(tx, asked.parameters["bucket"])
        generation = conditions.number(asked.parameters, "generation")
        found = state.object_(tx, owner, asked.parameters["object"], generation, lock=True)
        conditions.check(found, asked.parameters)
        merge = resources.updated if whole else resources.patched
        overrides = asked.parameters.get("overrideUnlockedRetention") == "true"
        told = merge(found, asked.resource, owner, asked.now_ms, overrides=overrides)
        released = found.told.get("eventBasedHold") and not told.get("eventBasedHold")
        changed = replace(
            found, told=told, acl=_acl(owner, found, asked), held_ms=asked.now_ms if released else found.held_ms
        )
        return shown.object_(owner, self._keep(tx, owner, found, changed, asked), asked.base, full=asked.full)

    def _keep(self, tx: Tx, owner: Bucket, was: Object, changed: Object, asked: Asked) -> Object:
        kept = replace(changed, metageneration=was.metageneration + 1, updated_ms=asked.now_ms)
        state.rewrite(tx, owner, was, kept)
        self.objects.changes.tell(tx, changes.UPDATED, owner, kept, asked)
        return kept

    def delete(self, tx: Tx, asked: Asked) -> Later | None:
        owner = state.bucket(tx, asked.parameters["bucket"])
        generation = conditions.number(asked.parameters, "generation")
        found = state.object_(tx, owner, asked.parameters["object"], generation, lock=True)
        conditions.check(found, asked.parameters)
        archives = generation is None and owner.is_versioned
        loose = writing.remove(tx, self.objects.changes, owner, found, asked, archives=archives)
        return Later(partial(self._drop, loose)) if loose else None

    async def _drop(self, loose: list[str], answer: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Once it is kept that nobody names them."""
        self.objects.drop(loose)
        return answer


def read_resource(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise StorageError(400, "parseError", "Parse Error") from None
    if not isinstance(told, dict):
        raise StorageError(400, "parseError", "Parse Error")
    return told


def _named(told: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """With the name of the object, which the query may tell and then wins, and its coding."""
    name = asked.parameters.get("name") or told.get("name")
    if not isinstance(name, str):
        raise StorageError(400, "required", "Required", place=("parameter", "name"))
    given = {"name": name}
    for parameter, member in (("contentEncoding", "contentEncoding"), ("kmsKeyName", "kmsKeyName")):
        if asked.parameters.get(parameter):
            given[member] = asked.parameters[parameter]
    return {**told, **given}


def standing(stands: Standing, upload_id: str, asked: Asked) -> Response:
    """308, which some clients' libraries take for a redirect: they ask for 200 in its place."""
    headers = [("X-GUploader-UploadID", upload_id)]
    if stands.received:
        headers.append(("Range", f"bytes=0-{stands.received - 1}"))
    if asked.headers.get("x-guploader-no-308") == "yes":
        return Response(200, [*headers, ("X-HTTP-Status-Code-Override", "308")])
    return Response(308, headers)


def _acl(owner: Bucket, found: Object, asked: Asked) -> acl.Entries:
    predefined = asked.parameters.get("predefinedAcl", "")
    told = asked.resource.get("acl")
    if not predefined and not told:
        return found.acl
    return acl.of_new_object(owner, {"acl": told}, predefined)
