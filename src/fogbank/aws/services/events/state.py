"""What EventBridge remembers: buses and rules. Functions of a transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.aws.service import Call
    from fogbank.kernel.store import Tx

DEFAULT = "default"  # Every account has this bus, and need not make it.
_TAGS_MAX = 50


@dataclass(frozen=True, slots=True)
class Bus:
    account: str
    region: str
    name: str
    description: str
    created_ms: int
    modified_ms: int
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:event-bus/{self.name}"


@dataclass(frozen=True, slots=True)
class Rule:
    account: str
    region: str
    name: str
    schedule: str
    state: str
    description: str
    last_ms: int  # When it was last due; at first, when it was made or enabled.
    targets: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    role: str = ""
    bus: str = DEFAULT
    pattern: str = ""

    @property
    def path(self) -> str:
        """What it is called among all rules: names have no slash."""
        return path(self.bus, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:rule/{self.path}"


BUSES = Records(Bus, "events", "bus")  # (account, region, name): those that were made
RULES = Records(Rule, "events", "rule")  # (account, region, path)


def path(bus: str, name: str) -> str:
    return name if bus == DEFAULT else f"{bus}/{name}"


def bus_name(tx: Tx, call: Call, request: dict[str, Any]) -> str:
    """The bus that a request is for; raises ResourceNotFoundException."""
    name = str(request.get("EventBusName", DEFAULT)).rpartition("event-bus/")[2]
    if name != DEFAULT and BUSES.get(tx, call.account, call.region, name) is None:
        raise missing_bus(name)
    return name


def missing_bus(name: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"Event bus {name} does not exist.")


def rules_of(tx: Tx, account: str, region: str, bus: str) -> list[Rule]:
    return [rule for rule in RULES.all(tx, account, region) if rule.bus == bus]


def find(tx: Tx, call: Call, request: dict[str, Any], name: str) -> Rule:
    bus = bus_name(tx, call, request)
    found = RULES.get(tx, call.account, call.region, path(bus, name))
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {bus}.")
    return found


def put(tx: Tx, rule: Rule) -> None:
    RULES.put(tx, rule.account, rule.region, rule.path, row=rule)


def checked_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > _TAGS_MAX:
        raise ServiceError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    return tags
