"""Errors of Cloud Storage, as its two APIs tell them: a JSON document with reasons, an XML one with codes.

"HTTP status and error codes for JSON" and "HTTP status and error codes for XML" in the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

_CODES = {  # XML's code of a reason, where the error names no other.
    "invalid": "InvalidArgument",
    "required": "InvalidArgument",
    "badRequest": "InvalidArgument",
    "parseError": "MalformedXML",
    "notFound": "NoSuchKey",
    "conditionNotMet": "PreconditionFailed",
    "conflict": "InvalidBucketState",
    "forbidden": "AccessDenied",
    "objectUnderActiveHold": "ObjectUnderActiveHold",
    "retentionPolicyNotMet": "RetentionPolicyNotMet",
    "requestedRangeNotSatisfiable": "InvalidRange",
    "notImplemented": "NotImplemented",
    "backendError": "ServiceUnavailable",
    "internalError": "InternalError",
    "customerEncryptionKeyIsIncorrect": "CustomerEncryptionKeyIsIncorrect",
    "resourceIsEncryptedWithCustomerEncryptionKey": "ResourceIsEncryptedWithCustomerEncryptionKey",
    "resourceNotEncryptedWithCustomerEncryptionKey": "ResourceNotEncryptedWithCustomerEncryptionKey",
}


class StorageError(Exception):
    """What the caller is meant to see. `place` is where in the request it lies: ("parameter", "project")."""

    def __init__(
        self, status: int, reason: str, message: str, *, code: str = "", details: str = "",
        place: tuple[str, str] | None = None, headers: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message
        self.code, self.details, self.place, self.headers = code or _CODES.get(reason, reason), details, place, headers

    def document(self) -> dict[str, Any]:
        """As the JSON API has it."""
        told: dict[str, Any] = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.place is not None:
            told |= {"locationType": self.place[0], "location": self.place[1]}
        return {"error": {"code": self.status, "message": self.message, "errors": [told]}}

    def xml(self) -> bytes:
        """As the XML API has it."""
        details = f"<Details>{_text(self.details)}</Details>" if self.details else ""
        told = f"<Code>{self.code}</Code><Message>{_text(self.message)}</Message>{details}"
        return f"<?xml version='1.0' encoding='UTF-8'?><Error>{told}</Error>".encode()


def _text(told: str) -> str:
    return escape("".join(mark if mark.isprintable() or mark in "\t\n" else "\ufffd" for mark in told))


def invalid(message: str, *, place: tuple[str, str] | None = None, code: str = "") -> StorageError:
    return StorageError(400, "invalid", message, place=place, code=code)


def required(parameter: str) -> StorageError:
    return StorageError(400, "required", f"Required parameter: {parameter}", place=("parameter", parameter))


def not_served(what: str) -> StorageError:
    """What Cloud Storage does and fogbank does not."""
    return StorageError(501, "notImplemented", f"fogbank does not serve {what}.")


def no_such_bucket(name: str) -> StorageError:
    return StorageError(404, "notFound", "The specified bucket does not exist.", code="NoSuchBucket", details=name)


def no_such_object(bucket: str, name: str, generation: int | None = None) -> StorageError:
    which = f"{bucket}/{name}" + (f"#{generation}" if generation is not None else "")
    return StorageError(404, "notFound", f"No such object: {which}", details=f"No such object: {which}")


def condition_not_met(header: str) -> StorageError:
    """`header`: the one of HTTP that says the same, or the parameter's place."""
    told = "At least one of the pre-conditions you specified did not hold."
    return StorageError(412, "conditionNotMet", told, place=("header", header))


def not_modified(etag: str) -> StorageError:
    """No error, but no answer either: 304 has no body."""
    return StorageError(304, "notModified", "Not Modified", headers=[("ETag", etag)])
