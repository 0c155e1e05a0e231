"""Finding stacks, and setting one on its way: looked at and changed in one transaction, so nobody comes in between."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import Call, ServiceError
from fogbank.aws.services.cloudformation.requests import refused
from fogbank.aws.stacks import records
from fogbank.aws.stacks.ledger import STACK_TYPE
from fogbank.aws.stacks.records import Event, Stack, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.store import Tx

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_ENDED_BADLY = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "DELETE_COMPLETE",
                "UPDATE_ROLLBACK_FAILED")  # fmt: skip


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise refused(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )


def create(tx: Tx, call: Call, stack: Stack) -> None:
    """Raises AlreadyExistsException."""
    if records.living(tx, stack.account, stack.region, stack.name) is not None:
        raise ServiceError("AlreadyExistsException", f"Stack [{stack.name}] already exists")
    records.NAMES.put(tx, stack.account, stack.region, stack.name, row=stack.id)
    _keep(tx, call, stack)


def new_stack(call: Call, name: str, status: str, target: Wanted | None, token: str = "") -> Stack:
    stack_id = f"arn:aws:cloudformation:{call.region}:{call.account}:stack/{name}/{call.new_id()}"
    return Stack(
        stack_id, name, call.account, call.region, status, call.now_ms, target=target, principal=call.principal,
        token=token,
    )  # fmt: skip


def start(
    tx: Tx, /, call: Call, stack_id: str, status: str, token: str, check: Callable[[Stack], None], **changes: Any
) -> Stack:
    """A stack into a status that something follows from, if it is in one that allows that now."""
    now = records.STACKS.get(tx, stack_id, lock=True)
    if now is None:
        raise refused(f"Stack with id {stack_id} does not exist")
    check(now)
    started = replace(now, status=status, reason="", principal=call.principal, token=token, **changes)
    _keep(tx, call, started)
    return started


def _keep(tx: Tx, call: Call, stack: Stack) -> None:
    records.put(tx, stack)
    event = Event(
        call.new_id(), call.now_ms, stack.name, stack.id, STACK_TYPE, stack.status, "User Initiated", "", stack.token
    )
    records.note(tx, stack, event)


def find(tx: Tx, call: Call, name: str, *, deleted: bool = False) -> Stack:
    """By name, or by ARN: an ARN finds a deleted stack too."""
    if name.startswith("arn:"):
        found = records.STACKS.get(tx, name)
        if found is not None and (found.account, found.region) != (call.account, call.region):
            found = None
        if found is not None and not deleted and found.status == "DELETE_COMPLETE":
            found = None
    else:
        found = records.living(tx, call.account, call.region, name)
    if found is None:
        raise refused(f"Stack with id {name} does not exist")
    return found


def check_updatable(stack: Stack) -> None:
    if stack.status.endswith("_IN_PROGRESS") or stack.status in _ENDED_BADLY:
        raise refused(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def same(stack: Stack, after: Wanted) -> bool:
    """Is there nothing to do? After an update that has failed half-way there always is."""
    before = stack.current
    if before is None or stack.status == "UPDATE_FAILED":
        return False
    return (before.template, before.parameters, before.fetched, before.tags) == (
        after.template,
        after.parameters,
        after.fetched,
        after.tags,
    )
