"""Objects over the XML API: put, read, copied, composed, deleted, uploaded piece by piece."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from msgspec.structs import replace

from fogbank.gcp.services.storage import (
    conditions,
    contents,
    encryption,
    media,
    state,
    times,
    writing,
    xml_documents,
)  # fmt: skip
from fogbank.gcp.services.storage.errors import StorageError, invalid, not_modified
from fogbank.gcp.services.storage.nouns.copies import Copies
from fogbank.gcp.services.storage.nouns.objects import standing
from fogbank.gcp.services.storage.uploads import Finished, Uploads
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.objects import Objects
    from fogbank.gcp.services.storage.state import Object
    from fogbank.kernel.store import Tx

_META: Final = "x-goog-meta-"
_MEMBERS: Final = {
    "content-type": "contentType", "cache-control": "cacheControl", "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding", "content-language": "contentLanguage",
    "x-goog-storage-class": "storageClass", "x-goog-custom-time": "customTime",
}  # fmt: skip
# "x-goog-acl": the names of the JSON API with a dash before each capital.
_ACLS: Final = {
    "private": "private", "public-read": "publicRead", "public-read-write": "publicReadWrite",
    "authenticated-read": "authenticatedRead", "bucket-owner-read": "bucketOwnerRead",
    "bucket-owner-full-control": "bucketOwnerFullControl", "project-private": "projectPrivate",
}  # fmt: skip

_OF_SOURCE: Final = {
    "generation": "sourceGeneration", "if-generation-match": "ifSourceGenerationMatch",
    "if-metageneration-match": "ifSourceMetagenerationMatch",
}  # fmt: skip


class XmlObjects:
    def __init__(self, house: House, objects: Objects) -> None:
        self._house, self._objects = house, objects
        self._copies, self._uploads = Copies(house, objects), Uploads(house, objects)

    def get(self, tx: Tx, asked: Asked) -> Response:
        owner = state.bucket(tx, asked.parameters["bucket"])
        found = state.object_(tx, owner, asked.parameters["object"], conditions.number(asked.parameters, "generation"))
        conditions.check(found, asked.parameters, reads=True)
        _check_headers(found, asked)
        response = media.response(self._house.blobs, found, asked.headers, asked.parameters)
        told = [("ETag", etag(found)), *meta_headers(found)]
        response.headers = [*((name, text) for name, text in response.headers if name != "ETag"), *told]
        return response

    async def put(self, asked: Asked) -> Response:
        await self._house.store.transact(state.bucket, asked.parameters["bucket"])
        key_sha256 = encryption.key_sha256(asked.headers)
        told = resource_of(asked.headers) | contents.hashes_told(asked.headers)
        content = await contents.kept(self._house.blobs, asked.body, asked.new_id())
        parameters = {**asked.parameters, "predefinedAcl": acl_of(asked.headers)}

        def put(tx: Tx) -> tuple[Object, list[str]]:
            contents.check(content, told)
            _, kept, loose = self._objects.insert(
                tx, asked.parameters["bucket"], asked.parameters["object"], content, told, asked,
                parameters=parameters, key_sha256=key_sha256,
            )  # fmt: skip
            return kept, loose

        return made(await self._objects.keep(content.blob, put))

    async def copy(self, asked: Asked) -> Response:
        bucket, _, name = asked.headers["x-goog-copy-source"].removeprefix("/").partition("/")
        headers = asked.headers
        parameters = {
            **asked.parameters, "sourceBucket": unquote(bucket), "sourceObject": unquote(name),
            "destinationBucket": asked.parameters["bucket"], "destinationObject": asked.parameters["object"],
            "destinationPredefinedAcl": acl_of(headers),
        }  # fmt: skip
        for header, parameter in _OF_SOURCE.items():
            if f"x-goog-copy-source-{header}" in headers:
                parameters[parameter] = headers[f"x-goog-copy-source-{header}"]
        replaces = headers.get("x-goog-metadata-directive", "COPY").upper() == "REPLACE"
        told = resource_of(headers) if replaces else {}
        if "x-goog-storage-class" in headers:
            told["storageClass"] = headers["x-goog-storage-class"]
        _, row = await self._copies.copied(replace(asked, parameters=parameters, resource=told))
        shown = [("LastModified", times.told(row.updated_ms)), ("ETag", etag(row))]
        response = xml_documents.response("CopyObjectResult", shown)
        response.headers = [*response.headers, *numbers(row)]
        return response

    async def compose(self, asked: Asked) -> Response:
        sources = []
        for component in xml_documents.read(asked.body):
            told = xml_documents.texts(component)
            one: dict[str, Any] = {"name": told.get("Name")}
            if "Generation" in told:
                one["generation"] = told["Generation"]
            if "IfGenerationMatch" in told:
                one["objectPreconditions"] = {"ifGenerationMatch": told["IfGenerationMatch"]}
            sources.append(one)
        where = {"destinationBucket": asked.parameters["bucket"], "destinationObject": asked.parameters["object"]}
        resource = {"sourceObjects": sources, "destination": resource_of(asked.headers)}
        await self._copies.compose(replace(asked, parameters={**asked.parameters, **where}, resource=resource))
        return made(await self._house.store.transact(self._live, asked))

    def _live(self, tx: Tx, asked: Asked) -> Object:
        return state.object_(tx, state.bucket(tx, asked.parameters["bucket"]), asked.parameters["object"])

    async def delete(self, asked: Asked) -> Response:
        def delete(tx: Tx) -> tuple[None, list[str]]:
            owner = state.bucket(tx, asked.parameters["bucket"])
            generation = conditions.number(asked.parameters, "generation")
            found = state.object_(tx, owner, asked.parameters["object"], generation, lock=True)
            conditions.check(found, asked.parameters)
            archives = generation is None and owner.is_versioned
            return None, writing.remove(tx, self._objects.changes, owner, found, asked, archives=archives)

        await self._objects.keep("", delete)
        return Response(204)

    # -- resumable uploads: the protocol is the JSON API's --

    def begin(self, tx: Tx, asked: Asked) -> Response:
        bucket, name = asked.parameters["bucket"], asked.parameters["object"]
        parameters = {**asked.parameters, "predefinedAcl": acl_of(asked.headers)}
        begun = self._uploads.begin(tx, bucket, name, resource_of(asked.headers), replace(asked, parameters=parameters))
        path = f"/{quote(name)}" if asked.base.startswith(f"https://{bucket}.") else f"/{bucket}/{quote(name)}"
        where = f"{asked.base}{path}?upload_id={begun.id}"
        return Response(201, [("Location", where), ("X-GUploader-UploadID", begun.id)])

    async def go_on(self, asked: Asked) -> Response:
        upload_id = asked.parameters["upload_id"]
        stands = await self._uploads.go_on(upload_id, asked)
        return made(stands.row) if isinstance(stands, Finished) else standing(stands, upload_id, asked)

    async def cancel(self, asked: Asked) -> Response:
        await self._uploads.cancel(asked.parameters["upload_id"], asked)
        return Response(204)


def resource_of(headers: Mapping[str, str]) -> dict[str, Any]:
    """An object's metadata, as the JSON API calls it."""
    told: dict[str, Any] = {member: headers[name] for name, member in _MEMBERS.items() if headers.get(name)}
    coding = [
        one.strip() for one in told.pop("contentEncoding", "").split(",") if one.strip() not in ("", "aws-chunked")
    ]
    if coding:
        told["contentEncoding"] = ",".join(coding)
    own = {name.removeprefix(_META): text for name, text in headers.items() if name.startswith(_META)}
    return told | ({"metadata": own} if own else {})


