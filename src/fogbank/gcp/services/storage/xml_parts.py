"""Uploads in parts, as S3's tools make them ("XML API multipart uploads" in the manual)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.storage import contents, encryption, names, resources, state, times, uploads, xml_documents
from fogbank.gcp.services.storage.errors import StorageError, invalid
from fogbank.gcp.services.storage.state import PARTS, UPLOADS, Part, Upload
from fogbank.gcp.services.storage.xml_objects import acl_of, etag, numbers, resource_of
from fogbank.kernel.gateway.messages import Response
from fogbank.primitives import blobs

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.contents import Content
    from fogbank.gcp.services.storage.objects import Objects
    from fogbank.gcp.services.storage.state import Object
    from fogbank.kernel.store import Tx
    from fogbank.primitives.blobs import Blobs

PART_BYTES_MIN: Final = 5 * 1024 * 1024  # Of all but the last.
_PARTS_MAX: Final = 10_000
_PAGE_MAX: Final = 1000


class XmlParts:
    def __init__(self, house: House, objects: Objects) -> None:
        self._house, self._objects = house, objects

    @property
    def _blobs(self) -> Blobs:
        return self._house.blobs

    def begin(self, tx: Tx, asked: Asked) -> Response:
        bucket, name = asked.parameters["bucket"], asked.parameters["object"]
        owner, told = state.bucket(tx, bucket), resource_of(asked.headers)
        names.check_object(name)
        resources.of_new(told, owner, asked.now_ms)
        resources.storage_class(told, owner)
        begun = Upload(
            asked.new_id().replace("-", ""), bucket, owner.id, name, asked.now_ms, told,
            {"predefinedAcl": acl_of(asked.headers)}, in_parts=True, key_sha256=encryption.key_sha256(asked.headers),
        )  # fmt: skip
        UPLOADS.put(tx, begun.id, row=begun)
        told_of = [("Bucket", bucket), ("Key", name), ("UploadId", begun.id)]
        return xml_documents.response("InitiateMultipartUploadResult", told_of)

    async def upload_part(self, asked: Asked) -> Response:
        upload = await self._house.store.transact(_upload, asked)
        number = asked.parameters.get("partNumber", "")
        if not number.isascii() or not number.isdigit() or not 1 <= int(number[:6]) <= _PARTS_MAX:
            raise invalid("Part number must be an integer between 1 and 10000, inclusive")
        content = await contents.as_blob(self._blobs, blobs.slices(asked.body), asked.new_id())
        part = Part(int(number), content.size, content.md5, content.crc32c, content.blob, asked.now_ms)

        def put(tx: Tx) -> tuple[None, list[str]]:
            contents.check(content, contents.hashes_told(asked.headers))
            _upload(tx, asked, lock=True)
            before = PARTS.get(tx, upload.id, part.number)
            PARTS.put(tx, upload.id, part.number, row=part)
            return None, [before.blob] if before is not None else []

        await self._objects.keep(content.blob, put)
        return Response(200, [("ETag", f'"{content.md5.hex()}"')])

    async def complete(self, asked: Asked) -> Response:
        upload, parts = await self._house.store.transact(_chosen, asked)
        try:
            content = await contents.joined_parts(self._blobs, parts, asked.new_id())
        except FileNotFoundError as error:  # Another request has ended it meanwhile.
            raise _no_upload() from error
        put = partial(self._complete, upload=upload, content=content, asked=asked)
        row = await self._objects.keep(content.blob, put)
        where = f"{asked.base}/{upload.bucket}/{upload.name}"
        told = [("Location", where), ("Bucket", upload.bucket), ("Key", upload.name), ("ETag", etag(row))]
        response = xml_documents.response("CompleteMultipartUploadResult", told)
        response.headers = [*response.headers, *numbers(row)]
        return response

    def _complete(self, tx: Tx, upload: Upload, content: Content, asked: Asked) -> tuple[Object, list[str]]:
        _upload(tx, asked, lock=True)
        whole = replace(content, md5=b"")  # "do not have an MD5 hash", as composite objects have none.
        parameters = {
            **upload.parameters,
            **{name: text for name, text in asked.parameters.items() if name.startswith("if")},
        }
        _, row, loose = self._objects.insert(
            tx, upload.bucket, upload.name, whole, upload.resource, asked, parameters=parameters,
            key_sha256=upload.key_sha256,
        )  # fmt: skip
        return row, loose + uploads.forget(tx, upload)

    async def abort(self, asked: Asked) -> Response:
        def abort(tx: Tx) -> tuple[None, list[str]]:
            return None, uploads.forget(tx, _upload(tx, asked, lock=True))

        await self._objects.keep("", abort)
        return Response(204)

    def list_parts(self, tx: Tx, asked: Asked) -> Response:
        upload = _upload(tx, asked)
        marker = asked.parameters.get("part-number-marker", "0")
        after, limit = int(marker) if marker.isdigit() else 0, _limit(asked, "max-parts")
        behind = [part for part in PARTS.all(tx, upload.id) if part.number > after]
        shown = behind[:limit]
        told: list[tuple[str, Any]] = [
            ("Bucket", upload.bucket), ("Key", upload.name), ("UploadId", upload.id), ("PartNumberMarker", after),
            ("NextPartNumberMarker", shown[-1].number if shown else 0), ("MaxParts", limit),
            ("IsTruncated", len(behind) > len(shown)), *(("Part", _shown(part)) for part in shown),
        ]  # fmt: skip
        return xml_documents.response("ListPartsResult", told)

    def list_uploads(self, tx: Tx, asked: Asked) -> Response:
        bucket, prefix = state.bucket(tx, asked.parameters["bucket"]), asked.parameters.get("prefix", "")
        found = [row for row in UPLOADS.all(tx) if row.in_parts and row.bucket_id == bucket.id]
        fitting = sorted((row for row in found if row.name.startswith(prefix)), key=lambda row: (row.name, row.id))
        marker = asked.parameters.get("key-marker", ""), asked.parameters.get("upload-id-marker", "")
        behind = [row for row in fitting if (row.name, row.id) > (marker[0], marker[1] or "~")]
        shown = behind[: _limit(asked, "max-uploads")]
        told: list[tuple[str, Any]] = [
            ("Bucket", bucket.name), ("Prefix", prefix), ("IsTruncated", len(behind) > len(shown)),
        ]  # fmt: skip
        if len(behind) > len(shown):
            told += [("NextKeyMarker", shown[-1].name), ("NextUploadIdMarker", shown[-1].id)]
        told += [
            ("Upload", [("Key", row.name), ("UploadId", row.id), ("Initiated", times.told(row.started_ms))])
            for row in shown
        ]  # fmt: skip
        return xml_documents.response("ListMultipartUploadsResult", told)


def _upload(tx: Tx, asked: Asked, *, lock: bool = False) -> Upload:
    bucket = state.bucket(tx, asked.parameters["bucket"])
    found = UPLOADS.get(tx, asked.parameters["uploadId"], lock=lock)
    if found is None or not found.in_parts or (found.bucket_id, found.name) != (bucket.id, asked.parameters["object"]):
        raise _no_upload()
    return found


def _no_upload() -> StorageError:
    told = "The requested upload was not found."
    return StorageError(404, "notFound", told, code="NoSuchUpload")


def _chosen(tx: Tx, asked: Asked) -> tuple[Upload, list[Part]]:
    """The parts that the caller names, in order. Raises InvalidPart, InvalidPartOrder, EntityTooSmall."""
    upload, root = _upload(tx, asked), xml_documents.read(asked.body)
    named = [xml_documents.texts(one) for one in root if one.tag == "Part"]
    if not named or not all(one.get("PartNumber", "").isdigit() for one in named):
        raise xml_documents.malformed()
    order = [int(one["PartNumber"][:6]) for one in named]
    if order != sorted(set(order)):
        raise _bad("InvalidPartOrder", "The list of parts was not in ascending order.")
    there = {part.number: part for part in PARTS.all(tx, upload.id)}
    parts = []
    for number, one in zip(order, named, strict=True):
        part = there.get(number)
        if part is None or one.get("ETag", "").strip('"') != part.md5.hex():
            raise _bad("InvalidPart", "One or more of the specified parts could not be found.")
        parts.append(part)
    if any(part.size < PART_BYTES_MIN for part in parts[:-1]):
        raise _bad("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
    return upload, parts


def _bad(code: str, message: str) -> StorageError:
    return StorageError(400, "invalid", message, code=code)


def _shown(part: Part) -> list[tuple[str, Any]]:
    return [
        ("PartNumber", part.number), ("LastModified", times.told(part.at_ms)), ("ETag", f'"{part.md5.hex()}"'),
        ("Size", part.size),
    ]  # fmt: skip


def _limit(asked: Asked, name: str) -> int:
    text = asked.parameters.get(name, "")
    return min(int(text[:6]), _PAGE_MAX) if text.isdigit() and int(text[:6]) else _PAGE_MAX
