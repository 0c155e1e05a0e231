"""Rotation: a function is asked in four steps to make a new value, and the secret moves to it.

User Guide, "Lambda rotation functions": createSecret, setSecret, testSecret, finishSecret, each with SecretId,
ClientRequestToken and Step; the new version carries AWSPENDING until the function has moved AWSCURRENT to it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.secretsmanager import state
from fogbank.aws.services.secretsmanager.state import SECRETS, VERSIONS, Secret

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_RATE = re.compile(r"rate\((\d+) (hour|hours|day|days)\)")
_DURATION = re.compile(r"([1-9]|1\d|2[0-4])h")
_CHANGED = "secretsmanager.rotation"
_RETRY_MS = _HOUR_MS


class Rotation(Operations):
    service: ClassVar = "secretsmanager"
    refused: ClassVar = {"RotateSecret": {"ExternalSecretRotationMetadata": ([],), "ExternalSecretRotationRoleArn": ()}}

    def backgrounds(self) -> list[Background]:
        return [Background("secretsmanager: rotate", self._work)]

    async def rotate_secret(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """At once, unless RotateImmediately says otherwise; from then on by the rules."""
        token = request.get("ClientRequestToken") or call.new_id()
        secret = await self.house.store.transact(self._configure, call, request)
        if request.get("RotateImmediately", True):
            await self._rotate(secret, token)
        return {"ARN": secret.arn, "Name": secret.name, "VersionId": token}

    def _configure(self, tx: Tx, call: Call, request: dict[str, Any]) -> Secret:
        found = state.find(tx, call, request["SecretId"])
        function = request.get("RotationLambdaARN", found.function_arn)
        if not function:
            raise state.invalid("No Lambda rotation function ARN is associated with this secret.")
        rules = request.get("RotationRules", found.rules)
        _check_rules(rules)
        pending = state.staged(tx, found, state.PENDING)
        token = request.get("ClientRequestToken")
        if pending is not None and state.CURRENT not in pending.stages and not pending.empty and token != pending.id:
            # RotateSecret: "If the AWSPENDING staging label is present but not attached to the same version as
            # AWSCURRENT, then any later invocation of RotateSecret assumes that a previous rotation request is still
            # in progress and returns an error."
            raise state.invalid("A previous rotation isn't complete. That rotation will be reattempted.")
        made = replace(found, function_arn=function, rules=rules, rotates=True)
        made = replace(made, next_rotation_ms=_next_ms(rules, call.now_ms))
        state.put(tx, made)
        tx.emit(_CHANGED)
        return made

    def cancel_rotate_secret(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        found = state.find(tx, call, request["SecretId"])
        pending = state.staged(tx, found, state.PENDING)
        state.put(tx, replace(found, rotates=False, next_rotation_ms=0))
        version = {"VersionId": pending.id} if pending else {}
        return {"ARN": found.arn, "Name": found.name, **version}

    async def _rotate(self, secret: Secret, token: str) -> None:
        """Raises the reason where a step fails: what was pending stays so, and nobody's value changes."""
        parts = secret.arn.split(":")
        source = secret.arn
        ask = self.house.caller(parts[4], parts[3], "secretsmanager.amazonaws.com", source_arn=source)
        await self.house.store.transact(_begin, secret, token, self.house.clock.now_ms())
        for step in _STEPS:
            event = orjson.dumps({"Step": step, "SecretId": secret.arn, "ClientRequestToken": token})
            try:
                outcome = await ask("lambda", "Invoke", FunctionName=secret.function_arn, Payload=event)
            except ServiceError as error:
                told = f"Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com. ({error.message})"  # noqa: E501
                raise ServiceError("AccessDeniedException", told) from error
            if outcome.get("FunctionError"):
                said = bytes(outcome["Payload"]).decode(errors="replace")[:300]
                told = f"The rotation function failed in {step}: {said}"
                raise state.invalid(told)
        await self.house.store.transact(_finish, secret, token, self.house.clock.now_ms())

    async def _work(self) -> None:
        house = self.house
        with house.signals.watch(_CHANGED) as watch:
            while True:
                now_ms = house.clock.now_ms()
                due = [one for one in await house.store.transact(SECRETS.all) if one.rotates and one.next_rotation_ms]
                for secret in due:
                    if secret.next_rotation_ms <= now_ms:
                        await self._rotate_due(secret, now_ms)
                later = [one.next_rotation_ms for one in await house.store.transact(SECRETS.all) if one.rotates]
                await watch.wait(min((at_ms for at_ms in later if at_ms), default=None))

    async def _rotate_due(self, secret: Secret, now_ms: int) -> None:
        """The next moment is set first: one that fails is tried again later, not at once for ever."""
        moved = replace(secret, next_rotation_ms=now_ms + _RETRY_MS)
        token = await self.house.store.transact(_put_off, moved, self.house.ids.new())
        try:
            await self._rotate(moved, token)
        except ServiceError as error:
            self.house.telemetry.error("a secret was not rotated", secret=secret.arn, error=error.message)


def _check_rules(rules: dict[str, Any]) -> None:
    """API reference, RotationRulesType."""
    if "AutomaticallyAfterDays" in rules and "ScheduleExpression" in rules:
        told = "You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules."
        raise ServiceError("InvalidParameterException", told)
    if "Duration" in rules and not _DURATION.fullmatch(rules["Duration"]):
        raise ServiceError("InvalidParameterException", "The Duration of a rotation window is hours, for example 3h.")


def _put_off(tx: Tx, moved: Secret, new_id: str) -> str:
    """Set the next moment; the answer is the version to rotate to: of an attempt that did not end, or a new one."""
    state.put(tx, moved)
    pending = state.staged(tx, moved, state.PENDING)
    return pending.id if pending is not None and state.CURRENT not in pending.stages else new_id


def _begin(tx: Tx, secret: Secret, token: str, now_ms: int) -> None:
    known = VERSIONS.get(tx, secret.id, token)
    if known is None:
        state.add(tx, secret, state.Version(token, now_ms, None, None, [state.PENDING]))


def _finish(tx: Tx, secret: Secret, token: str, now_ms: int) -> None:
    one = VERSIONS.get(tx, secret.id, token)
    if one is None or state.CURRENT not in one.stages:
        raise state.invalid("The rotation function ended without moving AWSCURRENT to the new version.")
    found = SECRETS.get(tx, *secret.arn.split(":")[4:2:-1], secret.name)
    if found is not None:
        state.unlabel(tx, found, state.PENDING)
        state.put(tx, replace(found, rotated_ms=now_ms, next_rotation_ms=_next_ms(found.rules, now_ms)))


def _next_ms(rules: dict[str, Any], now_ms: int) -> int:
    """User Guide, "Rotation schedules". A cron expression is refused by name."""
    days = rules.get("AutomaticallyAfterDays")
    if days:
        return now_ms + int(days) * _DAY_MS
    expression = rules.get("ScheduleExpression", "")
    if not expression:
        return 0
    found = _RATE.fullmatch(expression)
    if found is None:
        told = f"fogbank rotates by rate(N hours) and rate(N days), not by {expression}."
        raise ServiceError("InvalidParameterException", told)
    return now_ms + int(found[1]) * (_DAY_MS if found[2].startswith("day") else _HOUR_MS)
