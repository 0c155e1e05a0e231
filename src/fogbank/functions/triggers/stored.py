"""Triggers as they are kept: added, changed, removed. Functions of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.functions.triggers import progress
from fogbank.functions.triggers.model import CHANGED, RESULTS, TRIGGERS
from fogbank.primitives import streams

if TYPE_CHECKING:
    from fogbank.functions.triggers.model import Trigger
    from fogbank.kernel.store import Tx


def put(tx: Tx, trigger: Trigger) -> None:
    """Add it, or change it: its task starts anew with what it says now.

    Where it begins in a stream is decided here, so a record that is put after this is never before the beginning.
    """
    TRIGGERS.put(tx, trigger.id, row=trigger)
    stream = streams.get(tx, trigger.source) if trigger.kind == "stream" and trigger.enabled else None
    if stream is not None:
        progress.begin_all(tx, trigger, stream.shards)
    tx.emit(CHANGED)


def get(tx: Tx, trigger_id: str) -> Trigger | None:
    return TRIGGERS.get(tx, trigger_id)


def result(tx: Tx, trigger_id: str) -> str:
    """What came of its last batch; empty before the first."""
    return RESULTS.get(tx, trigger_id) or ""


def remove(tx: Tx, trigger_id: str) -> None:
    TRIGGERS.delete(tx, trigger_id)
    RESULTS.delete(tx, trigger_id)
    progress.PROGRESS.clear(tx, trigger_id)
    tx.emit(CHANGED)
