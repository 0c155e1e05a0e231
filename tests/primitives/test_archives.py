"""Zips that a disk takes nothing of are bad zips; a disk that is full is none of their fault."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from fogbank.kernel.store import StoreError
from fogbank.primitives import archives


def zipped(*entries: tuple[str, bytes, int]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


FILE, LINK = stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777


@pytest.mark.parametrize(
    "content",
    [
        zipped(("n" * 300, b"", FILE)),
        zipped(("d/" * 2500 + "f", b"", FILE)),
        zipped(("link", b"n" * 300, LINK), ("link/f", b"", FILE)),
        zipped(("link", b"./" * 3000, LINK)),
        zipped(("a", b"b", LINK), ("b", b"a", LINK), ("a/f", b"", FILE)),
    ],
    ids=[
        "a name that is too long", "a path that is too long", "through a link to such a name",
        "a link that is too long", "through links in a circle",
    ],
)  # fmt: skip
def test_names_that_no_disk_takes_make_a_bad_archive(tmp_path, content):
    """Not a `StoreError`, after which whoever deploys it would try again for ever."""
    with pytest.raises(archives.BadArchive):
        archives.unpack(content, tmp_path / "code", bytes_max=1 << 20)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_told_as_that(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives.shutil, "copyfileobj", full)
    with pytest.raises(StoreError, match="No space left"):
        archives.unpack(zipped(("main.py", b"x", FILE)), tmp_path / "code", bytes_max=1 << 20)
