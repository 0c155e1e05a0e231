"""A request's body while it arrives: short ones in memory, long ones in a file that is gone once they are answered."""

from __future__ import annotations

import mmap
import tempfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Body:
    def __init__(self, folder: Path, in_memory_bytes: int) -> None:
        self.length = 0
        self._folder, self._in_memory_bytes = folder, in_memory_bytes
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, piece: bytes) -> None:
        self.length += len(piece)
        if self._file is not None:
            self._file.write(piece)
        elif self.length > self._in_memory_bytes:
            # The file has no name: it is gone when the last view of it is, whatever happens to this process.
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            self._file.writelines(self._pieces)
            self._file.write(piece)
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def content(self) -> bytes | memoryview:
        if self._file is None:
            return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._file.flush()
        view = memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        self._file.close()
        return view
