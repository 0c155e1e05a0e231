"""Large values as files, named by what is in them, beside the store.

A blob is written to a temporary name, fsynced and renamed, so its digest is on disk before any transaction names it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fogbank.kernel.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_PIECE_BYTES = 1 << 20


class Digest(Protocol):
    def update(self, piece: bytes | memoryview, /) -> object: ...


def pieces(path: Path, start: int, length: int) -> Iterator[bytes]:
    """Part of a file, for `put`. Raises `FileNotFoundError` with the first piece if it is gone."""
    with path.open("rb") as file:
        file.seek(start)
        while length > 0 and (piece := file.read(min(length, _PIECE_BYTES))):
            length -= len(piece)
            yield piece


def slices(body: bytes | memoryview) -> Iterator[memoryview]:
    """A body, piece by piece: it may be a view of a large file."""
    view = memoryview(body)
    return (view[start : start + _PIECE_BYTES] for start in range(0, len(view), _PIECE_BYTES))


def digesting(pieces: Iterable[bytes | memoryview], *digests: Digest) -> Iterator[bytes | memoryview]:
    """The same, told to the digests on the way: by the thread that writes."""
    for piece in pieces:
        for digest in digests:
            digest.update(piece)
        yield piece


class Blobs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def put(self, content: bytes | memoryview | Iterable[bytes | memoryview], *, owner: str = "") -> str:
        """Keep it; the answer is its name: the SHA-256 of its content in hex.

        With an `owner` (an id that is used once) the name is that holder's alone, so it may delete the blob without
        asking who else has the same content. Raises `StoreError` where there is no room for it, `FileNotFoundError`
        where a file that it is made of is gone.
        """
        if isinstance(content, bytes | memoryview):
            content = (content,)
        try:
            return await asyncio.to_thread(self._write, content, owner)
        except FileNotFoundError:  # What it is made of is gone.
            raise
        except OSError as error:
            raise StoreError(error.strerror or str(error)) from error

    async def link(self, name: str, *, owner: str) -> str:
        """The same content under a name of another owner's. Raises `FileNotFoundError` if it is gone."""
        linked = f"{name.partition('-')[0]}-{owner}"
        await asyncio.to_thread(self._link, self.path(name), self.path(linked))
        return linked

    def path(self, digest: str) -> Path:
        """Where it lies, for reading only."""
        return self._folder / digest[:2] / digest

    def read(self, digest: str) -> bytes:
        return self.path(digest).read_bytes()

    def delete(self, digest: str) -> None:
        """The caller knows that nobody names it any more."""
        self.path(digest).unlink(missing_ok=True)

    def _write(self, content: Iterable[bytes | memoryview], owner: str) -> str:
        digest = hashlib.sha256()
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for piece in content:
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            name = digest.hexdigest() + (f"-{owner}" if owner else "")
            self.path(name).parent.mkdir(exist_ok=True)
            os.replace(temporary, self.path(name))
            self._sync_folders(self.path(name))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return name

    def _link(self, old: Path, new: Path) -> None:
        os.link(old, new)
        self._sync_folders(new)

    def _sync_folders(self, path: Path) -> None:
        """A new name is on disk once its folder is."""
        for folder in (path.parent, self._folder):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
