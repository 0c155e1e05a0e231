"""What a CloudFormation resource type is: one class, in its service's `resources.py`, with all verbs of the type.

It asks the public operations that any customer would call. What replaces a resource, what `Ref` gives and which
attributes can be read come from the published resource schema; this class only acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from fogbank.aws.service import Ask

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

    async def update(self, ask: Ask, physical_id: str, wanted: Properties, old: Properties) -> None:
        """Change it in place (never called where a create-only property differs). A property that left the template
        goes back to its default."""
        ...

    async def delete(self, ask: Ask, physical_id: str, old: Properties) -> None:
        """Remove it; one that is gone already is not an error."""
        ...

    async def read(self, ask: Ask, physical_id: str, wanted: Properties) -> dict[str, Any]:
        """The attributes that `Fn::GetAtt` can ask for, by name ("Arn", "Nested.Name")."""
        ...


async def unless_gone(asked: Awaitable[Any], *codes: str) -> None:
    """Await a deletion; that what it is of is gone already (by default ResourceNotFoundException) is no error."""
    try:
        await asked
    except ServiceError as error:
        if error.code not in (codes or ("ResourceNotFoundException",)):
            raise
