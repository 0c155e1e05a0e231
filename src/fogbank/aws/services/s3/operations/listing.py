"""What a bucket holds, in pages: keys, versions, prefixes rolled into one."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from fogbank.aws.protocol.times import moment
from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.s3 import answers, state, unserved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fogbank.aws.services.s3.state import Object
    from fogbank.kernel.store import Key, Tx

_PAGE_MAX = 1000


@dataclass
class Page:
    """Entries in order until it is full; what shares a prefix up to the delimiter is one entry."""

    prefix: str
    delimiter: str
    limit: int
    entries: list[Any] = field(default_factory=list)
    rolled: list[str] = field(default_factory=list)
    last: str = ""  # The key or rolled prefix that the next page goes on behind.
    truncated: bool = False

    def take(self, key: str, entry: Any) -> bool:
        """False once the page is full."""
        group = self.group(key)
        if group and self.rolled and self.rolled[-1] == group:
            return True
        if len(self.entries) + len(self.rolled) >= self.limit:
            self.truncated = self.limit > 0
            return False
        self.last = group or key
        if group:
            self.rolled.append(group)
        else:
            self.entries.append(entry)
        return True

    def group(self, key: str) -> str:
        if not self.delimiter:
            return ""
        stem, cut, _ = key[len(self.prefix) :].partition(self.delimiter)
        return self.prefix + stem + cut if cut else ""


def page_of(request: dict[str, Any], limit_name: str = "MaxKeys") -> Page:
    limit = min(request.get(limit_name, _PAGE_MAX), _PAGE_MAX)
    return Page(request.get("Prefix", ""), request.get("Delimiter", ""), limit)


def encoding(request: dict[str, Any]) -> Callable[[str], str]:
    return quote if request.get("EncodingType") == "url" else str


def _echoed(request: dict[str, Any], *names: str) -> dict[str, str]:
    """What the caller gave, encoded as the keys are."""
    encode = encoding(request)
    shown = {name: encode(request[name]) for name in names if name in request}
    return shown | ({"EncodingType": request["EncodingType"]} if "EncodingType" in request else {})


def _behind_token(token: str) -> str:
    try:
        return b64decode(token, validate=True).decode()
    except ValueError as error:
        fields = {"ArgumentName": "continuation-token", "ArgumentValue": token}
        raise ServiceError("InvalidArgument", "The continuation token provided is incorrect", fields=fields) from error


class Listing(Operations):
    service: ClassVar = "s3"
    refused: ClassVar = unserved.REFUSED
    without_effect: ClassVar = unserved.WITHOUT_EFFECT

    def list_objects_v2(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        token = request.get("ContinuationToken")
        after = _behind_token(token) if token is not None else request.get("StartAfter", "")
        page, listed = self._list(tx, call, request, after, with_owner=bool(request.get("FetchOwner")))
        shown = {"ContinuationToken": token} if token is not None else {}
        if "StartAfter" in request:
            shown["StartAfter"] = encoding(request)(request["StartAfter"])
        if page.truncated:
            shown["NextContinuationToken"] = b64encode(page.last.encode()).decode()
        return {**listed, **shown, "KeyCount": len(page.entries) + len(page.rolled)}

    def list_objects(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        page, listed = self._list(tx, call, request, request.get("Marker", ""), with_owner=True)
        listed["Marker"] = encoding(request)(request.get("Marker", ""))
        if page.truncated and page.delimiter:
            listed["NextMarker"] = encoding(request)(page.last)
        return listed

    def _list(
        self, tx: Tx, call: Call, request: dict[str, Any], after: str, *, with_owner: bool
    ) -> tuple[Page, dict[str, Any]]:
        bucket, page, encode = state.bucket_of(tx, request), page_of(request), encoding(request)
        account = call.account if with_owner else ""
        for found in _behind(tx, bucket.name, page, after):
            if not found.marker and not page.take(found.key, _listed(found, encode(found.key), account)):
                break
        return page, {
            **_echoed(request, "Delimiter"),
            "Name": bucket.name, "Prefix": encode(page.prefix), "MaxKeys": page.limit, "IsTruncated": page.truncated,
            "Contents": page.entries, "CommonPrefixes": [{"Prefix": encode(group)} for group in page.rolled],
        }  # fmt: skip

    def list_object_versions(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Keys in order, of each its versions from the newest on."""
        bucket, page, encode = state.bucket_of(tx, request), page_of(request), encoding(request)
        marker, version_marker = request.get("KeyMarker", ""), request.get("VersionIdMarker", "")
        if version_marker and not marker:
            raise ServiceError("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
        last: Object | None = None
        for found, newest in self._versions(tx, bucket.name, page, marker, version_marker):
            if not page.take(found.key, (found, newest)):
                break
            last = None if page.group(found.key) else found
        shown = _echoed(request, "Delimiter", "KeyMarker")
        if "VersionIdMarker" in request:
            shown["VersionIdMarker"] = request["VersionIdMarker"]
        if page.truncated:
            shown["NextKeyMarker"] = encode(page.last)
            shown |= {"NextVersionIdMarker": last.version} if last is not None else {}
        rows = [
            (found.marker, _version(found, encode(found.key), call.account, newest=newest))
            for found, newest in page.entries
        ]
        return {
            **shown, "Name": bucket.name, "Prefix": encode(page.prefix), "MaxKeys": page.limit,
            "IsTruncated": page.truncated, "Versions": [row for is_marker, row in rows if not is_marker],
            "DeleteMarkers": [row for is_marker, row in rows if is_marker],
            "CommonPrefixes": [{"Prefix": encode(group)} for group in page.rolled],
        }  # fmt: skip

    def _versions(
        self, tx: Tx, bucket: str, page: Page, marker: str, version_marker: str
    ) -> Iterator[tuple[Object, bool]]:
        if version_marker:  # The rest of the key that the last page ended in.
            passed = False
            for number, found in enumerate(state.versions(tx, bucket, marker)):
                if passed:
                    yield found, number == 0
                passed = passed or found.version == version_marker
        for current in _behind(tx, bucket, page, marker):
            for number, found in enumerate(state.versions(tx, bucket, current.key)):
                yield found, number == 0


def _behind(tx: Tx, bucket: str, page: Page, after: str) -> Iterator[Object]:
    """Current versions of keys with the prefix, behind `after`; a rolled prefix there is passed as a whole."""
    if after < page.prefix:
        after = ""
    rolled = bool(after) and page.group(after) == after  # Not so a folder's own object, which ends like one.
    start: Key | None = state.OBJECTS.key(bucket, after) if after else None
    if page.prefix and not after:
        start = state.OBJECTS.key(bucket, page.prefix)
        first = state.OBJECTS.get(tx, bucket, page.prefix)
        if first is not None:
            yield first
    for _, found in state.OBJECTS.scan(tx, bucket, after=start):
        if not found.key.startswith(page.prefix):
            if found.key > page.prefix:
                return
            continue
        if rolled and found.key.startswith(after):
            continue
        yield found


def _listed(found: Object, key: str, account: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Key": key,
        "LastModified": moment(found.modified_ms),
        "ETag": f'"{found.etag}"',
        "Size": found.size,
        "StorageClass": found.headers.get("StorageClass", "STANDARD"),
    }
    if found.checksums:
        shown["ChecksumAlgorithm"] = [name.removeprefix("Checksum") for name in found.checksums]
        shown["ChecksumType"] = found.checksum_type or "FULL_OBJECT"
    return shown | ({"Owner": {"ID": answers.owner_id(account)}} if account else {})


def _version(found: Object, key: str, account: str, *, newest: bool) -> dict[str, Any]:
    shown = {"VersionId": found.version, "IsLatest": newest}
    if not found.marker:
        return _listed(found, key, account) | shown
    owner = {"ID": answers.owner_id(account)}
    return {"Key": key, "LastModified": moment(found.modified_ms), "Owner": owner, **shown}
