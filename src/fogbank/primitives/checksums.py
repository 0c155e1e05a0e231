"""Checksums that Python's own library has not: CRC-32C and CRC-64/NVME, by AWS's implementation in C."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any


def crc32c(piece: bytes | memoryview, before: int = 0) -> int:
    """`before`: that of what comes before the piece."""
    return int(_crt().crc32c(piece, before))


def crc64nvme(piece: bytes | memoryview, before: int = 0) -> int:
    return int(_crt().crc64nvme(piece, before))


@cache
def _crt() -> Any:
    """Loaded when the first is needed, for it takes 30 ms."""
    return importlib.import_module("awscrt.checksums")
