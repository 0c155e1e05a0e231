"""What a body is held against: digests that the request names, in S3's forms; and the one that S3 makes where none is.

User Guide, "Checking object integrity in Amazon S3": without a checksum in the request, S3 makes a CRC-64/NVME.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from fogbank.aws.protocol.integrity import DIGESTS, Digest, check_md5
from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT = "CRC64NVME"
FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
_PREFIX = "Checksum"


_FULL_ONLY, _CRCS = ("CRC64NVME",), ("CRC32", "CRC32C", "CRC64NVME")
MEMBERS = tuple(_PREFIX + name for name in DIGESTS)


def new(algorithm: str) -> Digest:
    """Raises NotImplemented for what is not served here: the XXHash family."""
    if algorithm not in DIGESTS:
        told = f"fogbank does not serve the checksum algorithm {algorithm}."
        raise ServiceError("NotImplemented", told, status=501)
    return DIGESTS[algorithm]()


def of(algorithm: str, pieces: Iterator[bytes | memoryview]) -> dict[str, str]:
    digest = new(algorithm)
    for piece in pieces:
        digest.update(piece)
    return shown(algorithm, digest)


def shown(algorithm: str, digest: Digest) -> dict[str, str]:
    return {_PREFIX + algorithm: b64encode(digest.digest()).decode()}


def check(request: Mapping[str, Any], body: bytes | memoryview, default: str = DEFAULT) -> dict[str, str]:
    """The checksum to keep, with the body held against what the request tells. Raises BadDigest, InvalidDigest."""
    if request.get("ContentMD5") is not None:
        check_md5(request["ContentMD5"], body)
    named = [member for member in MEMBERS if request.get(member) is not None]
    if len(named) > 1:
        told = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        raise ServiceError("InvalidRequest", told)
    algorithm = named[0].removeprefix(_PREFIX) if named else default
    kept = of(algorithm, iter([body]))
    if named:
        compare(algorithm, kept, request)
    return kept


def compare(algorithm: str, kept: Mapping[str, str], request: Mapping[str, Any]) -> None:
    """Raises BadDigest where the request tells another checksum than `kept`."""
    given = request.get(_PREFIX + algorithm)
    if given is not None and given != kept.get(_PREFIX + algorithm):
        told = f"The {algorithm} you specified did not match the calculated checksum."
        raise ServiceError("BadDigest", told)


# -- of objects in parts: "Composite and full-object checksums" --


def kind_of_upload(algorithm: str, given: str | None) -> str:
    """COMPOSITE or FULL_OBJECT. Raises InvalidRequest where the algorithm is not made for it."""
    kind = given or (FULL_OBJECT if algorithm in _FULL_ONLY else COMPOSITE)
    if (kind == FULL_OBJECT and algorithm not in _CRCS) or (kind == COMPOSITE and algorithm in _FULL_ONLY):
        told = f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        raise ServiceError("InvalidRequest", told)
    return kind


def check_part(algorithm: str, kind: str, request: Mapping[str, Any]) -> None:
    """A part brings the checksum that its upload was begun with, where that names one."""
    if not algorithm:
        return
    brought = next((m.removeprefix(_PREFIX) for m in MEMBERS if request.get(m) is not None), "")
    if brought == algorithm or (not brought and kind != COMPOSITE):
        return
    told = f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.lower()}, actual checksum Type: {brought.lower() or 'null'}"  # noqa: E501
    raise ServiceError("InvalidRequest", told)


def composed(algorithm: str, parts: list[dict[str, str]]) -> dict[str, str]:
    """The checksum of the parts' checksums, and their number."""
    member = _PREFIX + algorithm
    whole = of(algorithm, iter([b64decode(part[member]) for part in parts]))
    return {member: f"{whole[member]}-{len(parts)}"}
