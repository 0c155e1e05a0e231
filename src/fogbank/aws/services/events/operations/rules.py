"""Rules that fire by the clock or mean events on a bus, and their targets."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws import expressions
from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.events import deliveries, paging, state, transforms
from fogbank.aws.services.events.operations.entries import compiled
from fogbank.aws.services.events.state import BUSES, RULES, Bus, Rule
from fogbank.primitives import schedules

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.kernel.store import Tx

_KIND = "events"
_TARGETS_MAX = 5  # EventBridge quotas: "Targets per rule".
_NAME = re.compile(r"[.\-_A-Za-z0-9]{1,64}")
_TARGET_NOT_SERVED = (
    "KinesisParameters", "EcsParameters", "BatchParameters", "HttpParameters",
    "RedshiftDataParameters", "AppSyncParameters", "RunCommandParameters",
    "SageMakerPipelineParameters",
)  # fmt: skip


class Events(Operations):
    service: ClassVar = "events"

    # DeleteRule and RemoveTargets, Force: of rules that a service has made for itself; there are none.
    without_effect: ClassVar = {"DeleteRule": {"Force": ""}, "RemoveTargets": {"Force": ""}}

    def backgrounds(self) -> list[Background]:
        return [
            Background("events: scheduled rules", self._run),
            Background("events: deliver to targets", lambda: deliveries.run(self.house)),
        ]

    def put_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name, schedule = request["Name"], request.get("ScheduleExpression", "")
        bus, pattern = state.bus_name(tx, call, request), request.get("EventPattern", "")
        if not _NAME.fullmatch(name):
            told = f"1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+"  # noqa: E501
            raise ServiceError("ValidationException", told)
        if not schedule and not pattern:
            raise ServiceError(
                "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."
            )
        if pattern:
            compiled(pattern)
        if schedule:
            _check_schedule(schedule, bus)
        before = RULES.get(tx, call.account, call.region, state.path(bus, name))
        status = request.get("State", "ENABLED")
        if status not in ("ENABLED", "DISABLED"):
            raise ServiceError("ValidationException", f"State {status} of rules is not served here.")
        restarts = before is None or before.schedule != schedule or (before.state != "ENABLED" and status == "ENABLED")
        rule = Rule(
            call.account, call.region, name, schedule, status, request.get("Description", ""),
            call.now_ms if restarts or before is None else before.last_ms, before.targets if before else [],
            # PutRule: "If you are updating an existing rule, any tags you specify in the PutRule operation are not
            # applied".
            before.tags if before else _given_tags(request), request.get("RoleArn", ""), bus, pattern,
        )  # fmt: skip
        self._put(tx, rule, call.now_ms)
        return {"RuleArn": rule.arn}

    def describe_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rule = state.find(tx, call, request, request["Name"])
        return {**_described(rule), "CreatedBy": rule.account}

    def list_rules(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        bus, prefix = state.bus_name(tx, call, request), request.get("NamePrefix", "")
        found = state.rules_of(tx, call.account, call.region, bus)
        every = [rule for rule in found if rule.name.startswith(prefix)]
        page, more = paging.page(request, every, lambda rule: rule.name)
        return {"Rules": [_described(rule) for rule in page], **more}

    def delete_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        bus = state.bus_name(tx, call, request)
        rule = RULES.get(tx, call.account, call.region, state.path(bus, request["Name"]))
        if rule is None:
            return
        if rule.targets:
            raise ServiceError("ValidationException", "Rule can't be deleted since it has targets.")
        schedules.drop(tx, _KIND, rule.arn)
        RULES.delete(tx, call.account, call.region, rule.path)

    def enable_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        rule = state.find(tx, call, request, request["Name"])
        if rule.state != "ENABLED":
            self._put(tx, replace(rule, state="ENABLED", last_ms=call.now_ms), call.now_ms)

    def disable_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._put(tx, replace(state.find(tx, call, request, request["Name"]), state="DISABLED"), call.now_ms)

    def put_targets(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rule = state.find(tx, call, request, request["Rule"])
        given = {target["Id"]: target for target in request["Targets"]}
        for target in given.values():
            _check_target(target)
        targets = list(({target["Id"]: target for target in rule.targets} | given).values())
        if len(targets) > _TARGETS_MAX:
            raise ServiceError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
        state.put(tx, replace(rule, targets=targets))
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def remove_targets(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rule = state.find(tx, call, request, request["Rule"])
        left = [target for target in rule.targets if target["Id"] not in request["Ids"]]
        state.put(tx, replace(rule, targets=left))
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def list_targets_by_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        page, more = paging.page(
            request, state.find(tx, call, request, request["Rule"]).targets, lambda target: str(target["Id"])
        )
        return {"Targets": page, **more}

    def list_rule_names_by_target(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        every = state.rules_of(tx, call.account, call.region, state.bus_name(tx, call, request))
        names = [r.name for r in every if any(t["Arn"] == request["TargetArn"] for t in r.targets)]
        page, more = paging.page(request, names, str)
        return {"RuleNames": page, **more}

    def list_tags_for_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        tags = _tagged(tx, call, request["ResourceARN"]).tags
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        given = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        one = _tagged(tx, call, request["ResourceARN"])
        return _tag(tx, one, state.checked_tags(one.tags | given))

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        one = _tagged(tx, call, request["ResourceARN"])
        return _tag(tx, one, {key: value for key, value in one.tags.items() if key not in request["TagKeys"]})

    # -- firing --

    def _put(self, tx: Tx, rule: Rule, now_ms: int) -> None:
        """Keep the rule, and when it is due next. What was missed while fogbank was stopped is not made up for."""
        state.put(tx, rule)
        fires = rule.schedule and rule.state == "ENABLED"
        due_ms = expressions.next_ms(rule.schedule, rule.last_ms, now_ms) if fires else None
        if due_ms is None:
            schedules.drop(tx, _KIND, rule.arn)
        else:
            place = {"account": rule.account, "region": rule.region, "name": rule.name}
            schedules.put(tx, _KIND, schedules.Entry(rule.arn, due_ms, place))

    async def _run(self) -> None:
        house = self.house
        await house.store.transact(self._skip_missed, house.clock.now_ms())
        with house.signals.watch(schedules.CHANGED, (_KIND,)) as watch:
            while True:
                fired, next_ms = await house.store.transact(self._take, house.clock.now_ms(), house.ids.new)
                if not fired:
                    await watch.wait(next_ms)

    def _skip_missed(self, tx: Tx, now_ms: int) -> None:
        for entry in schedules.due(tx, _KIND, now_ms, limit=10_000):
            rule = RULES.get(tx, entry.notes["account"], entry.notes["region"], entry.notes["name"])
            if rule is not None:
                self._put(tx, rule, now_ms)

    def _take(self, tx: Tx, now_ms: int, new_id: Callable[[], str]) -> tuple[bool, int | None]:
        """What is due is put on its way, and the rules' next moments are set, in one."""
        fired = False
        for entry in schedules.due(tx, _KIND, now_ms):
            rule = RULES.get(tx, entry.notes["account"], entry.notes["region"], entry.notes["name"])
            if rule is None:
                schedules.drop(tx, _KIND, entry.id)
                continue
            fired = True
            event = _event(rule, entry.due_ms, new_id())
            place = {"account": rule.account, "region": rule.region, "rule": rule.arn}
            for target in rule.targets:
                body = transforms.body(target, event, rule.name)
                deliveries.put(tx, new_id(), place, target, deliveries.as_text(event), body, now_ms)
            self._put(tx, replace(rule, last_ms=entry.due_ms), now_ms)
        return fired, schedules.next_due_ms(tx, _KIND)


