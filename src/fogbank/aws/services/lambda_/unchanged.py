"""Which files of a zip lie in the folder of an earlier one already, so that a save of one costs no writing of all."""

from __future__ import annotations

import io
import struct
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# APPNOTE, "Local file header": behind its fixed part lie a name and an extra field of these lengths.
_HEADER_BYTES, _LENGTHS_AT, _LENGTHS = 30, 26, struct.Struct("<HH")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A zip and what it became."""

    zip: Path
    folder: Path


def files(content: bytes, archive: zipfile.ZipFile, before: Unpacked) -> dict[str, Path]:
    """By name, where each lies: those whose bytes in the zip, and the way they are packed, are what they were."""
    try:
        old = before.zip.read_bytes()
        with zipfile.ZipFile(io.BytesIO(old)) as earlier:
            entries = {entry.filename: entry for entry in earlier.infolist()}
    except (OSError, zipfile.BadZipFile):
        return {}
    found = {}
    times = Counter(entry.filename for entry in archive.infolist())
    for entry in archive.infolist():
        was = entries.get(entry.filename)
        if was is not None and times[entry.filename] == 1 and _packing(was) == _packing(entry):
            packed = _packed(content, entry)
            if packed is not None and packed == _packed(old, was):
                found[entry.filename] = before.folder / entry.filename
    return found


def _packing(entry: zipfile.ZipInfo) -> tuple[int, ...]:
    return entry.compress_type, entry.CRC, entry.compress_size, entry.file_size, entry.external_attr


def _packed(content: bytes, entry: zipfile.ZipInfo) -> bytes | None:
    """An entry as it lies in the zip; none where the zip is not long enough for it."""
    if not 0 <= entry.header_offset <= len(content) - _HEADER_BYTES:
        return None
    start = entry.header_offset + _HEADER_BYTES + sum(_LENGTHS.unpack_from(content, entry.header_offset + _LENGTHS_AT))
    return content[start : start + entry.compress_size]
