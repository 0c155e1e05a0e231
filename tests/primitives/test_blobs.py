"""Large values as files: kept whole or not at all, shared by a link, read and told piece by piece."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from fogbank.primitives import blobs
from fogbank.primitives.blobs import Blobs

if TYPE_CHECKING:
    from pathlib import Path

LONG = os.urandom(2 * (1 << 20) + 17)


def test_slices_are_the_body_in_order_and_copy_nothing() -> None:
    made = list(blobs.slices(memoryview(LONG)))
    assert b"".join(made) == LONG and len(made) == 3
    assert all(one.obj is LONG for one in made)
    assert list(blobs.slices(b"")) == []


@pytest.mark.parametrize(("start", "length"), [(0, len(LONG)), (5, 10), (len(LONG) - 3, 100), (0, 0)])
def test_part_of_a_file_is_read_in_pieces(tmp_path: Path, start: int, length: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(LONG)
    assert b"".join(blobs.pieces(path, start, length)) == LONG[start : start + length]


def test_what_is_kept_is_told_to_digests_on_its_way(tmp_path: Path) -> None:
    kept, digest = Blobs(tmp_path), hashlib.md5()
    name = asyncio.run(kept.put(blobs.digesting(blobs.slices(LONG), digest), owner="one"))
    assert kept.read(name) == LONG and digest.digest() == hashlib.md5(LONG).digest()
    other = asyncio.run(kept.link(name, owner="two"))
    kept.delete(name)
    assert kept.read(other) == LONG


def test_where_a_source_is_gone_nothing_is_kept(tmp_path: Path) -> None:
    kept = Blobs(tmp_path)
    with pytest.raises(FileNotFoundError):
        asyncio.run(kept.put(blobs.pieces(tmp_path / "gone", 0, 5), owner="one"))
    assert list(tmp_path.iterdir()) == []
