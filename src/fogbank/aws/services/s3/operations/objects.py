"""Objects: put, read (whole or in part), copied, deleted, tagged."""

from __future__ import annotations

import asyncio
import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.protocol.times import moment
from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.s3 import answers, checksums, state, unserved
from fogbank.aws.services.s3.state import Object
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_DELETED_MAX = 1000
_OF_THE_COPY = {"StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled"}
_PIECE_BYTES = 1 << 20
_PARTS_PAGE_MAX = 1000


class Objects(Operations):
    service: ClassVar = "s3"
    refused: ClassVar = unserved.REFUSED
    without_effect: ClassVar = unserved.WITHOUT_EFFECT

    async def put_object(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        body = request.get("Body", b"")
        answers.check_key(request["Key"])
        answers.check_acl(request)
        answers.check_metadata(request.get("Metadata", {}))
        bucket = await self.house.store.transact(state.bucket_of, request)
        encryption = answers.encryption(bucket, request)
        kept = checksums.check(request, body)
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        small = len(body) <= state.IN_ROW_BYTES_MAX
        made = Object(
            request["Key"], etag, len(body), call.now_ms, answers.chosen_headers(request) | encryption,
            request.get("Metadata", {}), kept, answers.chosen_tags(request.get("Tagging", "")),
            bytes(body) if small else b"",
            "" if small else await self.house.blobs.put(body, owner=call.new_id()),
            checksum_type=checksums.FULL_OBJECT,
        )  # fmt: skip
        version = await self._keep(call, request, made)
        shown = {"ETag": f'"{etag}"', "ChecksumType": made.checksum_type, **kept, **version}
        return shown | answers.encrypted(encryption)

    async def _keep(self, call: Call, request: dict[str, Any], made: Object) -> dict[str, str]:
        """Put it under its key; its blob does not stay if that fails."""
        try:
            version, loose = await self.house.store.transact(self._put, request, made, call.new_id())
        except BaseException:
            self._drop([made.blob] if made.blob else [])
            raise
        self._drop(loose)
        return version

    def _put(self, tx: Tx, request: dict[str, Any], made: Object, new_id: str) -> tuple[dict[str, str], list[str]]:
        bucket = state.bucket_of(tx, request)
        answers.check_write_conditions(state.OBJECTS.get(tx, bucket.name, made.key, lock=True), request)
        kept, loose = state.put(tx, bucket, made, new_id)
        return answers.of_version(bucket, kept), loose

    def get_object(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.object_of(tx, request)
        answers.check_conditions(found, request)
        start, length, shown = answers.part_of(found, request)
        answer = answers.described(state.bucket_of(tx, request), found) | shown
        names = [name for name in answers.OVERRIDES if f"Response{name}" in request]
        answer |= {name: request[f"Response{name}"] for name in names}
        answer |= answers.checksums_of(found, request, length)
        if found.blob:
            answer["Body"] = Response(body=self.house.blobs.path(found.blob), offset=start, length=length)
        else:
            answer["Body"] = found.body[start : start + length]
        return answer

    def head_object(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        try:
            found = state.object_of(tx, request)
        except ServiceError as error:  # A HEAD has no body to tell why.
            code, told = ("405", "Method Not Allowed") if error.status == 405 else ("404", "Not Found")
            raise ServiceError(code, told, status=error.status, headers=error.headers) from error
        answers.check_conditions(found, request)
        _, length, shown = answers.part_of(found, request)
        checks = answers.checksums_of(found, request, length)
        named = {name: request[f"Response{name}"] for name in answers.OVERRIDES if f"Response{name}" in request}
        return {**answers.described(state.bucket_of(tx, request), found), **shown, **named, **checks}

    def get_object_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.object_of(tx, request)
        shown: dict[str, Any] = {
            "ETag": found.etag,
            "Checksum": {**found.checksums, "ChecksumType": found.checksum_type} if found.checksums else {},
            "ObjectParts": _parts(found, request) if found.parts else None,
            "StorageClass": found.headers.get("StorageClass", "STANDARD"),
            "ObjectSize": found.size,
        }
        asked = {name: shown[name] for name in request["ObjectAttributes"] if shown.get(name) not in (None, {})}
        version = answers.of_version(state.bucket_of(tx, request), found)
        return {**asked, **version, "LastModified": moment(found.modified_ms)}

    # -- deleting --

    async def delete_object(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        answer, loose = await self.house.store.transact(self._delete, call, request, request, call.new_id())
        self._drop(loose)
        return {name: answer[name] for name in ("DeleteMarker", "VersionId") if name in answer}

    async def delete_objects(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request["Delete"]["Objects"]
        if len(wanted) > _DELETED_MAX:
            told = "The XML you provided was not well-formed or did not validate against our published schema"
            raise ServiceError("MalformedXML", told)
        deleted: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for one in wanted:
            condition = {**one, "IfMatch": one["ETag"]} if "ETag" in one else one
            try:
                answer, loose = await self.house.store.transact(self._delete, call, request, condition, call.new_id())
            except ServiceError as error:
                if error.code != "PreconditionFailed":
                    raise
                failed.append({"Key": one["Key"], "Code": error.code, "Message": error.message})
                continue
            self._drop(loose)
            if "VersionId" in answer and "VersionId" not in one:
                answer["DeleteMarkerVersionId"] = answer.pop("VersionId")
            deleted.append({"Key": one["Key"], **answer})
        problems: dict[str, Any] = {"Errors": failed} if failed else {}
        return problems if request["Delete"].get("Quiet") else {"Deleted": deleted, **problems}

    def _delete(
        self, tx: Tx, call: Call, request: dict[str, Any], one: dict[str, Any], new_id: str
    ) -> tuple[dict[str, Any], list[str]]:
        bucket, key, version = state.bucket_of(tx, request), one["Key"], one.get("VersionId")
        current = state.OBJECTS.get(tx, bucket.name, key, lock=True)
        answers.check_delete_condition(current, one.get("IfMatch"))
        if version is None:
            marker, loose = state.delete(tx, bucket, key, call.now_ms, new_id)
            return ({"DeleteMarker": True, "VersionId": marker.version} if marker else {}), loose
        gone, loose = state.delete_version(tx, bucket, key, version)
        was_marker = {"DeleteMarker": True} if gone is not None and gone.marker else {}
        return {"VersionId": version, **was_marker}, loose

    def _drop(self, blobs: list[str]) -> None:
        for blob in blobs:
            self.house.blobs.delete(blob)

    # -- copying --

    async def copy_object(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        bucket_name, key, version = answers.copy_source(request["CopySource"])
        answers.check_key(request["Key"])
        answers.check_acl(request)
        answers.check_metadata(request.get("Metadata", {}))
        source = await self.house.store.transact(state.source_of, request, bucket_name, key, version)
        target = await self.house.store.transact(state.bucket_of, request)
        answers.check_copy_conditions(source, request)
        same = version is None and (bucket_name, key) == (request["Bucket"], request["Key"])
        made = _copied(call, request, source, answers.encryption(target, request), same=same)
        algorithm = request.get("ChecksumAlgorithm", "")
        if source.parts or (algorithm and f"Checksum{algorithm}" not in source.checksums):
            made = await asyncio.to_thread(self._measured, made, source, algorithm)
        if source.blob:
            made = replace(made, blob=await link(self, call, source.blob))
        shown = await self._keep(call, request, made)
        shown |= {"CopySourceVersionId": source.version} if version is not None else {}
        result = {"ETag": f'"{made.etag}"', "LastModified": moment(made.modified_ms), **made.checksums}
        result |= {"ChecksumType": made.checksum_type} if made.checksums else {}
        return {"CopyObjectResult": result, **answers.encrypted(made.headers), **shown}

    def _measured(self, made: Object, source: Object, algorithm: str) -> Object:
        """A copy is one piece, whatever its source was: with an ETag and a checksum of its whole. Takes time."""
        wanted = algorithm or next(iter(source.checksums), checksums.DEFAULT).removeprefix("Checksum")
        digest, etag = checksums.new(wanted), hashlib.md5(usedforsecurity=False)
        with self.house.blobs.path(source.blob).open("rb") if source.blob else io.BytesIO(source.body) as content:
            while piece := content.read(_PIECE_BYTES):
                digest.update(piece)
                etag.update(piece)
        return replace(
            made, etag=etag.hexdigest(), checksums=checksums.shown(wanted, digest), parts=[], part_checksums=[],
            checksum_type=checksums.FULL_OBJECT,
        )  # fmt: skip

    # -- tags --

    def put_object_tagging(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        answers.check_tags(request["Tagging"]["TagSet"])
        return self._retag(tx, request, {tag["Key"]: tag["Value"] for tag in request["Tagging"]["TagSet"]})

    def delete_object_tagging(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._retag(tx, request, {})

    def get_object_tagging(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.object_of(tx, request)
        shown = answers.of_version(state.bucket_of(tx, request), found)
        return {"TagSet": [{"Key": name, "Value": value} for name, value in found.tags.items()], **shown}

    def _retag(self, tx: Tx, request: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
        found = state.object_of(tx, request)
        state.rewrite(tx, request["Bucket"], replace(found, tags=tags))
        return dict(answers.of_version(state.bucket_of(tx, request), found))


async def link(operations: Operations, call: Call, blob: str) -> str:
    """The content of an object for one more owner."""
    try:
        return await operations.house.blobs.link(blob, owner=call.new_id())
    except FileNotFoundError as error:  # It was replaced or deleted since it was looked up.
        told = "A conflicting conditional operation is currently in progress against this resource. Try again."
        raise ServiceError("OperationAborted", told, status=409) from error


def _parts(found: Object, request: dict[str, Any]) -> dict[str, Any]:
    """GetObjectAttributes, ObjectParts: one by one only where they brought checksums."""
    if not found.part_checksums:
        return {"TotalPartsCount": len(found.parts)}
    after, limit = (
        int(request.get("PartNumberMarker", 0)),
        min(request.get("MaxParts", _PARTS_PAGE_MAX), _PARTS_PAGE_MAX),
    )
    rows = [
        {"PartNumber": number, "Size": size, **sums}
        for number, (size, sums) in enumerate(zip(found.parts, found.part_checksums, strict=True), 1)
        if number > after
    ]
    page = rows[:limit]
    return {
        "TotalPartsCount": len(found.parts), "PartNumberMarker": after, "MaxParts": limit, "Parts": page,
        "NextPartNumberMarker": page[-1]["PartNumber"] if page else 0, "IsTruncated": len(rows) > len(page),
    }  # fmt: skip


def _copied(call: Call, request: dict[str, Any], source: Object, encryption: dict[str, str], *, same: bool) -> Object:
    replacing = request.get("MetadataDirective") == "REPLACE"
    changes = replacing or request.get("TaggingDirective") == "REPLACE" or bool(_OF_THE_COPY & request.keys())
    if same and not changes:
        told = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."  # noqa: E501
        raise ServiceError("InvalidRequest", told)
    made = replace(source, key=request["Key"], modified_ms=call.now_ms, marker=False)
    # CopyObject: storage class, redirect location and encryption are not taken over from the source.
    own = {name: value for name, value in source.headers.items() if name not in _OF_THE_COPY}
    given = answers.chosen_headers(request)
    of_copy = {name: value for name, value in given.items() if name in _OF_THE_COPY} | encryption
    made = replace(made, headers=own | of_copy)
    if replacing:
        made = replace(made, headers=given | encryption, metadata=request.get("Metadata", {}))
    if request.get("TaggingDirective") == "REPLACE":
        made = replace(made, tags=answers.chosen_tags(request.get("Tagging", "")))
    return made
