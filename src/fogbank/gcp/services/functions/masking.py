"""The fields of a function that an update names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import masks
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_whole(paths: list[str]) -> bool:
    """ "If no field mask is provided, all fields will be updated." """
    return not paths or paths == ["*"]


def apply(paths: Iterable[str], asked: Any, settings: Any) -> None:
    """Raises `RpcError` for what is no field."""
    try:
        masks.apply(paths, asked, settings)
    except KeyError as error:
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid field path in update_mask: {error.args[0]}") from error
