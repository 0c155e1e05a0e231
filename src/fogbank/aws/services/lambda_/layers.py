"""Layers: archives that functions share, each version of one kept as it was published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_.state import Code
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Collection
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


_OF_FUNCTION_MAX = 5  # Lambda quotas: "Function layers".
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


def check(tx: Tx, arns: list[str], known: Collection[str] = ()) -> dict[str, int]:
    """The sizes of the layers that a function is to have; those that it has already may have been deleted since."""
    if len(arns) > _OF_FUNCTION_MAX:
        told = f"Function can not have more than {_OF_FUNCTION_MAX} layers."
        raise ServiceError("InvalidParameterValueException", told)
    versions = [arn.rpartition(":")[0] for arn in arns]
    twice = next((arn for arn in versions if versions.count(arn) > 1), None)
    if twice is not None:
        told = (
            f"Two different versions of the same layer are not allowed to be referenced in the same function. {twice}"
        )
        raise ServiceError("InvalidParameterValueException", told)
    kept = {arn: _row(tx, arn) for arn in arns if arn in known}
    return {arn: (kept.get(arn) or find(tx, arn)).code.size for arn in arns}


def folder(tx: Tx, config: Config, arn: str) -> Path:
    """Where the layer of a function that has it lies unpacked."""
    found = _row(tx, arn) or find(tx, arn)
    return config.code_dir.absolute() / found.code.digest


def _row(tx: Tx, arn: str) -> Layer | None:
    parts = arn.split(":")  # arn:aws:lambda:region:account:layer:name:version
    known = len(parts) == 8 and parts[7].isdigit()
    return LAYERS.get(tx, parts[4], parts[3], parts[6], int(parts[7])) if known else None