def _event(rule: Rule, due_ms: int, event_id: str) -> dict[str, Any]:
    """User Guide, "Scheduled Event": the example event."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": rule.account,
        "time": datetime.fromtimestamp(due_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": rule.region,
        "resources": [rule.arn],
        "detail": {},
    }


def _check_target(target: dict[str, Any]) -> None:
    kind = target["Arn"].split(":")[2] if target["Arn"].count(":") >= 5 else ""
    if kind not in ("lambda", "sqs", "sns") or (kind == "sns" and target["Arn"].endswith(".fifo")):
        told = f"Targets such as {target['Arn']} are not served here; functions, queues and standard topics are."
        raise ServiceError("ValidationException", told)
    for name in _TARGET_NOT_SERVED:
        if name in target:
            raise ServiceError("ValidationException", f"{name} of targets is not served here.")
    transforms.check(target)
    if not _NAME.fullmatch(target["Id"]):
        raise ServiceError("ValidationException", f"Invalid Id {target['Id']} of a target.")
    if target["Arn"].endswith(".fifo") and "SqsParameters" not in target:
        told = f"Parameter(s) SqsParameters must be specified for target: {target['Id']}."
        raise ServiceError("ValidationException", told)
    dead_letters = target.get("DeadLetterConfig", {}).get("Arn")
    if dead_letters is not None and (dead_letters.split(":")[2:3] != ["sqs"] or dead_letters.endswith(".fifo")):
        # "EventBridge DLQs are standard Amazon SQS queues".
        raise ServiceError("ValidationException", f"Dead-letter queue {dead_letters} is not a standard queue.")


def _given_tags(request: dict[str, Any]) -> dict[str, str]:
    return state.checked_tags({tag["Key"]: tag["Value"] for tag in request.get("Tags", [])})


def _tagged(tx: Tx, call: Call, arn: str) -> Rule | Bus:
    """The rule or the bus of that ARN."""
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    if kind == "event-bus":
        bus = BUSES.get(tx, call.account, call.region, rest)
        if bus is None:
            raise state.missing_bus(rest)
        return bus
    bus_name, _, name = rest.rpartition("/")
    return state.find(tx, call, {"EventBusName": bus_name or state.DEFAULT}, name)


def _tag(tx: Tx, one: Rule | Bus, tags: dict[str, str]) -> dict[str, Any]:
    if isinstance(one, Rule):
        state.put(tx, replace(one, tags=tags))
    else:
        BUSES.put(tx, one.account, one.region, one.name, row=replace(one, tags=tags))
    return {}


def _check_schedule(schedule: str, bus: str) -> None:
    if bus != state.DEFAULT:
        told = "ScheduleExpression is supported only on the default event bus."
        raise ServiceError("ValidationException", told)
    try:
        expressions.check(schedule)
    except (expressions.BadExpression, ValueError) as error:
        raise ServiceError("ValidationException", "Parameter ScheduleExpression is not valid.") from error


def _described(rule: Rule) -> dict[str, Any]:
    shown = {"Name": rule.name, "Arn": rule.arn, "State": rule.state, "EventBusName": rule.bus}
    further = {
        "ScheduleExpression": rule.schedule, "EventPattern": rule.pattern, "Description": rule.description,
        "RoleArn": rule.role,
    }  # fmt: skip
    return shown | {name: value for name, value in further.items() if value}