def acl_of(headers: Mapping[str, str]) -> str:
    name = headers.get("x-goog-acl", "")
    if name and name not in _ACLS:
        raise invalid(f"Invalid x-goog-acl: {name[:64]}")
    return _ACLS.get(name, "")


def etag(row: Object) -> str:
    """ "the MD5 hash of the object" in hex, or of a composite object something else."""
    return f'"{row.md5.hex()}"' if row.md5 else f'"-{row.etag}"'


def meta_headers(row: Object) -> list[tuple[str, str]]:
    return [(f"{_META}{name}", str(text)) for name, text in row.told.get("metadata", {}).items() if _is_header(name)]


def numbers(row: Object) -> list[tuple[str, str]]:
    return [("x-goog-generation", str(row.generation)), ("x-goog-metageneration", str(row.metageneration))]


def made(row: Object) -> Response:
    """What is told of an object that has just been."""
    hashes = f"crc32c={b64encode(row.crc32c.to_bytes(4)).decode()}"
    hashes += f",md5={b64encode(row.md5).decode()}" if row.md5 else ""
    return Response(200, [
        ("ETag", etag(row)), *numbers(row), ("x-goog-hash", hashes), ("x-goog-stored-content-length", str(row.size)),
        ("x-goog-stored-content-encoding", row.told.get("contentEncoding", "identity")),
    ])  # fmt: skip


def _is_header(name: str) -> bool:
    """Custom metadata of the JSON API may be called as no header can be."""
    return bool(name) and all("!" <= mark <= "~" and mark not in '"(),/:;<=>?@[\\]{}' for mark in name)


def _check_headers(row: Object, asked: Asked) -> None:
    wanted, unwanted = asked.headers.get("if-match"), asked.headers.get("if-none-match")
    if wanted is not None and not _names(wanted, row):
        raise StorageError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
    if unwanted is not None and _names(unwanted, row):
        raise not_modified(etag(row))


def _names(told: str, row: Object) -> bool:
    return any(one.strip() in ("*", etag(row), etag(row).strip('"')) for one in told.split(","))
