"""Uploads from HTML forms: a POST whose policy document says what may be sent, and until when.

"POST Object" and "Policy document" in the reference.
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import orjson

from fogbank.gcp.services.storage import contents, multipart, signing_keys, times, xml_documents
from fogbank.gcp.services.storage.errors import StorageError
from fogbank.gcp.services.storage.xml_objects import acl_of, etag, numbers, resource_of
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.objects import Objects
    from fogbank.gcp.services.storage.state import Object
    from fogbank.kernel.store import Tx

_UNCHECKED: Final = ("policy", "file", "x-goog-signature", "signature", "googleaccessid", "x-goog-algorithm",
                     "x-goog-credential", "x-goog-date")  # fmt: skip
_BODY_MAX: Final = 256 * 1024 * 1024  # fogbank's own: a form is read whole.


class XmlForms:
    def __init__(self, house: House, objects: Objects) -> None:
        self._house, self._objects = house, objects

    async def post(self, asked: Asked) -> Response:
        if len(asked.body) > _BODY_MAX:
            raise StorageError(400, "invalid", "Your proposed upload exceeds the maximum.", code="EntityTooLarge")
        kind = asked.headers.get("content-type", "")
        fields, file, file_name = await asyncio.to_thread(_read, asked.body, kind)  # It may be long.
        name = fields.get("key", "").replace("${filename}", file_name)
        await self._house.store.transact(_check_signature, fields)
        if "policy" in fields:
            _check_policy(fields | {"key": name, "bucket": asked.parameters["bucket"]}, len(file), asked.now_ms)
        told = resource_of(fields) | contents.hashes_told(fields)
        content = await contents.kept(self._house.blobs, file, asked.new_id())

        def put(tx: Tx) -> tuple[Object, list[str]]:
            contents.check(content, told)
            predefined = acl_of({"x-goog-acl": fields.get("acl", "")})
            _, kept, loose = self._objects.insert(
                tx, asked.parameters["bucket"], name, content, told, asked, parameters={"predefinedAcl": predefined}
            )
            return kept, loose

        return _answer(await self._objects.keep(content.blob, put), asked, fields)


def _read(body: bytes | memoryview, kind: str) -> tuple[dict[str, str], bytes, str]:
    return _fields(multipart.parts(body, kind))


def _fields(parts: Iterable[multipart.Part]) -> tuple[dict[str, str], bytes, str]:
    """The fields before the file, by lower-case names; what stands behind it is passed over."""
    fields: dict[str, str] = {}
    for part in parts:
        name = multipart.parameter(part.headers.get("content-disposition", ""), "name")
        if name == "file":
            given = multipart.parameter(part.headers.get("content-disposition", ""), "filename")
            return fields, bytes(part.body), given
        fields[name.lower()] = bytes(part.body).decode("utf-8", "replace")
    raise StorageError(
        400, "invalid", "POST requires exactly one file upload per request.", code="IncorrectNumberOfFilesInPostRequest"
    )


def _check_signature(tx: Tx, fields: Mapping[str, str]) -> None:
    policy = fields.get("policy", "").encode()
    if "x-goog-signature" in fields:
        who, _, scope = fields.get("x-goog-credential", "").partition("/")
        algorithm = fields.get("x-goog-algorithm", "")
        signing_keys.verify(tx, who, algorithm, policy, fields["x-goog-signature"], scope)
    elif "signature" in fields:
        who = fields.get("googleaccessid", "")
        signing_keys.verify_older(tx, who, [policy], fields["signature"])


def _check_policy(fields: Mapping[str, str], size: int, now_ms: int) -> None:
    try:
        policy = orjson.loads(b64decode(fields["policy"], validate=True))
        expires, conditions = policy["expiration"], policy["conditions"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise StorageError(400, "invalid", "Invalid Policy: Invalid JSON.", code="InvalidPolicyDocument") from None
    if now_ms >= times.read(expires, "expiration"):
        raise StorageError(400, "invalid", "The policy document has expired.", code="ExpiredToken")
    named = {"bucket"}
    for condition in conditions if isinstance(conditions, list) else [None]:
        named |= _check_condition(condition, fields, size)
    for name in fields:
        if name not in named and name not in _UNCHECKED and not name.startswith("x-ignore-"):
            raise _refused(f"Policy did not reference these fields: {name[:64]}")


def _check_condition(condition: Any, fields: Mapping[str, str], size: int) -> set[str]:
    """The fields that it names. Raises where it does not hold."""
    if isinstance(condition, dict):
        for name, wanted in condition.items():
            if fields.get(name.lower()) != str(wanted):
                raise _refused(f'Policy Condition failed: ["eq", "${name}", "{wanted}"]')
        return {name.lower() for name in condition}
    if not isinstance(condition, list) or len(condition) != 3:
        raise StorageError(400, "invalid", "Invalid Policy: Invalid conditions.", code="InvalidPolicyDocument")
    kind, first, second = condition
    if str(kind).lower() == "content-length-range":
        if not isinstance(first, int) or not isinstance(second, int) or not first <= size <= second:
            code = "EntityTooSmall" if isinstance(first, int) and size < first else "EntityTooLarge"
            raise StorageError(400, "invalid", f"Content-length ({size}) is not in the range of the policy.", code=code)
        return set()
    name = str(first).removeprefix("$").lower()
    given = fields.get(name, "")
    holds = given.startswith(str(second)) if str(kind).lower() == "starts-with" else given == str(second)
    if not holds or str(kind).lower() not in ("eq", "starts-with"):
        raise _refused(f'Policy Condition failed: ["{kind}", "{first}", "{second}"]')
    return {name}


def _refused(details: str) -> StorageError:
    told = "Invalid according to Policy."
    return StorageError(403, "forbidden", told, code="AccessDenied", details=details)


def _answer(row: Object, asked: Asked, fields: Mapping[str, str]) -> Response:
    bucket = asked.parameters["bucket"]
    headers = [("ETag", etag(row)), *numbers(row), ("Location", f"{asked.base}/{bucket}/{row.name}")]
    redirect = fields.get("success_action_redirect", "")
    if redirect.startswith(("http://", "https://")):
        told = urlencode({"bucket": bucket, "key": row.name, "etag": etag(row)})
        return Response(303, [("Location", f"{redirect}{'&' if '?' in redirect else '?'}{told}"), headers[0]])
    status = fields.get("success_action_status")
    if status == "201":
        content = [("Bucket", bucket), ("Key", row.name), ("Location", headers[-1][1]), ("ETag", etag(row))]
        response = xml_documents.response("PostResponse", content, status=201)
        response.headers = [*response.headers, *headers]
        return response
    return Response(200 if status == "200" else 204, headers)
