"""What is kept of stacks: the stacks, their resources, their events, their change sets, and what they export."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stack is to be: everything that a deploy needs to know."""

    body: str  # As it was given.
    template: dict[str, Any]  # After the transforms.
    parameters: dict[str, str]
    capabilities: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    disable_rollback: bool = False
    hidden: list[str] = field(default_factory=list)  # Parameters with NoEcho.
    fetched: dict[str, str] = field(default_factory=dict)  # What parameters that name others stand for.
    on_failure: str = "ROLLBACK"  # Of a creation: DELETE goes on after the rollback.
    timeout_ms: int = 0  # Of a creation; 0: none.


@dataclass(frozen=True, slots=True)
class Stack:
    id: str  # The ARN.
    name: str
    account: str
    region: str
    status: str
    created_ms: int
    current: Wanted | None = None  # What it is, once it has been deployed.
    target: Wanted | None = None  # What it is on its way to, while it is.
    reason: str = ""
    updated_ms: int = 0
    deleted_ms: int = 0
    outputs: list[dict[str, str]] = field(default_factory=list)
    protected: bool = False
    principal: str = ""
    retained: list[str] = field(default_factory=list)  # DeleteStack: what to leave.
    imports: list[str] = field(default_factory=list)  # Names of the exports that it uses.
    forced: bool = False  # DeleteStack: what cannot be deleted is left.
    token: str = ""  # The ClientRequestToken of what is under way, or was last.
    role: str = ""  # RoleARN: kept and shown.
    policy: str = ""  # The stack policy, and one that holds for one update.
    policy_once: str = ""
    parent: str = ""  # Of a nested stack: the ARN of the one that it is a resource of, and of the outermost.
    root: str = ""
    previous: Wanted | None = None  # Of a nested one: what it was before its last update, should its parent go back.


@dataclass(frozen=True, slots=True)
class Resource:
    logical_id: str
    type: str
    status: str
    physical_id: str = ""
    name: str = ""  # The name that was made up for it: kept before it is created, so that a crash leaves no orphan.
    reason: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    depends_on: list[str] = field(default_factory=list)
    deletion: str = "Delete"
    replace_policy: str = "Delete"
    modified_ms: int = 0
    replaced: str = ""  # Physical id that this took the place of, until the clean-up.
    before: dict[str, Any] | None = None  # Properties before the update under way, for its rollback.
    attributes_before: dict[str, Any] = field(default_factory=dict)
    lost: bool = False  # A crash cut its creation: whether it is there is not known.
    claimed: str = ""  # The name that the template gives it, if nothing had that name before it was created.


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    at_ms: int
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str = ""
    properties: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    id: str  # The ARN.
    name: str
    stack_id: str
    kind: str  # CREATE, UPDATE
    status: str
    execution: str
    created_ms: int
    reason: str = ""
    description: str = ""
    wanted: Wanted | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where something outside answers: a custom resource's function, whoever a wait condition waits for."""

    secret: str  # In its address: who knows it may answer.
    expires_ms: int
    answers: list[bytes] = field(default_factory=list)


ENDED = "cloudformation.ended"  # The signal that a deploy is over; its key is (stack id,).
ANSWERED = "cloudformation.answered"  # That a mailbox has something; its key is (its id,).

STACKS = Records(Stack, "cloudformation", "stack")  # (stack id,)
NAMES = Records(str, "cloudformation", "name")  # (account, region, name) → id of the living stack
RESOURCES = Records(Resource, "cloudformation", "resource")  # (stack id, logical id)
EVENTS = Records(Event, "cloudformation", "event")  # (stack id, event id)
CHANGE_SETS = Records(ChangeSet, "cloudformation", "change-set")  # (stack id, change set id)
EXPORTS = Records(str, "cloudformation", "export")  # (account, region, name) → value
EXPORTERS = Records(str, "cloudformation", "exporter")  # (account, region, name) → stack id
MAILBOXES = Records(Mailbox, "cloudformation", "mailbox")  # (id,)
IMPORTS = Records(str, "cloudformation", "import")  # (account, region, export, stack id) → stack name


def set_imports(tx: Tx, stack: Stack, names: set[str]) -> Stack:
    """What the stack imports from now on; the exports in question cannot be changed or deleted meanwhile."""
    for name in stack.imports:
        IMPORTS.delete(tx, stack.account, stack.region, name, stack.id)
    for name in names:
        IMPORTS.put(tx, stack.account, stack.region, name, stack.id, row=stack.name)
    return replace(stack, imports=sorted(names))


def living(tx: Tx, account: str, region: str, name: str) -> Stack | None:
    stack_id = NAMES.get(tx, account, region, name)
    return STACKS.get(tx, stack_id) if stack_id else None


def put(tx: Tx, stack: Stack) -> None:
    STACKS.put(tx, stack.id, row=stack)


def note(tx: Tx, stack: Stack, event: Event) -> None:
    EVENTS.put(tx, stack.id, event.id, row=event)
