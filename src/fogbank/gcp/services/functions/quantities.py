"""Kubernetes' way to write amounts: "256M", "1Gi", "0.5", "500m"."""

from __future__ import annotations

import re

_SUFFIXES = {
    "": 1.0, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
}  # fmt: skip
_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m|[kMGTP]|[KMGTP]i)?")
# "Configure memory": how much of a CPU a 2nd gen function has that names none, by its memory in MB.
_CPUS = ((128, "0.083"), (256, "0.1666"), (512, "0.3333"), (1024, "0.5833"), (2048, "1"), (8192, "2"), (16384, "4"))


def read(text: str) -> float | None:
    """None where it is no amount."""
    found = _QUANTITY.fullmatch(text)
    return float(found[1]) * _SUFFIXES[found[2] or ""] if found else None


def megabytes(text: str) -> int:
    """Of memory: "256M" and "256Mi" are both 256, which is what people mean by them."""
    amount = read(text) or 0.0
    return round(amount / (2**20 if text.endswith("i") else 10**6))


def usual_cpu(memory_mb: int) -> str:
    return next((cpu for most, cpu in _CPUS if memory_mb <= most), "8")
