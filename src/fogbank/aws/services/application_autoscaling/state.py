"""What Application Auto Scaling remembers: scalable targets, their policies and scheduled actions, what was done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from fogbank.aws.service import Call, ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_ACTIVITIES_MAX = 1000  # Kept; AWS keeps those of six weeks.


class Place(NamedTuple):
    """Which capacity of which resource: what every request names."""

    account: str
    region: str
    namespace: str
    resource_id: str
    dimension: str


@dataclass(frozen=True, slots=True)
class Target:
    id: str
    place: Place
    min: int
    max: int
    role: str
    created_ms: int
    suspended: dict[str, bool] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        place = self.place
        return f"arn:aws:application-autoscaling:{place.region}:{place.account}:scalable-target/{self.id}"

    def fits(self, capacity: int) -> int:
        return min(max(capacity, self.min), self.max)


@dataclass(frozen=True, slots=True)
class Policy:
    id: str
    place: Place
    name: str
    tracking: dict[str, Any]  # TargetTrackingScalingPolicyConfiguration
    created_ms: int

    @property
    def arn(self) -> str:
        return _child_arn(self.place, "scalingPolicy", self.id, f"policyName/{self.name}")


@dataclass(frozen=True, slots=True)
class Action:
    id: str
    place: Place
    name: str
    schedule: str
    change: dict[str, int]  # MinCapacity, MaxCapacity
    created_ms: int
    last_ms: int  # When it was last due; at first, when it was made.
    zone: str = ""
    start_ms: int = 0
    end_ms: int = 0  # 0: never.

    @property
    def arn(self) -> str:
        return _child_arn(self.place, "scheduledAction", self.id, f"scheduledActionName/{self.name}")


@dataclass(frozen=True, slots=True)
class Activity:
    id: str
    place: Place
    description: str
    cause: str
    at_ms: int
    status: str = "Successful"
    told: str = ""


TARGETS = Records(Target, "autoscaling", "target")  # Place
POLICIES = Records(Policy, "autoscaling", "policy")  # (*Place, name)
ACTIONS = Records(Action, "autoscaling", "action")  # (*Place, name)
ACTIVITIES = Records(Activity, "autoscaling", "activity")  # (account, region, at_ms, id)


def place(call: Call, request: dict[str, Any]) -> Place:
    return Place(
        call.account, call.region, request["ServiceNamespace"], request["ResourceId"], request["ScalableDimension"]
    )


def find(tx: Tx, where: Place) -> Target:
    found = TARGETS.get(tx, *where)
    if found is None:
        raise ServiceError(
            "ObjectNotFoundException",
            f"No scalable target registered for service namespace: {where.namespace}, resource ID: "
            f"{where.resource_id}, scalable dimension: {where.dimension}",
        )
    return found


def by_arn(tx: Tx, call: Call, arn: str) -> Target:
    for target in TARGETS.all(tx, call.account, call.region):
        if target.arn == arn:
            return target
    raise ServiceError("ResourceNotFoundException", f"No scalable target found for ARN: {arn}", fields={"ResourceName": arn})  # fmt: skip  # noqa: E501


def record(tx: Tx, activity: Activity) -> None:
    """The newest are kept."""
    account, region = activity.place.account, activity.place.region
    ACTIVITIES.put(tx, account, region, activity.at_ms, activity.id, row=activity)
    keys = [key for key, _ in ACTIVITIES.scan(tx, account, region)]
    for key in keys[:-_ACTIVITIES_MAX]:
        tx.delete(key)


def chosen(call: Call, request: dict[str, Any]) -> tuple[str, ...]:
    """The beginning of keys that a Describe… asks for: as far as it names them in order."""
    parts = [call.account, call.region, request["ServiceNamespace"]]
    if "ResourceId" in request:
        parts.append(request["ResourceId"])
        if "ScalableDimension" in request:
            parts.append(request["ScalableDimension"])
    return tuple(parts)


def _child_arn(where: Place, kind: str, child_id: str, name: str) -> str:
    resource = f"resource/{where.namespace}/{where.resource_id}:{name}"
    return f"arn:aws:autoscaling:{where.region}:{where.account}:{kind}:{child_id}:{resource}"
