"""Layers: archives that functions share, each version of one kept as it was published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_.state import Code
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.kernel.config import Config
    from fogbank.kernel.store import Tx


@dataclass(frozen=True, slots=True)
class Layer:
    name: str
    version: int
    arn: str  # With the version.
    code: Code
    description: str
    created_ms: int
    runtimes: list[str] = field(default_factory=list)
    architectures: list[str] = field(default_factory=list)
    license: str = ""
    deleted: bool = False  # Functions that have it keep it; nobody else gets it.


LAYERS = Records(Layer, "lambda", "layer")  # (account, region, name, version)
LAST = Records(int, "lambda", "layer-last")  # (account, region, name): numbers are never used twice.


def find(tx: Tx, arn: str) -> Layer:
    """One that may be given to a function."""
    found = _row(tx, arn)
    if found is None or found.deleted:
        raise ServiceError(
            "InvalidParameterValueException",
            f"Layer version {arn} does not exist.",
        )
    return found


def folder(tx: Tx, config: Config, arn: str) -> Path:
    """Where the layer of a function that has it lies unpacked."""
    found = _row(tx, arn) or find(tx, arn)
    return config.code_dir.absolute() / found.code.digest


def _row(tx: Tx, arn: str) -> Layer | None:
    parts = arn.split(":")  # arn:aws:lambda:region:account:layer:name:version
    known = len(parts) == 8 and parts[7].isdigit()
    return LAYERS.get(tx, parts[4], parts[3], parts[6], int(parts[7])) if known else None
