"""What a CloudFormation resource type is: one class, in its service's `resources.py`, with all verbs of the type.

It asks the public operations that any customer would call. What replaces a resource, what `Ref` gives and which
attributes can be read come from the published resource schema; this class only acts.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    from fogbank.aws.service import Ask, House
    from fogbank.aws.stacks.records import Stack

Properties = dict[str, Any]


class ResourceType(Protocol):
    type: ClassVar[str]  # "AWS::SQS::Queue"

    async def create(self, ask: Ask, wanted: Properties, name: str) -> str:
        """Make it and return its physical id, which is what `Ref` gives. `name` is the name CloudFormation would
        make up ("stack-Logical-1A2B3C4D5E6F"), for a resource whose template gives none: cut it to the type's limit.
        """
        ...

    # Where making takes several steps, `create` does the first, and a type may have one verb more for the others: what
    # was made has been written down by then, so neither a failure nor a crash in the middle leaves it behind.
    #
    # async def finish(self, ask: Ask, physical_id: str, wanted: Properties, name: str) -> None

    async def update(self, ask: Ask, physical_id: str, wanted: Properties, old: Properties) -> str | None:
        """Change it in place (never called where a create-only property differs). A property that left the template
        goes back to its default. What replaces itself (a custom resource may) answers with its new physical id."""
        ...

    async def delete(self, ask: Ask, physical_id: str, old: Properties) -> None:
        """Remove it; one that is gone already is not an error."""
        ...

    async def read(self, ask: Ask, physical_id: str, wanted: Properties) -> dict[str, Any]:
        """The attributes that `Fn::GetAtt` can ask for, by name ("Arn", "Nested.Name")."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource stands, for the few types that must know."""

    house: House
    stack: Stack
    logical_id: str
    type: str


class Placed(Protocol):
    """A type that must know where its resources stand, and may wait for others: those it is told to wait no longer for
    are cancelled. Its verbs are those of what `placed` gives."""

    # What `placed` gives may have one verb more, in place of an update with the old properties, where those do not tell
    # all of what it was: `async def put_back(self, ask, physical_id, wanted, old)`.

    type: ClassVar[str]
    looks_inside: ClassVar[bool]  # Updated with each update of the stack: what it leads to may have changed.

    def placed(self, place: Place) -> ResourceType: ...


CUSTOM = "AWS::CloudFormation::CustomResource"


def find(types: Mapping[str, Any], name: str) -> Any:
    """The type of that name; "Custom::Anything" is a custom resource. None where it is not served."""
    return types.get(CUSTOM if name.startswith("Custom::") else name)


class Unfinished(ServiceError):
    """It could not be created as it was wanted, and is there all the same: a rollback has to remove it."""

    def __init__(self, physical_id: str, error: Exception) -> None:
        code, message, status = "InvalidRequest", str(error), 400
        if isinstance(error, ServiceError):
            code, message, status = error.code, error.message, error.status
        super().__init__(code, message, status=status)
        self.physical_id = physical_id


@contextmanager
def begun(physical_id: str) -> Iterator[None]:
    """Round the steps of a creation that come after the first: what fails there leaves something behind."""
    try:
        yield
    except (ServiceError, KeyError, TypeError, ValueError) as error:
        raise Unfinished(physical_id, error) from error


async def unless_gone(asked: Awaitable[Any], *codes: str) -> None:
    """Await a deletion; that what it is of is gone already (by default ResourceNotFoundException) is no error."""
    try:
        await asked
    except ServiceError as error:
        if error.code not in (codes or ("ResourceNotFoundException",)):
            raise
