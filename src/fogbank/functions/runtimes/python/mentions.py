"""Whether a function's files mention the AWS SDK. One whose files do not is born of a process that has not loaded it,
a third as large: its births are quicker and its instances smaller. It still finds the SDK, should it ask for that in a
way that cannot be seen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_WORD: Final = b"boto"  # boto3, botocore, and what people have built on them.
_FILES_MAX, _BYTES_MAX = 1000, 8 * 1024 * 1024  # Beyond that it is not read: it has packages, and they use the SDK.


def sdk(folders: Iterable[Path]) -> bool:
    """Reads all that is there: not for the event loop's thread."""
    files, left = 0, _BYTES_MAX
    try:
        for folder in folders:
            for path in _files(str(folder)):
                files += 1
                with open(path, "rb") as file:  # noqa: PTH123  # Many, and Path costs as much as the reading.
                    text = file.read(left + 1)
                left -= len(text)
                if _WORD in text or left < 0 or files > _FILES_MAX:
                    return True
    except OSError:
        return True
    return False


def _files(folder: str) -> Iterator[str]:
    """No links: people's bundles may lead anywhere by them."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path
