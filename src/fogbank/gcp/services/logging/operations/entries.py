"""Entries: written, listed, followed; and the logs that they make up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.paging import decoded, encoded
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.logging import entries, names, reading, resources
from fogbank.gcp.services.logging.entries import LOGGING
from fogbank.gcp.services.logging.tailing import Tail
from fogbank.kernel.tasks import Background
from fogbank.primitives import logs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from fogbank.kernel.store import Tx
    from fogbank.primitives.logs import Line

_LISTED_MAX = 1000
_TURNS_MAX = 20  # Transactions for one answer.
_RETENTION_DAYS, _DAY_MS = 30, 86_400_000


class Entries(Service):
    service = "google.logging.v2.LoggingServiceV2"

    def backgrounds(self) -> Iterable[Background]:
        yield Background("logging: forget what is past its retention", self._forget)

    async def write_log_entries(self, call: Call, request: Any) -> Any:
        """With `partial_success` what can be written is, and the answer is an error all the same."""
        if not request.entries:
            raise names.invalid("WriteLogEntriesRequest.entries must not be empty.")

        def work(tx: Tx) -> dict[int, RpcError]:
            failed: dict[int, RpcError] = {}
            lines: dict[names.LogName, list[Line]] = {}
            for at, given in enumerate(request.entries):
                try:
                    name, entry = entries.completed(tx, given, request, call.now_ms, call.new_id)
                except RpcError as error:
                    failed[at] = error
                    continue
                if entries.is_kept(entry, call.now_ms):
                    lines.setdefault(name, []).append((milliseconds(entry.timestamp), entries.line(entry)))
            if not request.dry_run and (not failed or request.partial_success):
                for name, some in lines.items():
                    logs.append(tx, name.owner, names.GROUP, name.id, some, call.now_ms)
            return failed

        failed = await self.house.store.transact(work)
        if failed:
            raise _partial(failed) if request.partial_success else next(iter(failed.values()))
        return LOGGING.WriteLogEntriesResponse()

    async def list_log_entries(self, call: Call, request: Any) -> Any:
        wanted = reading.search(request, call.now_ms)
        found, token = await self.house.store.transact(reading.page, wanted)
        turns = 1
        while token and not found and turns < _TURNS_MAX:  # A caller need not be bothered with every empty page.
            request.page_token = token
            found, token = await self.house.store.transact(reading.page, reading.search(request, call.now_ms))
            turns += 1
        return LOGGING.ListLogEntriesResponse(entries=found, next_page_token=token)

    async def tail_log_entries(self, call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        first = await anext(requests, None)
        if first is None:
            raise names.invalid("The first request of a TailLogEntries must name a resource.")
        tail = Tail(self.house, first, call.now_ms)
        await self.house.store.transact(tail.check)
        async for response in tail.responses(requests):
            yield response

    def list_logs(self, tx: Tx, call: Call, request: Any) -> Any:
        owners = {names.owner(tx, parent) for parent in (request.parent, *request.resource_names) if parent}
        if not owners:
            raise names.invalid("ListLogsRequest.parent is required.")
        found = sorted(
            str(names.LogName(owner, row.name))
            for owner in owners
            for row in logs.STREAMS.all(tx, owner, names.GROUP)
            if row.first_ms is not None
        )
        kept, token = _paged(found, request)
        return LOGGING.ListLogsResponse(log_names=kept, next_page_token=token)

    def delete_log(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.log(tx, request.log_name)
        if logs.STREAMS.get(tx, name.owner, names.GROUP, name.id, lock=True) is None:
            raise RpcError(Code.NOT_FOUND, f"Log {name} does not exist.")
        logs.drop_stream(tx, name.owner, names.GROUP, name.id)
        return message("google.protobuf.Empty")()

    def list_monitored_resource_descriptors(self, tx: Tx, call: Call, request: Any) -> Any:
        known = {told.type: told for told in resources.descriptors()}
        kept, token = _paged(sorted(known), request)
        return LOGGING.ListMonitoredResourceDescriptorsResponse(
            resource_descriptors=[known[kind] for kind in kept], next_page_token=token
        )

    async def _forget(self) -> None:
        """ "_Default": 30 days."""
        while True:
            await self.house.clock.sleep(_DAY_MS)
            await self.house.store.transact(_forget_old, self.house.clock.now_ms())


def _forget_old(tx: Tx, now_ms: int) -> None:
    for key, group in list(logs.GROUPS.scan(tx)):
        if group.name == names.GROUP:
            logs.expire(tx, str(key[-2]), logs.Group(group.name, group.created_ms, _RETENTION_DAYS), now_ms)


def _paged(found: list[str], request: Any) -> tuple[list[str], str]:
    """ "Non-positive values are ignored." """
    after = decoded(request.page_token) if request.page_token else ""
    rest = [name for name in found if name > after]
    limit = min(request.page_size, _LISTED_MAX) if request.page_size > 0 else _LISTED_MAX
    return rest[:limit], encoded(rest[limit - 1]) if len(rest) > limit else ""


def _partial(failed: dict[int, RpcError]) -> RpcError:
    details = LOGGING.WriteLogEntriesPartialErrors()
    for at, error in failed.items():
        details.log_entry_errors[at].code = int(error.code)
        details.log_entry_errors[at].message = error.message
    first = next(iter(failed.values()))
    return RpcError(first.code, first.message, [details])
