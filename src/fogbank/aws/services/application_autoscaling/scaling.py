"""What sets capacities: the minimum and maximum of a target, its scheduled actions, and its policies minute by minute.

Application Auto Scaling User Guide, "Target tracking scaling policies", "Scheduled scaling". How the capacity of a kind
of resource is read and set, and how much of it is used, is its link's affair.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from fogbank.aws import expressions
from fogbank.aws.service import ServiceError
from fogbank.aws.services.application_autoscaling.state import (
    ACTIONS,
    POLICIES,
    TARGETS,
    Action,
    Activity,
    Place,
    Policy,
    Target,
    record,
)
from fogbank.primitives import schedules

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

KIND = "application-autoscaling"
_MINUTE_MS = 60_000
# The alarms that a target tracking policy makes: three data points above the target; fifteen below 90% of it.
_OUT_SAMPLES, _IN_SAMPLES, _IN_PART = 3, 15, 0.9


def link(house: House, namespace: str, dimension: str) -> Any:
    """What reads and sets that dimension; raises ValidationException for one that is not served."""
    for found in house.links.values():
        if getattr(found, "SCALES", None) == (namespace, dimension):
            return found
    told = f"Scaling {dimension} of {namespace} is not served here; lambda:function:ProvisionedConcurrency is."
    raise ServiceError("ValidationException", told)


def next_ms(action: Action, now_ms: int) -> int | None:
    """When it is due next; None if it is never again."""
    zone = ZoneInfo(action.zone) if action.zone else None
    once_ms = expressions.once_ms(action.schedule)
    if once_ms is not None:
        at_ms = expressions.in_zone(once_ms, zone)
        due_ms = at_ms if at_ms > max(action.last_ms, action.start_ms - 1) else None
    else:
        last_ms, after_ms = max(action.last_ms, action.start_ms), max(now_ms, action.start_ms - 1)
        due_ms = expressions.next_ms(action.schedule, last_ms, after_ms, zone)
    return None if due_ms is None or 0 < action.end_ms < due_ms else due_ms


def keep_action(tx: Tx, action: Action, now_ms: int) -> None:
    """With the moment at which it is due next."""
    ACTIONS.put(tx, *action.place, action.name, row=action)
    due_ms = next_ms(action, now_ms)
    if due_ms is None:
        schedules.drop(tx, KIND, action.arn)
    else:
        notes = {"place": list(action.place), "name": action.name}
        schedules.put(tx, KIND, schedules.Entry(action.arn, due_ms, notes))


def drop_action(tx: Tx, action: Action) -> None:
    ACTIONS.delete(tx, *action.place, action.name)
    schedules.drop(tx, KIND, action.arn)


@dataclass(slots=True)
class _Watched:
    """What a policy has seen in the last minutes; it begins anew with the server."""

    samples: deque[float] = field(default_factory=lambda: deque(maxlen=_IN_SAMPLES))
    out_ms: int = -(10**15)  # When it scaled out last, and in.
    in_ms: int = -(10**15)


class Scaler:
    """One for each server."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._watched: dict[str, _Watched] = {}

    async def run(self) -> None:
        house = self._house
        minute_ms = _next_minute_ms(house.clock.now_ms())
        policies: list[Policy] = []
        with house.signals.watch(schedules.CHANGED, (KIND,)) as watch:
            while True:
                with house.clock.aside:  # A moving clock waits for what its last moment has begun.
                    now_ms = house.clock.now_ms()
                    for place, cause in await house.store.transact(self._take_due, now_ms):
                        await self.fit(place, cause)
                    before, policies = policies, await house.store.transact(POLICIES.all)
                    if policies and not before:  # The first one: its first minute begins now.
                        minute_ms = _next_minute_ms(now_ms)
                    if now_ms >= minute_ms:
                        minute_ms = _next_minute_ms(now_ms)
                        for policy in policies:
                            await self._look(policy, now_ms)
                    next_due_ms = await house.store.transact(schedules.next_due_ms, KIND)
                moments = [at for at in (next_due_ms, minute_ms if policies else None) if at is not None]
                await watch.wait(min(moments, default=None))

    def _take_due(self, tx: Tx, now_ms: int) -> list[tuple[Place, str]]:
        """What is due changes its target, and is put off to its next moment, in one."""
        changed = []
        for entry in schedules.due(tx, KIND, now_ms):
            place = Place(*entry.notes["place"])
            action, target = ACTIONS.get(tx, *place, entry.notes["name"]), TARGETS.get(tx, *place)
            if action is None or target is None:
                schedules.drop(tx, KIND, entry.id)
                continue
            keep_action(tx, replace(action, last_ms=entry.due_ms), now_ms)
            if target.suspended.get("ScheduledScalingSuspended"):
                continue
            low, high = action.change.get("MinCapacity", target.min), action.change.get("MaxCapacity", target.max)
            TARGETS.put(tx, *place, row=replace(target, min=min(low, high), max=max(low, high)))
            changed.append((place, f"scheduled action name {action.name} was triggered"))
        return changed

    async def fit(self, place: Place, cause: str) -> None:
        """Bring the capacity between the target's minimum and maximum, where it is not."""
        target = await self._house.store.transact(TARGETS.get, *place)
        if target is not None:
            capacity = await self._capacity(target)
            if capacity is not None and target.fits(capacity) != capacity:
                await self._set(target, target.fits(capacity), cause)

    async def _look(self, policy: Policy, now_ms: int) -> None:
        """A data point more, and what follows from the last ones."""
        target = await self._house.store.transact(TARGETS.get, *policy.place)
        if target is None:
            return
        capacity = await self._capacity(target)
        watched = self._watched.setdefault(policy.arn, _Watched())
        found = link(self._house, target.place.namespace, target.place.dimension)
        used = await found.used(self._house, target.place)
        if not capacity or not used:  # Where nothing runs there is no metric, and an alarm without data does nothing.
            watched.samples.clear()
            return
        watched.samples.append(used / capacity)
        wanted = target.fits(_wanted(policy, target, watched, capacity, now_ms))
        if wanted != capacity:
            watched.samples.clear()
            if wanted > capacity:
                watched.out_ms = now_ms
            else:
                watched.in_ms = now_ms
            await self._set(target, wanted, f"monitor alarm of policy {policy.name}")

    async def _capacity(self, target: Target) -> int | None:
        """None where the resource is gone."""
        found = link(self._house, target.place.namespace, target.place.dimension)
        try:
            return int(await found.capacity(self._ask(target), target.place.resource_id))
        except ServiceError:
            return None

    async def _set(self, target: Target, capacity: int, cause: str) -> None:
        house, place = self._house, target.place
        status, told = "Successful", f"Successfully set {_words(place)} to {capacity}."
        try:
            await link(house, place.namespace, place.dimension).set_capacity(
                self._ask(target), place.resource_id, capacity
            )
        except ServiceError as error:
            status, told = "Failed", f"Failed to set {_words(place)} to {capacity}. Reason: {error.message}"
            house.telemetry.error("scaling failed", resource=place.resource_id, error=error.message)
        activity = Activity(
            house.ids.new(), place, f"Setting {_words(place)} to {capacity}.", cause, house.clock.now_ms(), status, told
        )
        await house.store.transact(record, activity)

    def _ask(self, target: Target) -> Any:
        return self._house.caller(
            target.place.account, target.place.region, "application-autoscaling.amazonaws.com"
        )  # fmt: skip


