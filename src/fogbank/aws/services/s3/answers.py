"""How an object is told of: its headers, the conditions and ranges of a read, moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from fogbank.aws.protocol import times
from fogbank.aws.protocol.times import moment
from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.services.s3.state import Bucket, Object

HEADERS = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "Expires",
           "StorageClass", "WebsiteRedirectLocation")  # fmt: skip
OVERRIDES = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "Expires")
_KMS = ("aws:kms", "aws:kms:dsse")
_KEY_BYTES_MAX = 1024
_METADATA_BYTES_MAX = 2048  # User Guide, "Working with object metadata": of all keys and values together.
_TAGS_MAX = 10
# "Controlling ownership of objects": new buckets have ACLs disabled, and take only those that say what holds anyway.
_ACLS = ("private", "bucket-owner-full-control", "bucket-owner-read")
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")


def owner_id(account: str) -> str:
    """The canonical id: 64 hex digits."""
    return account.zfill(64)


def chosen_headers(request: Mapping[str, Any]) -> dict[str, str]:
    """The headers that a writer wants kept."""
    headers = {name: request[name] for name in HEADERS if name in request}
    if "Expires" in headers:
        headers["Expires"] = times.text(headers["Expires"], "rfc822")
    coding = headers.pop("ContentEncoding", "")  # The coding of the request itself is not the object's.
    own = [part.strip() for part in coding.split(",") if part.strip() not in ("", "aws-chunked")]
    return headers | ({"ContentEncoding": ",".join(own)} if own else {})


def chosen_tags(text: str) -> dict[str, str]:
    """Of the header x-amz-tagging: "colour=blue&size=2"."""
    pairs = parse_qsl(text, keep_blank_values=True)
    check_tags([{"Key": key, "Value": value} for key, value in pairs])
    return dict(pairs)


def check_tags(tags: list[dict[str, str]]) -> None:
    """User Guide, "Categorizing your storage using tags"."""
    if len({tag["Key"] for tag in tags}) < len(tags):
        raise ServiceError("InvalidTag", "Cannot provide multiple Tags with the same key")
    if len(tags) > _TAGS_MAX:
        raise ServiceError("BadRequest", "Object tags cannot be greater than 10")
    for tag in tags:
        if not 1 <= len(tag["Key"]) <= 128:
            raise ServiceError("InvalidTag", "The TagKey you have provided is invalid")
        if len(tag["Value"]) > 256:
            raise ServiceError("InvalidTag", "The TagValue you have provided is invalid")


def check_metadata(metadata: Mapping[str, str]) -> None:
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > _METADATA_BYTES_MAX:
        told = "Your metadata headers exceed the maximum allowed metadata size"
        fields = {"Size": size, "MaxSizeAllowed": _METADATA_BYTES_MAX}
        raise ServiceError("MetadataTooLarge", told, fields=fields)


def check_acl(request: Mapping[str, Any]) -> None:
    if request.get("ACL", "private") not in _ACLS or any(request.get(name) for name in _GRANTS):
        raise ServiceError("AccessControlListNotSupported", "The bucket does not allow ACLs")


def encryption(bucket: Bucket, request: Mapping[str, Any]) -> dict[str, str]:
    """What is told of an object's encryption: as its writer chose it, or as the bucket has it for all.

    Nothing here is encrypted on disk; what a reader is told is what it would be told.
    """
    rules = bucket.settings.get("encryption", {}).get("Rules", [{}])[0]
    default = rules.get("ApplyServerSideEncryptionByDefault", {})
    kind, key = request.get("ServerSideEncryption"), request.get("SSEKMSKeyId")
    if key and kind not in _KMS:
        told = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"  # noqa: E501
        raise ServiceError("InvalidArgument", told)
    if kind is None:
        kind, key = default.get("SSEAlgorithm", "AES256"), default.get("KMSMasterKeyID")
    if kind not in (*_KMS, "AES256"):
        raise ServiceError("InvalidArgument", "The encryption method specified is not supported")
    if kind not in _KMS:
        return {"ServerSideEncryption": kind}
    key = key or f"arn:aws:kms:{bucket.region}:{bucket.account}:alias/aws/s3"
    keyed = request.get("BucketKeyEnabled", rules.get("BucketKeyEnabled", False))
    return {"ServerSideEncryption": kind, "SSEKMSKeyId": key, **({"BucketKeyEnabled": "true"} if keyed else {})}


def encrypted(headers: Mapping[str, str]) -> dict[str, Any]:
    """The members of answers that tell of it."""
    shown: dict[str, Any] = {"ServerSideEncryption": headers.get("ServerSideEncryption", "AES256")}
    if "SSEKMSKeyId" in headers:
        shown["SSEKMSKeyId"] = headers["SSEKMSKeyId"]
    return shown | ({"BucketKeyEnabled": True} if "BucketKeyEnabled" in headers else {})


def check_key(key: str) -> None:
    if len(key.encode()) > _KEY_BYTES_MAX:
        raise ServiceError(
            "KeyTooLongError",
            "Your key is too long",
            fields={"Size": len(key.encode()), "MaxSizeAllowed": _KEY_BYTES_MAX},
        )


def of_version(bucket: Bucket, one: Object) -> dict[str, str]:
    """VersionId, as buckets tell it that have or had versioning."""
    return {"VersionId": one.version} if bucket.versioning else {}


def described(bucket: Bucket, found: Object) -> dict[str, Any]:
    return {
        "ContentType": "binary/octet-stream",
        **found.headers,
        **({"Expires": times.parse(found.headers["Expires"])} if "Expires" in found.headers else {}),
        **encrypted(found.headers),
        "AcceptRanges": "bytes",
        "ETag": f'"{found.etag}"',
        "ContentLength": found.size,
        "LastModified": moment(found.modified_ms),
        "Metadata": found.metadata,
        **of_version(bucket, found),
        **({"TagCount": len(found.tags)} if found.tags else {}),
    }


def part_of(found: Object, request: Mapping[str, Any]) -> tuple[int, int, dict[str, Any]]:
    """(start, length, further members of the answer) of what is asked for by Range or PartNumber."""
    if "PartNumber" in request and "Range" in request:
        raise ServiceError("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    if "PartNumber" in request:
        return _numbered(found, int(request["PartNumber"]))
    asked = _range(request["Range"], found.size) if "Range" in request else None
    if asked is None:
        return 0, found.size, {}
    start, length = asked
    return start, length, {"ContentRange": f"bytes {start}-{start + length - 1}/{found.size}", "ContentLength": length}


def _numbered(found: Object, number: int) -> tuple[int, int, dict[str, Any]]:
    sizes = found.parts or [found.size]
    if not 1 <= number <= len(sizes):
        fields = {"ActualPartCount": len(sizes), "PartNumberRequested": number}
        raise ServiceError(
            "InvalidPartNumber", "The requested partnumber is not satisfiable", status=416, fields=fields
        )
    start, length = sum(sizes[: number - 1]), sizes[number - 1]
    shown: dict[str, Any] = {"ContentLength": length}
    if length:
        shown["ContentRange"] = f"bytes {start}-{start + length - 1}/{found.size}"
    return start, length, shown | ({"PartsCount": len(sizes)} if found.parts else {})


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


def check_conditions(found: Object, request: Mapping[str, Any]) -> None:
    """API reference, GetObject, and RFC 9110, section 13.2.2: the order in which conditions count."""
    modified = moment(found.modified_ms // 1000 * 1000)
    if "IfMatch" in request:
        if request["IfMatch"].strip('"') not in (found.etag, "*"):
            raise precondition("If-Match")
    elif "IfUnmodifiedSince" in request and modified > request["IfUnmodifiedSince"]:
        raise precondition("If-Unmodified-Since")
    if "IfNoneMatch" in request:
        if request["IfNoneMatch"].strip('"') in (found.etag, "*"):
            raise ServiceError("304", "Not Modified", status=304)
    elif "IfModifiedSince" in request and modified <= request["IfModifiedSince"]:
        raise ServiceError("304", "Not Modified", status=304)


def check_copy_conditions(found: Object, request: Mapping[str, Any]) -> None:
    """CopyObject: the same of the source; whatever does not hold is a 412."""
    names = ("IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince")
    given = {name: request[f"CopySource{name}"] for name in names if f"CopySource{name}" in request}
    try:
        check_conditions(found, given)
    except ServiceError as error:
        if error.status == 304:
            raise precondition("x-amz-copy-source-if-none-match") from error
        raise


def check_write_conditions(before: Object | None, request: Mapping[str, Any]) -> None:
    """User Guide, "How to prevent object overwrites with conditional writes"."""
    there = before if before is not None and not before.marker else None
    if request.get("IfNoneMatch", "*") != "*":
        told = "A header you provided implies functionality that is not implemented"
        raise ServiceError("NotImplemented", told, status=501, fields={"Header": "If-None-Match"})
    if request.get("IfNoneMatch") == "*" and there is not None:
        raise precondition("If-None-Match")
    if "IfMatch" in request:
        if there is None:
            raise ServiceError("NoSuchKey", "The specified key does not exist.", status=404)
        if there.etag != request["IfMatch"].strip('"'):
            raise precondition("If-Match")


def check_delete_condition(before: Object | None, wanted: str | None) -> None:
    """DeleteObject, If-Match: also "an '*' (asterisk) character to denote a match of any ETag"."""
    there = before if before is not None and not before.marker else None
    if wanted is not None and (there is None or wanted.strip('"') not in (there.etag, "*")):
        raise precondition("If-Match")


def checksums_of(found: Object, request: Mapping[str, Any], length: int) -> dict[str, str]:
    """What ChecksumMode asks for: of the whole, or of the one part that is read."""
    if request.get("ChecksumMode") != "ENABLED":
        return {}
    if "PartNumber" in request and found.part_checksums:
        return found.part_checksums[int(request["PartNumber"]) - 1]
    if length != found.size or not found.checksums:
        return {}
    return {**found.checksums, "ChecksumType": found.checksum_type or "FULL_OBJECT"}


def precondition(name: str) -> ServiceError:
    told = "At least one of the pre-conditions you specified did not hold"
    return ServiceError("PreconditionFailed", told, status=412, fields={"Condition": name})


def copy_source(text: str) -> tuple[str, str, str | None]:
    """(bucket, key, version) of x-amz-copy-source: "/bucket/key?versionId=…", percent-encoded."""
    path, _, query = text.lstrip("/").partition("?")
    bucket, slash, key = unquote(path).partition("/")
    if not slash or not key:
        raise ServiceError(
            "InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        )
    return bucket, key, dict(parse_qsl(query)).get("versionId")
