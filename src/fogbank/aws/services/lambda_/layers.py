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


LAYERS = Records(Layer, "lambda", "layer")  # (account, region, name, version)
LAST = Records(int, "lambda", "layer-last")  # (account, region, name): numbers are never used twice.


def find(tx: Tx, arn: str) -> Layer:
    parts = arn.split(":")  # arn:aws:lambda:region:account:layer:name:version
    known = len(parts) == 8 and parts[7].isdigit()
    found = LAYERS.get(tx, parts[4], parts[3], parts[6], int(parts[7])) if known else None
    if found is None:
        raise ServiceError(
            "InvalidParameterValueException",
            f"Layer version {arn} does not exist.",
        )
    return found


def folder(tx: Tx, config: Config, arn: str) -> Path:
    return config.code_dir.absolute() / find(tx, arn).code.digest
