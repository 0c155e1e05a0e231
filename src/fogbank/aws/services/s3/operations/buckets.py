"""Buckets, and what may be set on them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.protocol.times import moment
from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.s3 import answers, state, unserved
from fogbank.aws.services.s3.state import Bucket

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

# User Guide, "General purpose bucket naming rules".
_LISTED_MAX = 10_000
_NAME = re.compile(r"(?!xn--|sthree-|\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_AES = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}


class Buckets(Operations):
    service: ClassVar = "s3"
    refused: ClassVar = unserved.REFUSED
    without_effect: ClassVar = unserved.WITHOUT_EFFECT

    def create_bucket(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Bucket"]
        if not _NAME.fullmatch(name):
            raise ServiceError("InvalidBucketName", "The specified bucket is not valid.", fields={"BucketName": name})
        configuration = request.get("CreateBucketConfiguration") or {}
        region = configuration.get("LocationConstraint") or call.region
        if {"Bucket", "Location"} & configuration.keys():
            raise ServiceError("NotImplemented", "fogbank does not serve directory buckets.", status=501)
        if request.get("ACL", "private") != "private":
            told = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
            raise ServiceError("InvalidBucketAclWithObjectOwnership", told)
        answers.check_acl(request)
        before = state.BUCKETS.get(tx, name)
        if before is not None and before.account != call.account:
            told = "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."  # noqa: E501
            raise ServiceError("BucketAlreadyExists", told, status=409, fields={"BucketName": name})
        if before is not None and call.region != "us-east-1":
            told = "Your previous request to create the named bucket succeeded and you already own it."
            raise ServiceError("BucketAlreadyOwnedByYou", told, status=409, fields={"BucketName": name})
        if before is None:
            settings = {"tags": configuration["Tags"]} if configuration.get("Tags") else {}
            state.BUCKETS.put(tx, name, row=Bucket(name, call.account, region, call.now_ms, settings))
        return {"Location": f"/{name}"}

    def head_bucket(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"BucketRegion": state.bucket_of(tx, request).region}

    def delete_bucket(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        bucket = state.bucket_of(tx, request)
        if any(True for kept in (state.OBJECTS, state.EARLIER) for _ in kept.scan(tx, bucket.name, limit=1)):
            told = "The bucket you tried to delete is not empty"
            if bucket.versioning:
                told += ". You must delete all versions in the bucket."
            raise ServiceError("BucketNotEmpty", told, status=409, fields={"BucketName": bucket.name})
        state.BUCKETS.delete(tx, bucket.name)

    def list_buckets(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """ListBuckets: in pages only where MaxBuckets asks for them."""
        prefix, after = request.get("Prefix", ""), request.get("ContinuationToken", "")
        own = [
            b for b in state.BUCKETS.all(tx)
            if b.account == call.account and b.name.startswith(prefix) and b.name > after
            and request.get("BucketRegion", b.region) == b.region
        ]  # fmt: skip
        limit = request.get("MaxBuckets", _LISTED_MAX)
        if not 1 <= limit <= _LISTED_MAX:
            fields = {"ArgumentName": "max-buckets", "ArgumentValue": limit}
            told = f"Argument max-buckets must be an integer between 1 and {_LISTED_MAX}."
            raise ServiceError("InvalidArgument", told, fields=fields)
        page = own[:limit]
        rows = [{"Name": b.name, "CreationDate": moment(b.created_ms), "BucketRegion": b.region} for b in page]
        shown = {"Prefix": prefix} if "Prefix" in request else {}
        shown |= {"ContinuationToken": page[-1].name} if len(own) > limit else {}
        return {"Buckets": rows, "Owner": {"ID": answers.owner_id(call.account)}, **shown}

    def get_bucket_location(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        region = state.bucket_of(tx, request).region
        return {"LocationConstraint": "" if region == "us-east-1" else region}

    # -- what is set on a bucket --

    def put_bucket_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        try:
            orjson.loads(request["Policy"])
        except orjson.JSONDecodeError as error:
            raise ServiceError(
                "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'"
            ) from error
        self._set(tx, request, "policy", request["Policy"])

    def get_bucket_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Policy": self._get(tx, request, "policy", "NoSuchBucketPolicy", "The bucket policy does not exist")}

    def delete_bucket_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._set(tx, request, "policy", None)

    def put_bucket_encryption(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._set(tx, request, "encryption", request["ServerSideEncryptionConfiguration"])

    def get_bucket_encryption(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        kept = state.bucket_of(tx, request).settings.get("encryption", _AES)
        return {"ServerSideEncryptionConfiguration": kept}

    def put_public_access_block(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._set(tx, request, "public", request["PublicAccessBlockConfiguration"])

    def get_public_access_block(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        told = "The public access block configuration was not found"
        kept = self._get(tx, request, "public", "NoSuchPublicAccessBlockConfiguration", told)
        return {"PublicAccessBlockConfiguration": kept}

    def put_bucket_tagging(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._set(tx, request, "tags", request["Tagging"]["TagSet"])

    def get_bucket_tagging(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"TagSet": self._get(tx, request, "tags", "NoSuchTagSet", "The TagSet does not exist")}

    def delete_bucket_tagging(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._set(tx, request, "tags", None)

    def put_bucket_versioning(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        wanted = request["VersioningConfiguration"]
        if wanted.get("MFADelete") == "Enabled":
            raise ServiceError("NotImplemented", "fogbank does not serve MFA Delete.", status=501)
        if "Status" not in wanted:
            told = "The Versioning element must be specified"
            raise ServiceError("IllegalVersioningConfigurationException", told)
        self._set(tx, request, "versioning", wanted["Status"])

    def get_bucket_versioning(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        status = state.bucket_of(tx, request).versioning
        return {"Status": status} if status else {}

    def _set(self, tx: Tx, request: dict[str, Any], name: str, value: Any) -> None:
        bucket = state.bucket_of(tx, request)
        settings = {key: kept for key, kept in bucket.settings.items() if key != name}
        settings |= {name: value} if value is not None else {}
        state.BUCKETS.put(tx, bucket.name, row=replace(bucket, settings=settings))

    def _get(self, tx: Tx, request: dict[str, Any], name: str, code: str, told: str) -> Any:
        bucket = state.bucket_of(tx, request)
        if name not in bucket.settings:
            raise ServiceError(code, told, status=404, fields={"BucketName": bucket.name})
        return bucket.settings[name]
