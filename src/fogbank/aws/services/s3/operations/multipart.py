"""Uploads in parts: begun, filled in any order, and completed to one object, or aborted.

User Guide, "Uploading and copying objects using multipart upload" and "Amazon S3 multipart upload limits".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.protocol.times import moment
from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.s3 import answers, checksums, state, unserved
from fogbank.aws.services.s3.operations.listing import encoding, page_of
from fogbank.aws.services.s3.state import Object, Part, Upload
from fogbank.primitives import blobs

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

PART_BYTES_MIN = 5 * 1024 * 1024  # Of all but the last.
PARTS_MAX = 10_000
_PAGE_MAX = 1000


class Multipart(Operations):
    service: ClassVar = "s3"
    refused: ClassVar = unserved.REFUSED
    without_effect: ClassVar = unserved.WITHOUT_EFFECT

    def create_multipart_upload(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        answers.check_key(request["Key"])
        bucket = state.bucket_of(tx, request)
        answers.check_acl(request)
        answers.check_metadata(request.get("Metadata", {}))
        algorithm = request.get("ChecksumAlgorithm", "")
        kind = checksums.kind_of_upload(algorithm, request.get("ChecksumType")) if algorithm else ""
        checksums.new(algorithm or checksums.DEFAULT)
        encryption = answers.encryption(bucket, request)
        begun = Upload(
            call.new_id().replace("-", ""), request["Key"], call.now_ms, answers.chosen_headers(request) | encryption,
            request.get("Metadata", {}), answers.chosen_tags(request.get("Tagging", "")), algorithm, kind,
        )  # fmt: skip
        state.UPLOADS.put(tx, bucket.name, begun.key, begun.id, row=begun)
        shown = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind} if algorithm else {}
        return {
            "Bucket": bucket.name, "Key": begun.key, "UploadId": begun.id, **shown, **answers.encrypted(encryption),
        }  # fmt: skip

    async def upload_part(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        upload = await self.house.store.transact(state.upload_of, request)
        _check_number(request["PartNumber"])
        body = request.get("Body", b"")
        checksums.check_part(upload.algorithm, upload.checksum_type, request)
        kept = checksums.check(request, body, upload.algorithm or checksums.DEFAULT)
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        blob = await self.house.blobs.put(body, owner=call.new_id())
        await self._keep(request, Part(request["PartNumber"], etag, len(body), call.now_ms, blob, kept))
        return {"ETag": f'"{etag}"', **kept, **answers.encrypted(upload.headers)}

    async def upload_part_copy(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        upload = await self.house.store.transact(state.upload_of, request)
        _check_number(request["PartNumber"])
        bucket, key, version = answers.copy_source(request["CopySource"])
        source = await self.house.store.transact(state.source_of, request, bucket, key, version)
        answers.check_copy_conditions(source, request)
        asked = {"Range": request["CopySourceRange"]} if "CopySourceRange" in request else {}
        start, length, _ = answers.part_of(source, asked)
        digest = hashlib.md5(usedforsecurity=False)
        algorithm = upload.algorithm or checksums.DEFAULT
        checksum = checksums.new(algorithm)
        path = self.house.blobs.path(source.blob) if source.blob else None
        pieces = blobs.pieces(path, start, length) if path else iter([source.body[start : start + length]])
        try:
            blob = await self.house.blobs.put(blobs.digesting(pieces, digest, checksum), owner=call.new_id())
        except FileNotFoundError as error:
            raise state.no_such_key(key) from error
        kept = checksums.shown(algorithm, checksum)
        part = Part(request["PartNumber"], digest.hexdigest(), length, call.now_ms, blob, kept)
        await self._keep(request, part)
        result = {"ETag": f'"{part.etag}"', "LastModified": moment(call.now_ms), **(kept if upload.algorithm else {})}
        shown = {"CopySourceVersionId": source.version} if version else {}
        return {"CopyPartResult": result, **shown, **answers.encrypted(upload.headers)}

    async def _keep(self, request: dict[str, Any], part: Part) -> None:
        try:
            loose = await self.house.store.transact(self._put_part, request, part)
        except BaseException:
            self.house.blobs.delete(part.blob)
            raise
        for blob in loose:
            self.house.blobs.delete(blob)

    def _put_part(self, tx: Tx, request: dict[str, Any], part: Part) -> list[str]:
        upload = state.upload_of(tx, request, lock=True)
        before = state.PARTS.get(tx, upload.id, part.number)
        state.PARTS.put(tx, upload.id, part.number, row=part)
        return [before.blob] if before else []

    async def complete_multipart_upload(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        upload, parts = await self.house.store.transact(self._chosen, request)
        paths = [self.house.blobs.path(part.blob) for part in parts]
        pieces = (piece for path, part in zip(paths, parts, strict=True) for piece in blobs.pieces(path, 0, part.size))
        algorithm = upload.algorithm or checksums.DEFAULT
        whole = checksums.new(algorithm)
        digests = b"".join(bytes.fromhex(part.etag) for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        sizes = [part.size for part in parts]
        if request.get("MpuObjectSize", sum(sizes)) != sum(sizes):
            told = f"The provided 'x-amz-mp-object-size' header value {request['MpuObjectSize']} does not match what was computed: {sum(sizes)}"  # noqa: E501
            raise ServiceError("InvalidRequest", told)
        try:
            blob = await self.house.blobs.put(blobs.digesting(pieces, whole), owner=call.new_id())
        except FileNotFoundError as error:  # Another request completed or aborted it meanwhile.
            raise ServiceError("OperationAborted", "The upload was ended by another request.", status=409) from error
        composite = upload.checksum_type == checksums.COMPOSITE
        own = [part.checksums for part in parts] if upload.algorithm else []
        kept = checksums.composed(algorithm, own) if composite else checksums.shown(algorithm, whole)
        made = Object(
            upload.key, etag, sum(sizes), call.now_ms, upload.headers, upload.metadata, kept, upload.tags, blob=blob,
            parts=sizes, part_checksums=own, checksum_type=upload.checksum_type or checksums.FULL_OBJECT,
        )  # fmt: skip
        try:
            checksums.compare(algorithm, kept, request)
            version, loose = await self.house.store.transact(self._complete, request, made, call.new_id())
        except BaseException:
            self.house.blobs.delete(blob)
            raise
        for one in loose:
            self.house.blobs.delete(one)
        where = f"http://{call.host}/{request['Bucket']}/{upload.key}"
        shown = {"ChecksumType": made.checksum_type, **answers.encrypted(upload.headers)}
        return {
            "Location": where, "Bucket": request["Bucket"], "Key": upload.key, "ETag": f'"{etag}"',
            **kept, **shown, **version,
        }  # fmt: skip

    def _chosen(self, tx: Tx, request: dict[str, Any]) -> tuple[Upload, list[Part]]:
        """The parts that the caller names, in order. Raises InvalidPart, InvalidPartOrder, EntityTooSmall."""
        upload = state.upload_of(tx, request)
        named = request.get("MultipartUpload", {}).get("Parts", [])
        if not named:
            told = "The XML you provided was not well-formed or did not validate against our published schema"
            raise ServiceError("MalformedXML", told)
        numbers = [one["PartNumber"] for one in named]
        if numbers != sorted(set(numbers)):
            told = (
                "The list of parts was not in ascending order. "
                "The parts list must be specified in order by part number."
            )
            raise ServiceError("InvalidPartOrder", told, fields={"UploadId": upload.id})
        there = {part.number: part for part in state.PARTS.all(tx, upload.id)}
        chosen = []
        for one in named:
            part = there.get(one["PartNumber"])
            if part is None or part.etag != one.get("ETag", "").strip('"') or _differs(part, one):
                told = "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."  # noqa: E501
                fields = {"UploadId": upload.id, "PartNumber": one["PartNumber"], "ETag": one.get("ETag", "")}
                raise ServiceError("InvalidPart", told, fields=fields)
            chosen.append(part)
        small = next((part for part in chosen[:-1] if part.size < PART_BYTES_MIN), None)
        if small is not None:
            sizes = {"ProposedSize": small.size, "MinSizeAllowed": PART_BYTES_MIN}
            fields = {**sizes, "PartNumber": small.number, "ETag": small.etag}
            told = "Your proposed upload is smaller than the minimum allowed size"
            raise ServiceError("EntityTooSmall", told, fields=fields)
        return upload, chosen

    def _complete(self, tx: Tx, request: dict[str, Any], made: Object, new_id: str) -> tuple[dict[str, str], list[str]]:
        bucket = state.bucket_of(tx, request)
        upload = state.upload(tx, bucket.name, made.key, request["UploadId"], lock=True)
        answers.check_write_conditions(state.OBJECTS.get(tx, bucket.name, made.key, lock=True), request)
        kept, loose = state.put(tx, bucket, made, new_id)
        return answers.of_version(bucket, kept), loose + state.forget_upload(tx, bucket.name, upload)

    async def abort_multipart_upload(self, call: Call, request: dict[str, Any]) -> None:
        def abort(tx: Tx) -> list[str]:
            upload = state.upload_of(tx, request, lock=True)
            return state.forget_upload(tx, request["Bucket"], upload)

        for blob in await self.house.store.transact(abort):
            self.house.blobs.delete(blob)

    # -- listing --

    def list_parts(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        upload = state.upload_of(tx, request)
        after, limit = int(request.get("PartNumberMarker", 0)), min(request.get("MaxParts", _PAGE_MAX), _PAGE_MAX)
        behind = [part for part in state.PARTS.all(tx, upload.id) if part.number > after]
        shown = behind[:limit]
        owner = {"ID": answers.owner_id(call.account)}
        checks = {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
        return {
            **(checks if upload.algorithm else {}),
            "Bucket": request["Bucket"], "Key": upload.key, "UploadId": upload.id, "PartNumberMarker": after,
            "NextPartNumberMarker": shown[-1].number if shown else 0, "MaxParts": limit,
            "IsTruncated": len(behind) > len(shown), "Initiator": owner, "Owner": owner,
            "StorageClass": upload.headers.get("StorageClass", "STANDARD"),
            "Parts": [
                {"PartNumber": part.number, "LastModified": moment(part.modified_ms), "Size": part.size,
                 "ETag": f'"{part.etag}"', **part.checksums}
                for part in shown
            ],
        }  # fmt: skip

    def list_multipart_uploads(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        bucket, page, encode = state.bucket_of(tx, request), page_of(request, "MaxUploads"), encoding(request)
        marker, id_marker = request.get("KeyMarker", ""), request.get("UploadIdMarker", "")
        owner = {"ID": answers.owner_id(call.account)}
        last_id = ""
        for upload in state.UPLOADS.all(tx, bucket.name):
            behind = upload.key > marker or (upload.key == marker and bool(id_marker) and upload.id > id_marker)
            if not upload.key.startswith(page.prefix) or not behind:
                continue
            row = {
                "UploadId": upload.id, "Key": encode(upload.key), "Initiated": moment(upload.started_ms),
                "StorageClass": upload.headers.get("StorageClass", "STANDARD"), "Owner": owner, "Initiator": owner,
            }  # fmt: skip
            if not page.take(upload.key, row):
                break
            last_id = upload.id
        shown = {n: request[n] for n in ["Prefix", "Delimiter", "EncodingType"] if n in request}
        if page.truncated:
            shown |= {"NextKeyMarker": encode(page.last), "NextUploadIdMarker": last_id}
        return {
            **shown, "Bucket": bucket.name, "KeyMarker": marker, "UploadIdMarker": id_marker, "MaxUploads": page.limit,
            "IsTruncated": page.truncated, "Uploads": page.entries,
            "CommonPrefixes": [{"Prefix": encode(group)} for group in page.rolled],
        }  # fmt: skip


def _check_number(number: int) -> None:
    if not 1 <= number <= PARTS_MAX:
        told = "Part number must be an integer between 1 and 10000, inclusive"
        raise ServiceError("InvalidArgument", told, fields={"ArgumentName": "partNumber", "ArgumentValue": number})


def _differs(part: Part, named: dict[str, Any]) -> bool:
    return any(named.get(name, value) != value for name, value in part.checksums.items())
