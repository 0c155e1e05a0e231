"""Event source mappings as they are kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.functions.triggers import stored as triggers
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.aws.services.lambda_.state import Function
    from fogbank.kernel.store import Tx


@dataclass(frozen=True, slots=True)
class Mapping:
    id: str
    account: str
    region: str
    function_arn: str
    source_arn: str
    settings: dict[str, Any]
    enabled: bool
    modified_ms: int
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:event-source-mapping:{self.id}"


MAPPINGS = Records(Mapping, "lambda", "mapping")  # (account, region, id)


def put(tx: Tx, mapping: Mapping) -> None:
    MAPPINGS.put(tx, mapping.account, mapping.region, mapping.id, row=mapping)


def by_arn(tx: Tx, arn: str) -> Mapping | None:
    """None for an ARN of something else. Raises ResourceNotFoundException."""
    parts = arn.split(":")
    if len(parts) != 7 or parts[5] != "event-source-mapping":
        return None
    found = MAPPINGS.get(tx, parts[4], parts[3], parts[6])
    if found is None:
        raise missing()
    return found


def switch(tx: Tx, function: Function, *, there: bool) -> None:
    """Mappings outlive their function: they rest while there is none of its name, and go on with the next."""
    for mapping in MAPPINGS.all(tx, function.account, function.region):
        trigger = triggers.get(tx, mapping.id)
        if trigger is not None and mapping.function_arn.split(":")[6] == function.name:
            triggers.put(tx, replace(trigger, enabled=there and mapping.enabled))


def missing() -> ServiceError:
    return ServiceError(
        "ResourceNotFoundException", "The resource you requested does not exist.", fields={"Type": "User"}
    )