def _wanted(policy: Policy, target: Target, watched: _Watched, capacity: int, now_ms: int) -> int:
    """The capacity with which the metric would be at its target, where its alarms say that it is not."""
    aim, samples = float(policy.tracking["TargetValue"]), list(watched.samples)
    last = samples[-_OUT_SAMPLES:]
    out_rest_ms = 1000 * policy.tracking.get("ScaleOutCooldown", 0)
    if (
        len(last) == _OUT_SAMPLES
        and min(last) > aim
        and now_ms - watched.out_ms >= out_rest_ms
        and not target.suspended.get("DynamicScalingOutSuspended")
    ):
        return max(capacity, math.ceil(capacity * last[-1] / aim))
    in_rest_ms = 1000 * policy.tracking.get("ScaleInCooldown", 0)
    if (
        len(samples) == _IN_SAMPLES
        and max(samples) < aim * _IN_PART
        and now_ms - max(watched.in_ms, watched.out_ms) >= in_rest_ms
        and not policy.tracking.get("DisableScaleIn")
        and not target.suspended.get("DynamicScalingInSuspended")
    ):
        return min(capacity, max(math.ceil(capacity * max(samples) / aim), 1))
    return capacity


def _next_minute_ms(now_ms: int) -> int:
    return now_ms // _MINUTE_MS * _MINUTE_MS + _MINUTE_MS


def _words(place: Place) -> str:
    """ "lambda:function:ProvisionedConcurrency" as activities have it."""
    return {"ProvisionedConcurrency": "provisioned concurrency"}.get(place.dimension.rpartition(":")[2], "capacity")
