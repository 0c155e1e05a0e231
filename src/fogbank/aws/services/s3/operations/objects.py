"""Objects: put, read (whole or in part), listed, copied, deleted."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, quote, unquote

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.s3 import checksums, state
from fogbank.aws.services.s3.operations.buckets import owner_id
from fogbank.aws.services.s3.state import Object
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.kernel.store import Key, Tx

_KEY_BYTES_MAX = 1024
_PAGE_MAX = 1000
_HEADERS = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "Expires",
            "StorageClass", "WebsiteRedirectLocation")  # fmt: skip
_OVERRIDES = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage")


class Objects(Operations):
    service: ClassVar = "s3"

    async def put_object(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        body = request.get("Body", b"")
        _check_key(request["Key"])
        await self.house.store.transact(state.bucket, request["Bucket"])
        kept = checksums.check(request, body)
        headers = {name: request[name] for name in _HEADERS if name in request and name != "Expires"}
        if "ContentEncoding" in headers:  # The coding of the request itself is not the object's.
            own = [part.strip() for part in headers["ContentEncoding"].split(",") if part.strip() != "aws-chunked"]
            headers = {**headers, "ContentEncoding": ",".join(own)} if own else _without(headers, "ContentEncoding")
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        small = len(body) <= state.IN_ROW_BYTES_MAX
        made = Object(
            request["Key"], etag, len(body), call.now_ms, headers, request.get("Metadata", {}), kept,
            dict(parse_qsl(request.get("Tagging", ""))), bytes(body) if small else b"",
            "" if small else await self.house.blobs.put(body, owner=call.new_id()),
        )  # fmt: skip
        loose = await self.house.store.transact(self._put, request, made)
        if loose:
            self.house.blobs.delete(loose)
        return {"ETag": f'"{etag}"', "ServerSideEncryption": "AES256", **kept}

    def _put(self, tx: Tx, request: dict[str, Any], made: Object) -> str:
        state.bucket(tx, request["Bucket"])
        before = state.OBJECTS.get(tx, request["Bucket"], made.key, lock=True)
        if request.get("IfNoneMatch") == "*" and before is not None:
            raise _precondition("If-None-Match")
        if "IfMatch" in request and (before is None or before.etag != request["IfMatch"].strip('"')):
            raise _precondition("If-Match")
        return state.put(tx, request["Bucket"], made)

    def get_object(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.object_(tx, request["Bucket"], request["Key"])
        _check_conditions(found, request)
        answer = _described(found)
        answer |= {name: request[f"Response{name}"] for name in _OVERRIDES if f"Response{name}" in request}
        start, length = 0, found.size
        if "Range" in request:
            asked = _range(request["Range"], found.size)
            if asked is not None:
                start, length = asked
                answer["ContentRange"] = f"bytes {start}-{start + length - 1}/{found.size}"
                answer["ContentLength"] = length
        if request.get("ChecksumMode") == "ENABLED" and length == found.size:
            answer |= found.checksums
        if found.blob:
            answer["Body"] = Response(body=self.house.blobs.path(found.blob), offset=start, length=length)
        else:
            answer["Body"] = found.body[start : start + length]
        return answer

    def head_object(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        try:
            found = state.object_(tx, request["Bucket"], request["Key"])
        except ServiceError as error:  # A HEAD has no body to tell why.
            raise ServiceError("404", "Not Found", status=404) from error
        _check_conditions(found, request)
        checks = found.checksums if request.get("ChecksumMode") == "ENABLED" else {}
        return {**_described(found), **checks}

    async def delete_object(self, call: Call, request: dict[str, Any]) -> None:
        loose = await self.house.store.transact(self._delete, request["Bucket"], [request["Key"]])
        self._drop(loose)

    async def delete_objects(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        keys = [one["Key"] for one in request["Delete"]["Objects"]]
        if len(keys) > _PAGE_MAX:
            raise ServiceError(
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema",
            )
        self._drop(await self.house.store.transact(self._delete, request["Bucket"], keys))
        return {} if request["Delete"].get("Quiet") else {"Deleted": [{"Key": key} for key in keys]}

    def _delete(self, tx: Tx, bucket: str, keys: list[str]) -> list[str]:
        state.bucket(tx, bucket)
        return [blob for key in keys if (blob := state.forget(tx, bucket, key))]

    def _drop(self, blobs: list[str]) -> None:
        for blob in blobs:
            self.house.blobs.delete(blob)

    async def copy_object(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        source_bucket, _, source_key = unquote(request["CopySource"].lstrip("/").partition("?")[0]).partition("/")
        source = await self.house.store.transact(state.object_, source_bucket, source_key)
        made = _copied(call, request, source, same=(source_bucket, source_key) == (request["Bucket"], request["Key"]))
        if source.blob:
            try:
                made = replace(made, blob=await self.house.blobs.link(source.blob, owner=call.new_id()))
            except FileNotFoundError as error:  # It was replaced or deleted since it was looked up.
                told = "A conflicting conditional operation is currently in progress against this resource. Try again."
                raise ServiceError("OperationAborted", told, status=409) from error
        loose = await self.house.store.transact(self._put, {"Bucket": request["Bucket"]}, made)
        self._drop([loose] if loose else [])
        return {"CopyObjectResult": {"ETag": f'"{made.etag}"', "LastModified": _time(made.modified_ms)}}

    # -- listing --

    def list_objects_v2(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        token = request.get("ContinuationToken")
        after = token if token is not None else request.get("StartAfter", "")
        listed = self._list(tx, call, request, after, with_owner=bool(request.get("FetchOwner")))
        last = listed.pop("_last")
        shown: dict[str, Any] = {n: request[n] for n in ["StartAfter", "ContinuationToken"] if n in request}
        if listed["IsTruncated"]:
            shown["NextContinuationToken"] = last
        count = len(listed["Contents"]) + len(listed["CommonPrefixes"])
        return {**listed, **shown, "KeyCount": count}

    def list_objects(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        listed = self._list(tx, call, request, request.get("Marker", ""), with_owner=True)
        last = listed.pop("_last")
        listed["Marker"] = request.get("Marker", "")
        if listed["IsTruncated"] and request.get("Delimiter"):
            listed["NextMarker"] = last
        return listed

    def _list(self, tx: Tx, call: Call, request: dict[str, Any], after: str, *, with_owner: bool) -> dict[str, Any]:
        """Keys behind `after`, those that share a prefix up to the delimiter rolled into one."""
        bucket, prefix, delimiter = request["Bucket"], request.get("Prefix", ""), request.get("Delimiter", "")
        state.bucket(tx, bucket)
        limit = min(request.get("MaxKeys", _PAGE_MAX), _PAGE_MAX)
        encode = quote if request.get("EncodingType") == "url" else str
        contents: list[dict[str, Any]] = []
        rolled: list[str] = []
        last, truncated = "", False
        start: Key | None = state.OBJECTS.key(bucket, after) if after else None
        for _, found in state.OBJECTS.scan(tx, bucket, after=start):
            if not found.key.startswith(prefix) or (
                after and delimiter and found.key.startswith(after) and after.endswith(delimiter)
            ):
                if found.key > prefix and not found.key.startswith(prefix):
                    break
                continue
            stem, cut, _ = found.key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            group = prefix + stem + cut if cut else ""
            if group and rolled and rolled[-1] == group:
                continue
            if len(contents) + len(rolled) == limit:
                truncated = limit > 0
                break
            last = group or found.key
            if group:
                rolled.append(group)
            else:
                contents.append(_listed(found, encode(found.key), call.account if with_owner else ""))
        shown: dict[str, Any] = {n: request[n] for n in ["Delimiter", "EncodingType"] if n in request}
        return {
            **shown, "Name": bucket, "Prefix": encode(prefix), "MaxKeys": limit, "IsTruncated": truncated,
            "Contents": contents, "CommonPrefixes": [{"Prefix": encode(group)} for group in rolled], "_last": last,
        }  # fmt: skip


def _copied(call: Call, request: dict[str, Any], source: Object, *, same: bool) -> Object:
    replacing = request.get("MetadataDirective") == "REPLACE"
    if same and not replacing:
        told = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."  # noqa: E501
        raise ServiceError("InvalidRequest", told)
    made = replace(source, key=request["Key"], modified_ms=call.now_ms)
    if not replacing:
        return made
    headers = {name: request[name] for name in _HEADERS if name in request and name != "Expires"}
    return replace(made, headers=headers, metadata=request.get("Metadata", {}))


def _listed(found: Object, key: str, account: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Key": key,
        "LastModified": _time(found.modified_ms),
        "ETag": f'"{found.etag}"',
        "Size": found.size,
        "StorageClass": found.headers.get("StorageClass", "STANDARD"),
    }
    return shown | ({"Owner": {"ID": owner_id(account)}} if account else {})


def _described(found: Object) -> dict[str, Any]:
    return {
        "ContentType": "binary/octet-stream",
        **found.headers,
        "AcceptRanges": "bytes",
        "ETag": f'"{found.etag}"',
        "ContentLength": found.size,
        "LastModified": _time(found.modified_ms),
        "Metadata": found.metadata,
        "ServerSideEncryption": "AES256",
        **({"TagCount": len(found.tags)} if found.tags else {}),
    }


def _check_key(key: str) -> None:
    if len(key.encode()) > _KEY_BYTES_MAX:
        raise ServiceError("KeyTooLongError", "Your key is too long", fields={"Size": len(key), "MaxSizeAllowed": 1024})


def _check_conditions(found: Object, request: dict[str, Any]) -> None:
    """API reference, GetObject, "Overriding…" and RFC 9110, section 13.2.2: the order in which conditions count."""
    modified = _time(found.modified_ms // 1000 * 1000)
    if "IfMatch" in request:
        if request["IfMatch"].strip('"') not in (found.etag, "*"):
            raise _precondition("If-Match")
    elif "IfUnmodifiedSince" in request and modified > request["IfUnmodifiedSince"]:
        raise _precondition("If-Unmodified-Since")
    if "IfNoneMatch" in request:
        if request["IfNoneMatch"].strip('"') in (found.etag, "*"):
            raise ServiceError("304", "Not Modified", status=304)
    elif "IfModifiedSince" in request and modified <= request["IfModifiedSince"]:
        raise ServiceError("304", "Not Modified", status=304)


def _precondition(name: str) -> ServiceError:
    told = "At least one of the pre-conditions you specified did not hold"
    return ServiceError("PreconditionFailed", told, status=412, fields={"Condition": name})


def _range(text: str, size: int) -> tuple[int, int] | None:
    """(start, length); None for a form that is passed over. Raises InvalidRange."""
    kind, _, span = text.partition("=")
    first, dash, last = span.partition("-")
    if kind.strip() != "bytes" or not dash or "," in span or not (first.isdigit() or last.isdigit()):
        return None
    if not first:
        start, end = max(size - int(last), 0), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last.isdigit() else size - 1
    if start >= size or end < start:
        fields = {"RangeRequested": text, "ActualObjectSize": size}
        raise ServiceError("InvalidRange", "The requested range is not satisfiable", status=416, fields=fields)
    return start, end - start + 1


def _without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
