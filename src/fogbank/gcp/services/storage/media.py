"""An object's content as an answer: headers, ranges, and gzip that is taken off for those who do not take it.

"Transcoding of gzip-compressed files" and "Range" (HTTP headers) in the manual.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from fogbank.gcp.services.storage import encryption, shown, times
from fogbank.gcp.services.storage.errors import StorageError
from fogbank.kernel.gateway.messages import Response, Unfinished
from fogbank.primitives import blobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from fogbank.gcp.services.storage.state import Object
    from fogbank.primitives.blobs import Blobs

_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_STEP_BYTES: Final = 1 << 20
_USUAL_TYPE: Final = "application/octet-stream"
_USUAL_CACHING: Final = "no-cache"  # fogbank's own: what changes under the caller's hands is asked for anew.
_OVERRIDES: Final = {
    "response-content-type": "Content-Type", "response-content-disposition": "Content-Disposition",
    "response-cache-control": "Cache-Control", "response-content-encoding": "Content-Encoding",
    "response-content-language": "Content-Language",
}  # fmt: skip


def response(
    house_blobs: Blobs, row: Object, headers: Mapping[str, str], overrides: Mapping[str, str] | None = None
) -> Response:
    """200, or 206 with a range. Raises 416, and what is wrong with the key."""
    encryption.check(row, headers)
    told = described(row) | {
        header: text for name, header in _OVERRIDES.items() if (text := (overrides or {}).get(name)) is not None
    }
    if _is_to_be_decoded(row, headers):
        return _decoded(house_blobs, row, told)
    part, status = part_of(row, headers), 200
    start, length = part or (0, row.size)
    if part is not None:
        status = 206
        told["Content-Range"] = f"bytes {start}-{start + length - 1}/{row.size}"
    if row.blob:
        return Response(status, list(told.items()), house_blobs.path(row.blob), length=length, offset=start)
    return Response(status, list(told.items()), row.body[start : start + length])


def described(row: Object) -> dict[str, str]:
    """What is told of an object's content in headers, whichever API asks."""
    hashes = f"crc32c={shown.crc32c(row)}" + (f",md5={b64encode(row.md5).decode()}" if row.md5 else "")
    told = {
        "Content-Type": row.told.get("contentType") or _USUAL_TYPE,
        "Cache-Control": row.told.get("cacheControl") or _USUAL_CACHING,
        "ETag": row.etag,
        "Last-Modified": times.http(row.created_ms),
        "Accept-Ranges": "bytes",
        "X-Goog-Generation": str(row.generation),
        "X-Goog-Metageneration": str(row.metageneration),
        "X-Goog-Hash": hashes,
        "X-Goog-Storage-Class": row.storage_class,
        "X-Goog-Stored-Content-Length": str(row.size),
        "X-Goog-Stored-Content-Encoding": row.told.get("contentEncoding") or "identity",
    }
    for member, header in (("contentEncoding", "Content-Encoding"), ("contentLanguage", "Content-Language"),
                           ("contentDisposition", "Content-Disposition")):  # fmt: skip
        if row.told.get(member):
            told[header] = row.told[member]
    if row.components:
        told["X-Goog-Component-Count"] = str(row.components)
    if row.key_sha256:
        told |= {"X-Goog-Encryption-Algorithm": "AES256", "X-Goog-Encryption-Key-Sha256": row.key_sha256}
    return told


def part_of(row: Object, headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Where to begin and how much; none where no single range is asked for. Raises 416."""
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if found is None or found[1] == found[2] == "":
        return None
    first, last, empty = found[1], found[2], False
    if first == "":  # The last so many bytes.
        start, end = max(0, row.size - int(last)), row.size
        empty = int(last) == 0
    elif last and int(last) < int(first):  # RFC 9110, "Range": not valid, so passed over.
        return None
    else:
        start, end = int(first), min(int(last) + 1, row.size) if last else row.size
    if start >= row.size or empty:
        raise StorageError(
            416, "requestedRangeNotSatisfiable", "Request range not satisfiable",
            headers=[("Content-Range", f"bytes */{row.size}")], place=("header", "Range"),
        )  # fmt: skip
    return start, end - start


def _is_to_be_decoded(row: Object, headers: Mapping[str, str]) -> bool:
    """ "Decompressive transcoding": stored as gzip, not asked for as such, and not forbidden."""
    if row.told.get("contentEncoding") != "gzip" or "no-transform" in row.told.get("cacheControl", ""):
        return False
    return not any(one.split(";")[0].strip().lower() == "gzip" for one in headers.get("accept-encoding", "").split(","))


def _decoded(house_blobs: Blobs, row: Object, told: dict[str, str]) -> Response:
    """ "the Range header is silently ignored"."""
    told.pop("Content-Encoding", None)
    told.pop("Accept-Ranges", None)
    told |= {"Warning": "214 UploadServer gunzipped", "X-GUploader-Response-Body-Transformations": "gunzipped",
             "Vary": "Accept-Encoding"}  # fmt: skip
    pieces = blobs.pieces(house_blobs.path(row.blob), 0, row.size) if row.blob else iter([row.body])
    return Response(200, list(told.items()), _gunzipped(pieces))


async def _gunzipped(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """In steps: a small file may hold a very long one."""
    decoder = zlib.decompressobj(wbits=31)
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            while piece:
                yield await asyncio.to_thread(decoder.decompress, piece, _STEP_BYTES)
                piece = decoder.unconsumed_tail
                if decoder.eof:
                    piece, decoder = decoder.unused_data, zlib.decompressobj(wbits=31)
        yield decoder.flush()
    except zlib.error as error:  # It only says that it is gzip.
        raise Unfinished from error
