"""Rules that fire by the clock, and their targets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.events import expressions
from fogbank.kernel.store.records import Records
from fogbank.kernel.telemetry import current_trace
from fogbank.primitives import schedules

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_KIND = "events"
_BUS = "default"
_PAGE = 100
_TARGETS_MAX = 5  # EventBridge quotas: "Targets per rule".
_NAME = re.compile(r"[.\-_A-Za-z0-9]{1,64}")
_TARGET_NOT_SERVED = (
    "InputTransformer", "KinesisParameters", "EcsParameters", "BatchParameters", "HttpParameters",
    "RedshiftDataParameters", "AppSyncParameters", "RunCommandParameters",
)  # fmt: skip


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

    @property
    def arn(self) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:rule/{self.name}"


RULES = Records(Rule, "events", "rule")  # (account, region, name)


class Events(Operations):
    service: ClassVar = "events"

    def backgrounds(self) -> list[Background]:
        return [Background("events: scheduled rules", self._run)]

    def put_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name, schedule = request["Name"], request.get("ScheduleExpression", "")
        _check_bus(request)
        if "EventPattern" in request:
            raise ServiceError(
                "ValidationException", "Rules with an EventPattern are not served here; scheduled ones are."
            )
        if not schedule:
            raise ServiceError(
                "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."
            )
        try:
            expressions.check(schedule)
        except (expressions.BadExpression, ValueError) as error:
            raise ServiceError("ValidationException", "Parameter ScheduleExpression is not valid.") from error
        before = RULES.get(tx, call.account, call.region, name)
        state = request.get("State", "ENABLED")
        restarts = before is None or before.schedule != schedule or (before.state != "ENABLED" and state == "ENABLED")
        rule = Rule(
            call.account, call.region, name, schedule, state, request.get("Description", ""),
            call.now_ms if restarts or before is None else before.last_ms, before.targets if before else [],
            {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])} or (before.tags if before else {}),
        )  # fmt: skip
        self._put(tx, rule, call.now_ms)
        return {"RuleArn": rule.arn}

    def describe_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _described(_find(tx, call, request["Name"]))

    def list_rules(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        prefix, after = request.get("NamePrefix", ""), request.get("NextToken", "")
        limit = request.get("Limit", _PAGE)
        every = [r for r in RULES.all(tx, call.account, call.region) if r.name.startswith(prefix) and r.name > after]
        more = {"NextToken": every[limit - 1].name} if len(every) > limit else {}
        return {"Rules": [_described(rule) for rule in every[:limit]], **more}

    def delete_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        rule = RULES.get(tx, call.account, call.region, request["Name"])
        if rule is None:
            return
        if rule.targets:
            raise ServiceError("ValidationException", "Rule can't be deleted since it has targets.")
        schedules.drop(tx, _KIND, rule.arn)
        RULES.delete(tx, call.account, call.region, rule.name)

    def enable_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        rule = _find(tx, call, request["Name"])
        if rule.state != "ENABLED":
            self._put(tx, replace(rule, state="ENABLED", last_ms=call.now_ms), call.now_ms)

    def disable_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._put(tx, replace(_find(tx, call, request["Name"]), state="DISABLED"), call.now_ms)

    def put_targets(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rule = _find(tx, call, request["Rule"])
        given = {target["Id"]: target for target in request["Targets"]}
        for target in given.values():
            _check_target(target)
        targets = list(({target["Id"]: target for target in rule.targets} | given).values())
        if len(targets) > _TARGETS_MAX:
            raise ServiceError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
        RULES.put(tx, call.account, call.region, rule.name, row=replace(rule, targets=targets))
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def remove_targets(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rule = _find(tx, call, request["Rule"])
        left = [target for target in rule.targets if target["Id"] not in request["Ids"]]
        RULES.put(tx, call.account, call.region, rule.name, row=replace(rule, targets=left))
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def list_targets_by_rule(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Targets": _find(tx, call, request["Rule"]).targets}

    def list_rule_names_by_target(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        every = RULES.all(tx, call.account, call.region)
        return {"RuleNames": [r.name for r in every if any(t["Arn"] == request["TargetArn"] for t in r.targets)]}

    def list_tags_for_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rule = _find(tx, call, request["ResourceARN"].rpartition("/")[2])
        return {"Tags": [{"Key": key, "Value": value} for key, value in rule.tags.items()]}

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rule = _find(tx, call, request["ResourceARN"].rpartition("/")[2])
        tags = rule.tags | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        RULES.put(tx, call.account, call.region, rule.name, row=replace(rule, tags=tags))
        return {}

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        rule = _find(tx, call, request["ResourceARN"].rpartition("/")[2])
        tags = {key: value for key, value in rule.tags.items() if key not in request["TagKeys"]}
        RULES.put(tx, call.account, call.region, rule.name, row=replace(rule, tags=tags))
        return {}

    # -- firing --

    def _put(self, tx: Tx, rule: Rule, now_ms: int) -> None:
        """Keep the rule, and when it is due next. What was missed while fogbank was stopped is not made up for."""
        RULES.put(tx, rule.account, rule.region, rule.name, row=rule)
        due_ms = expressions.next_ms(rule.schedule, rule.last_ms, now_ms) if rule.state == "ENABLED" else None
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
                fired, next_ms = await house.store.transact(self._take, house.clock.now_ms())
                for rule, due_ms in fired:
                    current_trace.set(house.ids.new().replace("-", ""))  # Each firing begins one.
                    for target in rule.targets:
                        await self._deliver(rule, target, due_ms)
                if not fired:
                    await watch.wait(next_ms)

    def _skip_missed(self, tx: Tx, now_ms: int) -> None:
        for entry in schedules.due(tx, _KIND, now_ms, limit=10_000):
            rule = RULES.get(tx, entry.notes["account"], entry.notes["region"], entry.notes["name"])
            if rule is not None:
                self._put(tx, rule, now_ms)

    def _take(self, tx: Tx, now_ms: int) -> tuple[list[tuple[Rule, int]], int | None]:
        fired = []
        for entry in schedules.due(tx, _KIND, now_ms):
            rule = RULES.get(tx, entry.notes["account"], entry.notes["region"], entry.notes["name"])
            if rule is None:
                schedules.drop(tx, _KIND, entry.id)
                continue
            fired.append((rule, entry.due_ms))
            self._put(tx, replace(rule, last_ms=entry.due_ms), now_ms)
        return fired, schedules.next_due_ms(tx, _KIND)

    async def _deliver(self, rule: Rule, target: dict[str, Any], due_ms: int) -> None:
        event = _event(rule, due_ms, self.house.ids.new())
        body = target.get("Input") or orjson.dumps(_chosen(event, target.get("InputPath"))).decode()
        arn = target["Arn"]
        ask = self.house.caller(rule.account, rule.region, "events.amazonaws.com", source_arn=rule.arn)
        try:
            if arn.split(":")[2] == "lambda":
                await ask("lambda", "Invoke", FunctionName=arn, InvocationType="Event", Payload=body.encode())
            else:
                _, _, _, region, account, name = arn.split(":")
                group = (
                    {"MessageGroupId": target["SqsParameters"]["MessageGroupId"]} if "SqsParameters" in target else {}
                )
                url = f"https://sqs.{region}.amazonaws.com/{account}/{name}"
                await ask("sqs", "SendMessage", QueueUrl=url, MessageBody=body, **group)
        except ServiceError as error:
            self.house.telemetry.error("a rule's target refused its event", rule=rule.arn, target=arn, error=str(error))


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


def _chosen(event: dict[str, Any], path: str | None) -> Any:
    """InputPath: `$`, or names behind dots."""
    found: Any = event
    for name in (path or "$").split(".")[1:]:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _check_target(target: dict[str, Any]) -> None:
    kind = target["Arn"].split(":")[2] if target["Arn"].count(":") >= 5 else ""
    if kind not in ("lambda", "sqs"):
        raise ServiceError(
            "ValidationException", f"Targets such as {target['Arn']} are not served here; functions and queues are."
        )
    for name in _TARGET_NOT_SERVED:
        if name in target:
            raise ServiceError("ValidationException", f"{name} of targets is not served here.")
    if "Input" in target:
        try:
            orjson.loads(target["Input"])
        except orjson.JSONDecodeError as error:
            raise ServiceError(
                "ValidationException", f"JSON syntax error in input for target {target['Id']}."
            ) from error


def _check_bus(request: dict[str, Any]) -> None:
    if request.get("EventBusName", _BUS).rpartition("/")[2] != _BUS:
        raise ServiceError("ResourceNotFoundException", f"Event bus {request['EventBusName']} does not exist.")


def _find(tx: Tx, call: Call, name: str) -> Rule:
    found = RULES.get(tx, call.account, call.region, name)
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {_BUS}.")
    return found


def _described(rule: Rule) -> dict[str, Any]:
    shown = {
        "Name": rule.name,
        "Arn": rule.arn,
        "State": rule.state,
        "ScheduleExpression": rule.schedule,
        "EventBusName": _BUS,
        "CreatedBy": rule.account,
    }
    return shown | ({"Description": rule.description} if rule.description else {})
