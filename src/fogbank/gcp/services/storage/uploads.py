"""Resumable uploads: begun, continued where they stand after whatever has happened, finished, cancelled.

"Perform resumable uploads" and "Resumable uploads" in the manual. What of a piece is acknowledged is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from fogbank.gcp.services.storage import contents, encryption, names, resources, state
from fogbank.gcp.services.storage.errors import StorageError, invalid
from fogbank.gcp.services.storage.state import PARTS, UPLOADS, Bucket, Object, Part, Upload
from fogbank.primitives import blobs

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.contents import Content
    from fogbank.gcp.services.storage.objects import Objects
    from fogbank.kernel.store import Tx

GRANULE: Final = 256 * 1024  # "a multiple of 256 KB".
SESSION_MS: Final = 7 * 86_400_000  # "A session URI expires after one week".
_RANGE: Final = re.compile(r"bytes (?:\*|(\d{1,18})-(\d{1,18}))/(?:\*|(\d{1,18}))")
_SIZE_MAX: Final = 5 * 1024**4


@dataclass(frozen=True, slots=True)
class Piece:
    """What a request brings: where it begins (none: it only asks), and how long the whole is, where that is told."""

    start: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """An upload that goes on: so much of it is kept."""

    received: int


@dataclass(frozen=True, slots=True)
class Finished:
    owner: Bucket
    row: Object


class Uploads:
    def __init__(self, house: House, objects: Objects) -> None:
        self._house, self._objects = house, objects

    def begin(self, tx: Tx, bucket: str, name: str, told: dict[str, Any], asked: Asked) -> Upload:
        """What could not end well is refused now, but for preconditions: they count when it ends."""
        owner = state.bucket(tx, bucket)
        names.check_object(name)
        resources.of_new(told, owner, asked.now_ms)
        resources.storage_class(told, owner)
        length = asked.headers.get("x-upload-content-length", "")
        begun = Upload(
            asked.new_id().replace("-", ""), bucket, owner.id, name, asked.now_ms, told, dict(asked.parameters),
            total=int(length) if length.isascii() and length.isdigit() and len(length) < 19 else -1,
            key_sha256=encryption.key_sha256(asked.headers),
        )  # fmt: skip
        UPLOADS.put(tx, begun.id, row=begun)
        return begun

    async def go_on(self, upload_id: str, asked: Asked) -> Standing | Finished:
        """A piece, or the question how it stands."""
        upload = await self._house.store.transact(_session, upload_id, asked.now_ms)
        piece = _piece(asked)
        if upload.finished:
            return await self._house.store.transact(_finished, upload)
        if piece.total is not None:
            _check_total(upload, piece.total)
        if piece.start is not None:
            _check_place(upload, piece, len(asked.body))
            body = memoryview(asked.body)[upload.received - piece.start :]
            ends = piece.total is not None and piece.start + len(asked.body) == piece.total
            if ends and not upload.received:  # All in one: it need not be kept in pieces.
                content = await contents.kept(self._house.blobs, body, asked.new_id())
                return await self._insert(upload, content, asked)
            upload = await self._add(upload, body if ends else body[: len(body) // GRANULE * GRANULE], asked)
        if piece.total is not None and upload.received == piece.total:
            return await self._finish(upload, asked)
        return Standing(upload.received)

    async def _add(self, upload: Upload, body: memoryview, asked: Asked) -> Upload:
        if not len(body):
            return upload
        kept = await contents.as_blob(self._house.blobs, blobs.slices(body), asked.new_id())
        part = Part(upload.received, kept.size, kept.md5, kept.crc32c, kept.blob, asked.now_ms)
        return await self._objects.keep(kept.blob, partial(_add, upload=upload, part=part))

    async def _finish(self, upload: Upload, asked: Asked) -> Finished:
        parts = await self._house.store.transact(PARTS.all, upload.id)
        try:
            content = await contents.joined_parts(self._house.blobs, parts, asked.new_id())
        except FileNotFoundError:  # Another request has finished it meanwhile.
            ended = await self._house.store.transact(_session, upload.id, asked.now_ms)
            return await self._house.store.transact(_finished, ended)
        return await self._insert(upload, content, asked)

    async def _insert(self, upload: Upload, content: Content, asked: Asked) -> Finished:
        told = {**upload.resource, **contents.hashes_told(asked.headers)}
        try:
            contents.check(content, told)
        except StorageError:
            self._objects.drop([content.blob] if content.blob else [])
            await self.cancel(upload.id, asked)
            raise
        return await self._objects.keep(
            content.blob, partial(self._put, upload=upload, content=content, told=told, asked=asked)
        )

    def _put(
        self, tx: Tx, upload: Upload, content: Content, told: dict[str, Any], asked: Asked
    ) -> tuple[Finished, list[str]]:
        now = _session(tx, upload.id, asked.now_ms, lock=True)
        if now.finished:
            return _finished(tx, now), [content.blob] if content.blob else []
        if now.received != upload.received:
            raise _overtaken()
        owner, row, loose = self._objects.insert(
            tx, upload.bucket, upload.name, content, told, asked, parameters=upload.parameters,
            key_sha256=upload.key_sha256,
        )  # fmt: skip
        loose += [part.blob for part in PARTS.all(tx, upload.id)]
        PARTS.clear(tx, upload.id)
        UPLOADS.put(tx, upload.id, row=replace(now, finished=row.generation))
        return Finished(owner, row), loose

    async def cancel(self, upload_id: str, asked: Asked) -> None:
        loose = await self._house.store.transact(_cancel, upload_id, asked.now_ms)
        self._objects.drop(loose)


def forget(tx: Tx, upload: Upload) -> list[str]:
    """The upload with its parts; the answer is their blobs."""
    blobs = [part.blob for part in PARTS.all(tx, upload.id)]
    PARTS.clear(tx, upload.id)
    UPLOADS.delete(tx, upload.id)
    return blobs


def _session(tx: Tx, upload_id: str, now_ms: int, *, lock: bool = False) -> Upload:
    found = UPLOADS.get(tx, upload_id, lock=lock)
    if found is None or found.in_parts or now_ms >= found.started_ms + SESSION_MS:
        raise StorageError(404, "notFound", "Upload session not found.", code="NoSuchUpload")
    return found


def _finished(tx: Tx, upload: Upload) -> Finished:
    owner = state.bucket(tx, upload.bucket)
    return Finished(owner, state.object_(tx, owner, upload.name, upload.finished))


def _add(tx: Tx, upload: Upload, part: Part) -> tuple[Upload, list[str]]:
    now = UPLOADS.get(tx, upload.id, lock=True)
    if now is None or now.finished or now.received != upload.received:
        raise _overtaken()
    PARTS.put(tx, upload.id, part.number, row=part)
    grown = replace(now, received=now.received + part.size)
    UPLOADS.put(tx, upload.id, row=grown)
    return grown, []


def _cancel(tx: Tx, upload_id: str, now_ms: int) -> list[str]:
    return forget(tx, _session(tx, upload_id, now_ms, lock=True))


def _overtaken() -> StorageError:
    """Two requests carry the same piece: the client asks how it stands, and goes on."""
    return StorageError(503, "backendError", "Another request of this upload session is under way.")


def _piece(asked: Asked) -> Piece:
    told = asked.headers.get("content-range")
    if told is None:
        return Piece(0, len(asked.body))
    found = _RANGE.fullmatch(told.strip())
    if found is None:
        raise invalid(f"Failed to parse Content-Range header: {told[:64]}", place=("header", "Content-Range"))
    total = None if found[3] is None else int(found[3])
    if found[1] is None:
        return Piece(None, total)
    start, last = int(found[1]), int(found[2])
    if last - start + 1 != len(asked.body) or (total is not None and last >= total):
        raise invalid(
            f"Invalid request.  There were {len(asked.body)} byte(s) in the request body.  There should have been "
            f"{last - start + 1} byte(s) (starting at offset {start} and ending at offset {last}) according to the "
            "Content-Range header.",
        )
    return Piece(start, total)


def _check_total(upload: Upload, total: int) -> None:
    if upload.total not in (-1, total) or total > _SIZE_MAX or total < upload.received:
        raise invalid(f"Invalid request.  The total size of the upload, {total} bytes, is not what was told before.")


def _check_place(upload: Upload, piece: Piece, length: int) -> None:
    assert piece.start is not None
    if piece.start > upload.received:
        raise StorageError(
            503, "backendError",
            f"Invalid request.  According to the Content-Range header, the upload offset is {piece.start} byte(s), "
            f"which exceeds already uploaded size of {upload.received} byte(s).",
        )  # fmt: skip
    ends = piece.total is not None and piece.start + length == piece.total
    if piece.start + length < upload.received and not ends:
        return
    if length < GRANULE and not ends:
        raise invalid(
            f"Invalid request.  The number of bytes uploaded is required to be equal or greater than {GRANULE}, except "
            f"for the final request (it's recommended to be the exact multiple of {GRANULE}).  The received request "
            f"contained {length} bytes, which does not meet this requirement."
        )
