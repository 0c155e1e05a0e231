"""The zip of a request, of a function or a layer: fetched, checked, kept as it came, and unpacked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import code
from fogbank.aws.services.lambda_.unchanged import Unpacked

if TYPE_CHECKING:
    from fogbank.aws.service import Call, House
    from fogbank.aws.services.lambda_.state import Code


async def keep(house: House, call: Call, given: dict[str, Any], before: Code | None = None) -> Code:
    """`given` has ZipFile, or S3Bucket, S3Key and perhaps S3ObjectVersion. `before`: the code whose place it takes."""
    if given.get("SourceKMSKeyArn"):
        raise ServiceError("InvalidParameterValueException", "fogbank does not serve SourceKMSKeyArn here.")
    if "ZipFile" in given and "S3Bucket" in given:
        told = "Please do not provide other FunctionCode parameters when providing a ZipFile."
        raise ServiceError("InvalidParameterValueException", told)
    if "ZipFile" in given and not given["ZipFile"]:
        raise ServiceError("InvalidParameterValueException", "Uploaded file must be a non-empty zip")
    content = bytes(given["ZipFile"]) if "ZipFile" in given else await _fetch(house, call, given)
    if len(content) > code.ZIPPED_BYTES_MAX and "ZipFile" in given:
        raise ServiceError(
            "RequestEntityTooLargeException", f"Request must be smaller than {code.ZIPPED_BYTES_MAX} bytes", status=413
        )
    kept = code.describe(content)
    folder = house.config.code_dir
    known = Unpacked(house.blobs.path(before.digest), folder / before.digest) if before else None
    await asyncio.gather(asyncio.to_thread(code.unpack, content, folder / kept.digest, known), house.blobs.put(content))
    return kept


async def _fetch(house: House, call: Call, given: dict[str, Any]) -> bytes:
    if "S3Bucket" not in given or "S3Key" not in given:
        raise ServiceError("InvalidParameterValueException", "Please provide a source for function code.")
    version = {"VersionId": given["S3ObjectVersion"]} if "S3ObjectVersion" in given else {}
    ask = house.caller(call.account, call.region, "lambda.amazonaws.com")
    try:
        found = await ask("s3", "GetObject", Bucket=given["S3Bucket"], Key=given["S3Key"], **version)
    except ServiceError as error:
        raise ServiceError(
            "InvalidParameterValueException",
            f"Error occurred while GetObject. S3 Error Code: {error.code}. S3 Error Message: {error.message}",
        ) from error
    return await asyncio.to_thread(_whole, found["Body"])


def _whole(body: Any) -> bytes:
    """Of S3's answer in process: bytes, or a response that names a file."""
    content = getattr(body, "body", body)
    return bytes(content) if isinstance(content, bytes | memoryview) else content.read_bytes()
