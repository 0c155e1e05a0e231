"""Objects: put, read (whole or in part), copied, deleted, tagged."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.protocol.times import moment
from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.s3 import answers, checksums, state
from fogbank.aws.services.s3.state import Object
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_DELETED_MAX = 1000
_TAGS_MAX = 10


class Objects(Operations):
    service: ClassVar = "s3"

    async def put_object(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        body = request.get("Body", b"")
        answers.check_key(request["Key"])
        await self.house.store.transact(state.bucket, request["Bucket"])
        kept = checksums.check(request, body)
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        small = len(body) <= state.IN_ROW_BYTES_MAX
        made = Object(
            request["Key"], etag, len(body), call.now_ms, answers.chosen_headers(request), request.get("Metadata", {}),
            kept, answers.chosen_tags(request.get("Tagging", "")), bytes(body) if small else b"",
            "" if small else await self.house.blobs.put(body, owner=call.new_id()),
        )  # fmt: skip
        version = await self._keep(call, request, made)
        return {"ETag": f'"{etag}"', "ServerSideEncryption": "AES256", **kept, **version}

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
        bucket = state.bucket(tx, request["Bucket"])
        answers.check_write_conditions(state.OBJECTS.get(tx, bucket.name, made.key, lock=True), request)
        kept, loose = state.put(tx, bucket, made, new_id)
        return answers.of_version(bucket, kept), loose

    def get_object(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.object_(tx, request["Bucket"], request["Key"], request.get("VersionId"))
        answers.check_conditions(found, request)
        start, length, shown = answers.part_of(found, request)
        answer = answers.described(state.bucket(tx, request["Bucket"]), found) | shown
        names = [name for name in answers.OVERRIDES if f"Response{name}" in request]
        answer |= {name: request[f"Response{name}"] for name in names}
        if request.get("ChecksumMode") == "ENABLED" and length == found.size:
            answer |= found.checksums
        if found.blob:
            answer["Body"] = Response(body=self.house.blobs.path(found.blob), offset=start, length=length)
        else:
            answer["Body"] = found.body[start : start + length]
        return answer

    def head_object(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        try:
            found = state.object_(tx, request["Bucket"], request["Key"], request.get("VersionId"))
        except ServiceError as error:  # A HEAD has no body to tell why.
            code, told = ("405", "Method Not Allowed") if error.status == 405 else ("404", "Not Found")
            raise ServiceError(code, told, status=error.status, headers=error.headers) from error
        answers.check_conditions(found, request)
        _, length, shown = answers.part_of(found, request)
        checks = found.checksums if request.get("ChecksumMode") == "ENABLED" and length == found.size else {}
        return {**answers.described(state.bucket(tx, request["Bucket"]), found), **shown, **checks}

    def get_object_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.object_(tx, request["Bucket"], request["Key"], request.get("VersionId"))
        shown = {
            "ETag": found.etag,
            "Checksum": found.checksums,
            "ObjectParts": {"TotalPartsCount": len(found.parts)} if found.parts else None,
            "StorageClass": found.headers.get("StorageClass", "STANDARD"),
            "ObjectSize": found.size,
        }
        asked = {name: shown[name] for name in request["ObjectAttributes"] if shown.get(name) not in (None, {})}
        version = answers.of_version(state.bucket(tx, request["Bucket"]), found)
        return {**asked, **version, "LastModified": moment(found.modified_ms)}

    # -- deleting --

    async def delete_object(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        answer, loose = await self.house.store.transact(
            self._delete, call, request["Bucket"], request["Key"], request.get("VersionId"), call.new_id()
        )
        self._drop(loose)
        return {name: answer[name] for name in ("DeleteMarker", "VersionId") if name in answer}

    async def delete_objects(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request["Delete"]["Objects"]
        if len(wanted) > _DELETED_MAX:
            told = "The XML you provided was not well-formed or did not validate against our published schema"
            raise ServiceError("MalformedXML", told)
        deleted: list[dict[str, Any]] = []
        for one in wanted:
            answer, loose = await self.house.store.transact(
                self._delete, call, request["Bucket"], one["Key"], one.get("VersionId"), call.new_id()
            )
            self._drop(loose)
            if "VersionId" in answer and "VersionId" not in one:
                answer["DeleteMarkerVersionId"] = answer.pop("VersionId")
            deleted.append({"Key": one["Key"], **answer})
        return {} if request["Delete"].get("Quiet") else {"Deleted": deleted}

    def _delete(
        self, tx: Tx, call: Call, bucket_name: str, key: str, version: str | None, new_id: str
    ) -> tuple[dict[str, Any], list[str]]:
        bucket = state.bucket(tx, bucket_name)
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
        source = await self.house.store.transact(state.object_, bucket_name, key, version)
        answers.check_copy_conditions(source, request)
        same = version is None and (bucket_name, key) == (request["Bucket"], request["Key"])
        made = _copied(call, request, source, same=same)
        if source.blob:
            made = replace(made, blob=await link(self, call, source.blob))
        shown = await self._keep(call, {"Bucket": request["Bucket"]}, made)
        shown |= {"CopySourceVersionId": source.version} if version is not None else {}
        result = {"ETag": f'"{made.etag}"', "LastModified": moment(made.modified_ms), **made.checksums}
        return {"CopyObjectResult": result, "ServerSideEncryption": "AES256", **shown}

    # -- tags --

    def put_object_tagging(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        tags = {tag["Key"]: tag["Value"] for tag in request["Tagging"]["TagSet"]}
        if len(tags) < len(request["Tagging"]["TagSet"]):
            raise ServiceError("InvalidTag", "Cannot provide multiple Tags with the same key")
        if len(tags) > _TAGS_MAX:
            raise ServiceError("BadRequest", "Object tags cannot be greater than 10")
        return self._retag(tx, request, tags)

    def delete_object_tagging(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._retag(tx, request, {})

    def get_object_tagging(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.object_(tx, request["Bucket"], request["Key"], request.get("VersionId"))
        shown = answers.of_version(state.bucket(tx, request["Bucket"]), found)
        return {"TagSet": [{"Key": name, "Value": value} for name, value in found.tags.items()], **shown}

    def _retag(self, tx: Tx, request: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
        found = state.object_(tx, request["Bucket"], request["Key"], request.get("VersionId"))
        state.rewrite(tx, request["Bucket"], replace(found, tags=tags))
        return dict(answers.of_version(state.bucket(tx, request["Bucket"]), found))


async def link(operations: Operations, call: Call, blob: str) -> str:
    """The content of an object for one more owner."""
    try:
        return await operations.house.blobs.link(blob, owner=call.new_id())
    except FileNotFoundError as error:  # It was replaced or deleted since it was looked up.
        told = "A conflicting conditional operation is currently in progress against this resource. Try again."
        raise ServiceError("OperationAborted", told, status=409) from error


def _copied(call: Call, request: dict[str, Any], source: Object, *, same: bool) -> Object:
    replacing = request.get("MetadataDirective") == "REPLACE"
    changes = replacing or request.get("TaggingDirective") == "REPLACE" or "StorageClass" in request
    if same and not changes:
        told = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."  # noqa: E501
        raise ServiceError("InvalidRequest", told)
    made = replace(source, key=request["Key"], modified_ms=call.now_ms, marker=False)
    if replacing:
        made = replace(made, headers=answers.chosen_headers(request), metadata=request.get("Metadata", {}))
    if request.get("TaggingDirective") == "REPLACE":
        made = replace(made, tags=answers.chosen_tags(request.get("Tagging", "")))
    return made
