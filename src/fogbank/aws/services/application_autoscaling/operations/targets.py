"""Scalable targets: which capacity may be moved between which bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.application_autoscaling import paging, scaling, state
from fogbank.aws.services.application_autoscaling.state import ACTIVITIES, POLICIES, TARGETS, Place, Target

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_TAGS_MAX = 50
_ROLES = {"lambda": "LambdaConcurrency"}


class Targets(Operations):
    service: ClassVar = "application-autoscaling"
    # Every activity that is kept has scaled, or failed to.
    without_effect: ClassVar = {"DescribeScalingActivities": {"IncludeNotScaledActivities": ""}}

    def backgrounds(self) -> list[Background]:
        return [Background("application-autoscaling: scale", self.house.share(scaling.Scaler).run)]

    async def register_scalable_target(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Answers when the capacity is within its bounds."""
        where = state.place(call, request)
        found = scaling.link(self.house, where.namespace, where.dimension)
        try:
            await found.capacity(self.house.caller(call.account, call.region, call.principal), where.resource_id)
        except ServiceError as error:
            raise ServiceError("ValidationException", error.message) from error
        target = await self.house.store.transact(self._register, call, where, request)
        await self.house.share(scaling.Scaler).fit(where, "minimum and maximum capacity were set")
        return {"ScalableTargetARN": target.arn}

    def _register(self, tx: Tx, call: Call, where: Place, request: dict[str, Any]) -> Target:
        """RegisterScalableTarget: "If you are updating a target, you only need to specify what changes"."""
        before = TARGETS.get(tx, *where)
        if before is None and not {"MinCapacity", "MaxCapacity"} <= request.keys():
            raise ServiceError("ValidationException", "MinCapacity and MaxCapacity are required for a new target.")
        role = (
            f"arn:aws:iam::{call.account}:role/aws-service-role/{where.namespace}.application-autoscaling.amazonaws.com/"
            f"AWSServiceRoleForApplicationAutoScaling_{_ROLES[where.namespace]}"
        )
        target = before or Target(call.new_id(), where, 0, 0, role, call.now_ms, tags=_checked(request.get("Tags", {})))
        target = replace(
            target, min=request.get("MinCapacity", target.min), max=request.get("MaxCapacity", target.max),
            role=request.get("RoleARN", target.role),
            suspended=target.suspended | request.get("SuspendedState", {}),
        )  # fmt: skip
        if not 0 <= target.min <= target.max:
            raise ServiceError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
        TARGETS.put(tx, *where, row=target)
        return target

    def describe_scalable_targets(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        ids, dimension = request.get("ResourceIds"), request.get("ScalableDimension")
        every = [
            target
            for target in TARGETS.all(tx, *state.chosen(call, request))
            if (not ids or target.place.resource_id in ids) and dimension in (None, target.place.dimension)
        ]
        page, more = paging.page(request, every, lambda target: "|".join(target.place))
        return {"ScalableTargets": [_described(target) for target in page], **more}

    def deregister_scalable_target(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """ "Deregistering a scalable target deletes the scaling policies that are associated with it." """
        where = state.place(call, request)
        state.find(tx, where)
        POLICIES.clear(tx, *where)
        for action in state.ACTIONS.all(tx, *where):
            scaling.drop_action(tx, action)
        TARGETS.delete(tx, *where)
        return {}

    def describe_scaling_activities(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """The newest first."""
        wanted = {"namespace": request["ServiceNamespace"]}
        for member, name in (("ResourceId", "resource_id"), ("ScalableDimension", "dimension")):
            if member in request:
                wanted[name] = request[member]
        every = [
            one
            for one in ACTIVITIES.all(tx, call.account, call.region)
            if wanted.items() <= one.place._asdict().items()
        ]
        page, more = paging.page(request, every, lambda one: f"{10**15 - one.at_ms:016}{one.id}")
        return {"ScalingActivities": [_activity(one) for one in page], **more}

    # -- tags --

    def list_tags_for_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": state.by_arn(tx, call, request["ResourceARN"]).tags}

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        target = state.by_arn(tx, call, request["ResourceARN"])
        TARGETS.put(tx, *target.place, row=replace(target, tags=_checked(target.tags | request["Tags"])))
        return {}

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        target = state.by_arn(tx, call, request["ResourceARN"])
        tags = {key: value for key, value in target.tags.items() if key not in request["TagKeys"]}
        TARGETS.put(tx, *target.place, row=replace(target, tags=tags))
        return {}


def _checked(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > _TAGS_MAX:
        raise ServiceError("TooManyTagsException", "Tag quota exceeded.")
    return tags


def _described(target: Target) -> dict[str, Any]:
    switches = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
    return {
        **where(target.place), "MinCapacity": target.min, "MaxCapacity": target.max, "RoleARN": target.role,
        "CreationTime": target.created_ms / 1000, "ScalableTargetARN": target.arn,
        "SuspendedState": {name: target.suspended.get(name, False) for name in switches},
    }  # fmt: skip


def _activity(one: state.Activity) -> dict[str, Any]:
    return {
        **where(one.place), "ActivityId": one.id, "Description": one.description, "Cause": one.cause,
        "StartTime": one.at_ms / 1000, "EndTime": one.at_ms / 1000, "StatusCode": one.status, "StatusMessage": one.told,
    }  # fmt: skip


def where(place: Place) -> dict[str, str]:
    return {
        "ServiceNamespace": place.namespace, "ResourceId": place.resource_id, "ScalableDimension": place.dimension,
    }  # fmt: skip
