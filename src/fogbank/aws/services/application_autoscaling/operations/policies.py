"""Scaling policies and scheduled actions: what moves a target's capacity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from fogbank.aws import expressions
from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.application_autoscaling import paging, scaling, state
from fogbank.aws.services.application_autoscaling.operations.targets import where
from fogbank.aws.services.application_autoscaling.state import ACTIONS, POLICIES, Action, Policy
from fogbank.primitives import schedules

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_TRACKING = "TargetTrackingScaling"
_KNOWN = ("TargetValue", "PredefinedMetricSpecification", "ScaleOutCooldown", "ScaleInCooldown", "DisableScaleIn")
# "Target tracking" of provisioned concurrency: from 10% to 90%.
_AIM_MIN, _AIM_MAX = 0.1, 0.9
_POLICIES_MAX, _ACTIONS_MAX = 50, 200  # Application Auto Scaling quotas, for each target.


class Policies(Operations):
    service: ClassVar = "application-autoscaling"
    refused: ClassVar = {
        "PutScalingPolicy": {
            "StepScalingPolicyConfiguration": (), "PredictiveScalingPolicyConfiguration": (),
        },
    }  # fmt: skip

    def put_scaling_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        target = state.find(tx, state.place(call, request))
        tracking = request.get("TargetTrackingScalingPolicyConfiguration")
        before = POLICIES.get(tx, *target.place, request["PolicyName"])
        if request.get("PolicyType", _TRACKING) != _TRACKING:
            told = f"PolicyType {request['PolicyType']} is not served here; {_TRACKING} is."
            raise ServiceError("ValidationException", told)
        if tracking is None:
            told = "TargetTrackingScalingPolicyConfiguration is required for this policy type."
            raise ServiceError("ValidationException", told)
        self._check(target.place, tracking)
        if before is None and len(POLICIES.all(tx, *target.place)) >= _POLICIES_MAX:
            raise ServiceError("LimitExceededException", f"A target has at most {_POLICIES_MAX} scaling policies.")
        made = Policy(
            before.id if before else call.new_id(), target.place, request["PolicyName"], dict(tracking),
            before.created_ms if before else call.now_ms,
        )  # fmt: skip
        POLICIES.put(tx, *target.place, made.name, row=made)
        tx.emit(schedules.CHANGED, (scaling.KIND,))
        return {"PolicyARN": made.arn, "Alarms": []}

    def _check(self, place: state.Place, tracking: dict[str, Any]) -> None:
        unknown = sorted(tracking.keys() - {*_KNOWN})
        if unknown:
            raise ServiceError("ValidationException", f"{unknown[0]} is not served here.")
        metrics = scaling.link(self.house, place.namespace, place.dimension).METRICS
        metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType", "")
        if metric not in metrics:
            told = f"The metric of a policy for {place.dimension} must be {' or '.join(metrics)}."
            raise ServiceError("ValidationException", told)
        if not _AIM_MIN <= tracking["TargetValue"] <= _AIM_MAX:
            told = f"TargetValue must be between {_AIM_MIN} and {_AIM_MAX} for {metric}."
            raise ServiceError("ValidationException", told)

    def describe_scaling_policies(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        names = request.get("PolicyNames")
        every = [
            policy
            for policy in POLICIES.all(tx, *state.chosen(call, request))
            if not names or policy.name in names or policy.arn in names
        ]
        page, more = paging.page(request, every, lambda policy: policy.arn)
        return {"ScalingPolicies": [_policy(policy) for policy in page], **more}

    def delete_scaling_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        place, name = state.place(call, request), request["PolicyName"]
        if POLICIES.get(tx, *place, name) is None:
            raise ServiceError("ObjectNotFoundException", f"No scaling policy found for policy name: {name}")
        POLICIES.delete(tx, *place, name)
        return {}

    # -- by the clock --

    def put_scheduled_action(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        target = state.find(tx, state.place(call, request))
        name, zone = request["ScheduledActionName"], request.get("Timezone", "")
        before = ACTIONS.get(tx, *target.place, name)
        schedule = request.get("Schedule", before.schedule if before else "")
        change = request.get("ScalableTargetAction", before.change if before else {})
        _check_schedule(schedule, zone)
        if not change:
            raise ServiceError("ValidationException", "ScalableTargetAction must have MinCapacity or MaxCapacity.")
        if before is None and len(ACTIONS.all(tx, *target.place)) >= _ACTIONS_MAX:
            raise ServiceError("LimitExceededException", f"A target has at most {_ACTIONS_MAX} scheduled actions.")
        made = Action(
            before.id if before else call.new_id(), target.place, name, schedule, dict(change),
            before.created_ms if before else call.now_ms, call.now_ms, zone,
            _ms(request.get("StartTime")), _ms(request.get("EndTime")),
        )  # fmt: skip
        if scaling.next_ms(made, call.now_ms) is None:
            raise ServiceError("ValidationException", "The schedule of the action has no moment in the future.")
        scaling.keep_action(tx, made, call.now_ms)
        return {}

    def describe_scheduled_actions(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        names = request.get("ScheduledActionNames")
        every = [
            action
            for action in ACTIONS.all(tx, *state.chosen(call, request))
            if not names or action.name in names or action.arn in names
        ]
        page, more = paging.page(request, every, lambda action: action.arn)
        return {"ScheduledActions": [_action(action) for action in page], **more}

    def delete_scheduled_action(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ScheduledActionName"]
        action = ACTIONS.get(tx, *state.place(call, request), name)
        if action is None:
            told = f"No scheduled action found for scheduled action name: {name}"
            raise ServiceError("ObjectNotFoundException", told)
        scaling.drop_action(tx, action)
        return {}


def _check_schedule(schedule: str, zone: str) -> None:
    try:
        if zone:
            ZoneInfo(zone)
    except (ValueError, OSError, KeyError) as error:  # A path that leads elsewhere, a folder, a name of nothing.
        raise ServiceError("ValidationException", f"Invalid timezone: {zone}") from error
    try:
        if expressions.once_ms(schedule) is None:
            expressions.check(schedule)
    except (expressions.BadExpression, ValueError) as error:
        raise ServiceError("ValidationException", f"Schedule expression {schedule} is not valid.") from error


def _ms(at: datetime | None) -> int:
    return 0 if at is None else round(at.timestamp() * 1000)


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        **where(policy.place), "PolicyARN": policy.arn, "PolicyName": policy.name, "PolicyType": _TRACKING,
        "TargetTrackingScalingPolicyConfiguration": policy.tracking, "Alarms": [],
        "CreationTime": policy.created_ms / 1000,
    }  # fmt: skip


def _action(action: Action) -> dict[str, Any]:
    times = {"StartTime": action.start_ms, "EndTime": action.end_ms}
    return {
        **where(action.place), "ScheduledActionName": action.name, "ScheduledActionARN": action.arn,
        "Schedule": action.schedule, "ScalableTargetAction": action.change, "CreationTime": action.created_ms / 1000,
        **({"Timezone": action.zone} if action.zone else {}),
        **{name: datetime.fromtimestamp(at / 1000, UTC) for name, at in times.items() if at},
    }  # fmt: skip
