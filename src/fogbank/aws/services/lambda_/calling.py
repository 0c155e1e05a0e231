"""The direct door to a function, for whoever calls often (API Gateway, triggers, Invoke itself): resolve, then run.

What a name leads to is made of its rows once and recalled until one of them is written.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from fogbank.aws.protocol import edge
from fogbank.aws.protocol import lineage as ways
from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import dialect, layers, permissions, recursion, state
from fogbank.aws.services.lambda_.admission import Admission, Target, config_name, throttled
from fogbank.aws.services.lambda_.debugging import Debugging
from fogbank.functions.engine import Abandoned, RestoreFailed, Throttled
from fogbank.functions.flow import Flow, Reader
from fogbank.functions.model import Invocation, Outcome, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.aws.service import House
    from fogbank.kernel.store import Recaller, Tx

_KEPT_MAX = 4096


class Caller:
    """Resolves and runs. One for each server: it holds what was made of the rows."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._versions: dict[str, Version] = {}
        self._admission = house.share(Admission)
        self._chance = random.Random()
        self._debugging = house.share(Debugging)
        self._streaming: set[asyncio.Task[None]] = set()

    def forget(self, version_id: str) -> None:
        """Drop what was made of a version that is gone."""
        self._versions.pop(version_id, None)

    def resolve(self, tx: Recaller, who: state.Named, principal: str = "", source_arn: str = "") -> Target:
        """Raises ResourceNotFoundException, AccessDeniedException for a service that the policy does not allow, and
        ResourceConflictException for a version that cannot be invoked now."""
        service = principal if principal.endswith(".amazonaws.com") else ""
        main, others = tx.recall(self._targets, who, service, source_arn if service else "")
        if others:  # An alias with weights.
            chance = self._chance.random()
            for weight, target in others:
                if chance < weight:
                    return target
                chance -= weight
        return main

    def _targets(
        self, tx: Tx, who: state.Named, service: str, source_arn: str
    ) -> tuple[Target, tuple[tuple[float, Target], ...]]:
        """What the name means, and what else it may mean in that part of the cases."""
        function = state.find(tx, who)
        if service:
            permissions.check(tx, function, who, service, source_arn)
        weights = state.weights(tx, function, who)
        others = tuple(
            (weight, self._target(tx, function, who, state.published(tx, function, who.at(version)), is_only=False))
            for version, weight in weights.items()
        )
        main = self._target(tx, function, who, state.published(tx, function, who), is_only=not weights)
        return main, others

    def _target(
        self, tx: Tx, function: state.Function, who: state.Named, one: state.Published, *, is_only: bool
    ) -> Target:
        state.check_ready(one)
        reserved_all = state.RESERVED.get(tx, function.account, function.region) or 0
        provisioned = ""
        if who.qualifier and state.PROVISIONED.get(tx, function.id, who.qualifier) is not None:
            provisioned = config_name(function, who.qualifier)
        return Target(
            self.version(tx, function, one), function, one, who.arn, f"{function.account}/{function.region}",
            reserved_all, is_only, provisioned,
        )  # fmt: skip

    def version(self, tx: Tx, function: state.Function, one: state.Published) -> Version:
        key = state.version_id(function, one)
        found = self._versions.get(key)
        if found is None:
            if len(self._versions) > _KEPT_MAX:
                self._versions.clear()
            found = self._versions[key] = self._make(tx, key, function, one)
        return found

    def _make(self, tx: Tx, key: str, function: state.Function, one: state.Published) -> Version:
        chosen = one.settings
        logging = chosen["LoggingConfig"]
        folders = tuple(layers.folder(tx, self._house.config, arn) for arn in chosen.get("Layers", ()))
        return Version(
            id=key, name=f"{function.name}:{one.version}", runtime=chosen["Runtime"], handler=chosen["Handler"],
            code=self._house.config.code_dir.absolute() / one.code.digest, layers=folders,
            environment=dict(chosen.get("Environment", {}).get("Variables", {})),
            timeout_ms=chosen["Timeout"] * 1000, memory_mb=chosen["MemorySize"],
            ephemeral_mb=chosen["EphemeralStorage"]["Size"],
            log_group=logging.get("LogGroup", f"/aws/lambda/{function.name}"), log_stream_prefix=f"[{one.version}]",
            log_owner=f"{function.account}/{function.region}", log_format=logging.get("LogFormat", "Text"),
            dialect=dialect.JSON if logging.get("LogFormat") == "JSON" else dialect.TEXT,
            application_log_level=logging.get("ApplicationLogLevel", "INFO"),
            system_log_level=logging.get("SystemLogLevel", "INFO"), snap_start=state.snap_starts(one),
        )  # fmt: skip

    def begin(self, target: Target, invocation: Invocation, done: Callable[[Outcome], None]) -> bool:
        """As `run`, if there is room and an instance is idle; False, and nothing done, if not."""
        admission = self._admission
        version = target.version
        if self._debugging.sessions:
            version = self._debugging.instead_of(target)
        if admission.is_full(target) or not self._house.engine.begin(
            version, invocation, partial(self._ended, target, done)
        ):
            return False
        admission.enter(target)
        return True

    def _ended(self, target: Target, done: Callable[[Outcome], None], outcome: Outcome) -> None:
        self._admission.leave(target)
        done(outcome)

    async def run(self, target: Target, invocation: Invocation) -> Outcome:
        """Raises TooManyRequestsException where a limit is reached, SnapStartException and SnapStartTimeoutException
        where the function fails after a restore."""
        if self._admission.is_full(target):
            raise throttled(target)
        self._admission.enter(target)
        try:
            return await self._invoke(target, invocation)
        except Throttled as error:
            raise throttled(target) from error
        except RestoreFailed as error:
            raise _not_restored(error) from error
        finally:
            self._admission.leave(target)

    async def _invoke(self, target: Target, invocation: Invocation) -> Outcome:
        with suppress(Abandoned):  # Debugging ended before a debugger came: the event runs as any other.
            return await self._house.engine.invoke(self._debugging.instead_of(target), invocation)
        return await self._house.engine.invoke(target.version, invocation)

    async def stream(self, target: Target, invocation: Invocation, flow: Flow) -> Reader:
        """As `run`, for a reply in pieces (`flow` is the invocation's): returns once the first is there, or the
        outcome is. The event goes on whatever becomes of its reader."""
        task = asyncio.get_running_loop().create_task(self._run_into(flow, target, invocation))
        self._streaming.add(task)
        task.add_done_callback(self._streaming.discard)
        reader = Reader(flow)
        await flow.begun()
        return reader

    async def _run_into(self, flow: Flow, target: Target, invocation: Invocation) -> None:
        try:
            flow.finish(await self.run(target, invocation))
        except Exception as error:  # Told to whoever asked, as `run` would tell it.
            flow.refuse(error)

    async def call(
        self, who: state.Named, payload: bytes, request_id: str, *, principal: str = "", source_arn: str = "",
        trace_id: str = "", lineage: str = "", client_context: str = "", tail: bool = False,
    ) -> tuple[Target, Outcome]:  # fmt: skip
        """Resolve and run in one. Raises RecursiveInvocationException for an event that has been here too often."""
        target, invocation = await self.prepare(
            who, payload, request_id, principal=principal, source_arn=source_arn, trace_id=trace_id, lineage=lineage,
            client_context=client_context, tail=tail,
        )  # fmt: skip
        return target, await self.run(target, invocation)

    async def prepare(
        self, who: state.Named, payload: bytes, request_id: str, *, principal: str = "", source_arn: str = "",
        trace_id: str = "", lineage: str = "", client_context: str = "", tail: bool = False, flow: Flow | None = None,
    ) -> tuple[Target, Invocation]:  # fmt: skip
        """Resolve, and make the event."""
        target = await self._house.store.transact(self.resolve, who, principal, source_arn)
        recursion.check(self._house.telemetry, target.function, lineage)
        trace = edge.function_trace(edge.trace_text(trace_id), request_id)
        trace = ways.with_lineage(trace, ways.grown(lineage, target.function.arn))
        invocation = Invocation(
            request_id, payload, function_arn=target.arn, trace_header=trace, client_context=client_context, tail=tail,
            flow=flow,
        )  # fmt: skip
        return target, invocation


def _not_restored(failed: RestoreFailed) -> ServiceError:
    """In the words of the service's model."""
    code, told, status = (
        "SnapStartException",
        "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs.",
        400,
    )
    if failed.timed_out:
        code, told, status = (
            "SnapStartTimeoutException", "Lambda couldn't restore the snapshot within the timeout limit.", 408,
        )  # fmt: skip
    return ServiceError(code, told, status=status, fields={"Type": "User"})
