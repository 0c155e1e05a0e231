"""Application Auto Scaling in a CloudFormation template, told in the operations that any customer would call."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.stacks.resource import unless_gone

if TYPE_CHECKING:
    from fogbank.aws.service import Ask

_SERVICE, _GONE = "application-autoscaling", "ObjectNotFoundException"
_PLACE = ("ServiceNamespace", "ResourceId", "ScalableDimension")


class ScalableTarget:
    """Its physical id is all that names it: "function:shop:live|lambda:function:ProvisionedConcurrency|lambda"."""

    type: ClassVar = "AWS::ApplicationAutoScaling::ScalableTarget"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        await self._register(ask, wanted)
        return f"{wanted['ResourceId']}|{wanted['ScalableDimension']}|{wanted['ServiceNamespace']}"

    async def finish(self, ask: Ask, physical_id: str, wanted: dict[str, Any], name: str) -> None:
        await self._schedule(ask, physical_id, wanted, {})

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await self._register(ask, wanted)
        await self._schedule(ask, physical_id, wanted, old)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await unless_gone(ask(_SERVICE, "DeregisterScalableTarget", **_place(physical_id)), _GONE)

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Id": physical_id}

    async def _register(self, ask: Ask, wanted: dict[str, Any]) -> None:
        given: dict[str, Any] = {member: wanted[member] for member in _PLACE}
        given |= {member: int(wanted[member]) for member in ("MinCapacity", "MaxCapacity")}
        switches = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
        suspended = wanted.get("SuspendedState", {})
        given["SuspendedState"] = {name: _is_true(suspended.get(name, False)) for name in switches}
        if "RoleARN" in wanted:
            given["RoleARN"] = wanted["RoleARN"]
        await ask(_SERVICE, "RegisterScalableTarget", **given)

    async def _schedule(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        place, actions = _place(physical_id), wanted.get("ScheduledActions", [])
        names = {one["ScheduledActionName"] for one in actions}
        for before in old.get("ScheduledActions", []):
            name = before["ScheduledActionName"]
            if name not in names:
                await unless_gone(ask(_SERVICE, "DeleteScheduledAction", ScheduledActionName=name, **place), _GONE)
        for one in actions:
            known = ("ScheduledActionName", "Schedule", "Timezone")
            given: dict[str, Any] = {member: one[member] for member in known if member in one}
            change = one.get("ScalableTargetAction", {})
            given["ScalableTargetAction"] = {member: int(value) for member, value in change.items()}
            for member in ("StartTime", "EndTime"):
                if member in one:
                    given[member] = datetime.fromisoformat(str(one[member]))
            await ask(_SERVICE, "PutScheduledAction", **given, **place)


class ScalingPolicy:
    type: ClassVar = "AWS::ApplicationAutoScaling::ScalingPolicy"

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        return await self._put(ask, wanted)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        await self._put(ask, wanted)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        place = _place_of(old)
        await unless_gone(ask(_SERVICE, "DeleteScalingPolicy", PolicyName=old["PolicyName"], **place), _GONE)

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"Arn": physical_id}

    async def _put(self, ask: Ask, wanted: dict[str, Any]) -> str:
        known = ("PolicyName", "PolicyType", "StepScalingPolicyConfiguration", "PredictiveScalingPolicyConfiguration")
        given: dict[str, Any] = {member: wanted[member] for member in known if member in wanted}
        if "TargetTrackingScalingPolicyConfiguration" in wanted:
            tracking = dict(wanted["TargetTrackingScalingPolicyConfiguration"])
            tracking["TargetValue"] = float(tracking["TargetValue"])
            for member in ("ScaleInCooldown", "ScaleOutCooldown"):
                if member in tracking:
                    tracking[member] = int(tracking[member])
            if "DisableScaleIn" in tracking:
                tracking["DisableScaleIn"] = _is_true(tracking["DisableScaleIn"])
            given["TargetTrackingScalingPolicyConfiguration"] = tracking
        made = await ask(_SERVICE, "PutScalingPolicy", **given, **_place_of(wanted))
        return str(made["PolicyARN"])


def _place(physical_id: str) -> dict[str, str]:
    resource_id, dimension, namespace = physical_id.rsplit("|", 2)
    return {"ServiceNamespace": namespace, "ResourceId": resource_id, "ScalableDimension": dimension}


def _place_of(wanted: dict[str, Any]) -> dict[str, str]:
    """A policy names its target by its parts, or by its id."""
    if "ScalingTargetId" in wanted:
        return _place(wanted["ScalingTargetId"])
    return {member: wanted[member] for member in _PLACE}


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"
