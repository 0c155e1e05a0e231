"""The Listen stream: what documents and queries look like, and each change of it, at moments that all targets share."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import RpcError, Service
from fogbank.gcp.services.firestore import messages, names, rules, targets
from fogbank.gcp.services.firestore.refusals import invalid, too_many_targets
from fogbank.gcp.services.firestore.state import Documents
from fogbank.kernel.gateway.messages import Route
from fogbank.primitives import versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from fogbank.gcp.service import Call, House
    from fogbank.gcp.services.firestore.names import Database, Path
    from fogbank.gcp.services.firestore.targets import Event, Target
    from fogbank.kernel.gateway.messages import Request, Response
    from fogbank.kernel.signals import Watch
    from fogbank.kernel.store import Tx

TOKEN_AGE_MS: Final = 30_000  # Of changes that are none of its targets' a listener is told a new token so often.
TARGETS_MAX: Final = 1000  # Of one stream.
_INBOX_MAX: Final = 100
_CHANNEL: Final = re.compile(r"/google\.firestore\.v1\.Firestore/(?:Listen|Write)/channel")  # WebChannel, of browsers.
_rpc = Package("google.rpc")


class ListenOperations(Service):
    service = "google.firestore.v1.Firestore"

    def routes(self) -> Iterable[Route]:
        return (Route(_refuse_channel, path=_CHANNEL),)

    async def listen(self, call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        first = await anext(requests, None)
        if first is None:
            return
        database = names.database(first.database)
        uid = await self.house.store.transact(_uid, database, call.new_id(), self.house.clock.now_ms() * 1000)
        with self.house.signals.watch(versions.CHANGED, (uid,)) as watch:
            stream = _Stream(self.house, call, database, watch)
            stream.inbox.put_nowait(first)
            reader = asyncio.ensure_future(stream.read(requests))
            try:
                async for answer in stream.answers():
                    yield answer
            finally:
                reader.cancel()
                with suppress(asyncio.CancelledError, RpcError):
                    await reader


async def _refuse_channel(request: Request) -> Response:
    return rules.refuse_channel(request)


def _uid(tx: Tx, database: Database, new_id: str, now_us: int) -> str:
    """The database is there from now on: its changes have a name to wait for."""
    return Documents.open_or_create(tx, database, uid=new_id, now_us=now_us).uid


class _Stream:
    """One listener: its targets, and the moment up to which it knows them."""

    def __init__(self, house: House, call: Call, database: Database, watch: Watch) -> None:
        self._house, self._call, self._database, self._watch = house, call, database, watch
        self.inbox: asyncio.Queue[Any] = asyncio.Queue(_INBOX_MAX)  # Who asks faster than he is answered waits.
        self._ended = False
        self._targets: dict[int, Target] = {}
        self._at_us = 0

    async def read(self, requests: AsyncIterator[Any]) -> None:
        try:
            async for request in requests:
                await self.inbox.put(request)
                self._watch.woken.set()
        finally:
            self._ended = True
            self._watch.woken.set()

    async def answers(self) -> AsyncIterator[Any]:
        clock = self._house.clock
        stale_ms = 0
        while True:
            while not self.inbox.empty():
                async for answer in self._take(self.inbox.get_nowait()):
                    yield answer
            known_us = self._at_us
            told = [answer async for answer in self._catch_up()]
            if told or (self._targets and self._at_us > known_us and clock.now_ms() >= stale_ms):
                for answer in told:
                    yield answer
                yield _moment(self._at_us, clock.now_ms())
                stale_ms = clock.now_ms() + TOKEN_AGE_MS
            if self._ended and self.inbox.empty():
                return
            await self._watch.wait()

    async def _take(self, request: Any) -> AsyncIterator[Any]:
        kind = request.WhichOneof("target_change")
        if request.database and names.database(request.database) != self._database:
            raise invalid("A stream listens to one database.")
        if kind == "remove_target":
            if self._targets.pop(request.remove_target, None) is not None:
                yield _target_change("REMOVE", request.remove_target)
        elif kind == "add_target":
            async for answer in self._add(request.add_target):
                yield answer
        else:
            raise invalid("A listen request must add or remove a target.")

    async def _add(self, message: Any) -> AsyncIterator[Any]:
        target_id = message.target_id or max(self._targets, default=0) + 1
        if target_id in self._targets:
            raise invalid(f"Target id {target_id} is already in use.")
        if len(self._targets) >= TARGETS_MAX:
            raise too_many_targets(TARGETS_MAX)
        yield _target_change("ADD", target_id)
        try:
            rules.check(self._call)
            target = targets.read(self._database, message, target_id)
        except RpcError as error:
            refused = _target_change("REMOVE", target_id)
            refused.target_change.cause.CopyFrom(_rpc.Status(code=error.code, message=error.message))
            yield refused
            return
        async for answer in self._catch_up(target):
            yield answer
        yield _moment(self._at_us, self._house.clock.now_ms())
        if target.once:
            yield _target_change("REMOVE", target_id)
        else:
            self._targets[target_id] = target

    async def _catch_up(self, new: Target | None = None) -> AsyncIterator[Any]:
        """All targets are brought to the same moment, the new one with them."""
        answers, self._at_us = await self._house.store.transact(
            _advance, self._database, list(self._targets.values()), self._at_us, new, self._house.clock.now_ms()
        )
        for answer in answers:
            yield answer


def _advance(
    tx: Tx, database: Database, known: list[Target], from_us: int, new: Target | None, now_ms: int
) -> tuple[list[Any], int]:
    documents = Documents.open(tx, database)
    to_us = documents.last_commit_us()
    answers = list(_told(database, targets.changes(documents, known, from_us, to_us), to_us)) if known else []
    if new is not None:
        answers += _begun(documents, new, to_us)
        answers.append(_with_moment(_target_change("CURRENT", new.id), to_us, now_ms))
    return answers, to_us


def _begun(documents: Documents, target: Target, to_us: int) -> Iterator[Any]:
    """What a new target shows, or, to one who goes on, what has changed of it since."""
    from_us = target.resume_us
    if from_us is not None and documents.forgotten_us() <= from_us <= to_us:
        yield from _told(documents.database, targets.changes(documents, [target], from_us, to_us), to_us)
        if target.expected is not None and len(targets.members(documents, target, from_us)) != target.expected:
            count = len(targets.members(documents, target, to_us))
            yield messages.ListenResponse(filter=messages.ExistenceFilter(target_id=target.id, count=count))
        return
    if from_us is not None:
        yield _target_change("RESET", target.id)
    shown = targets.members(documents, target, to_us)
    for document in shown.values():
        change = messages.DocumentChange(document=document, target_ids=[target.id])
        yield messages.ListenResponse(document_change=change)
    for path in sorted(target.paths - shown.keys()):
        yield _deleted(documents.database, path, [target.id], to_us)


def _told(database: Database, events: dict[Path, Event], at_us: int) -> Iterator[Any]:
    for path, event in events.items():
        if event.document is None:
            yield _deleted(database, path, event.gone, at_us)
        elif event.shown or event.changed:
            change = messages.DocumentChange(
                document=event.document, target_ids=event.shown, removed_target_ids=event.gone
            )
            yield messages.ListenResponse(document_change=change)
        else:
            name, read_time = database.document(path), messages.timestamp(at_us)
            remove = messages.DocumentRemove(document=name, removed_target_ids=event.gone, read_time=read_time)
            yield messages.ListenResponse(document_remove=remove)


def _deleted(database: Database, path: Path, target_ids: list[int], at_us: int) -> Any:
    name, read_time = database.document(path), messages.timestamp(at_us)
    delete = messages.DocumentDelete(document=name, removed_target_ids=target_ids, read_time=read_time)
    return messages.ListenResponse(document_delete=delete)


def _target_change(kind: str, target_id: int) -> Any:
    change = messages.TargetChange(target_change_type=kind, target_ids=[target_id])
    return messages.ListenResponse(target_change=change)


def _moment(at_us: int, now_ms: int) -> Any:
    """ "NO_CHANGE" without targets: all that was told holds at this moment, and a listener may go on from its token."""
    return _with_moment(messages.ListenResponse(target_change=messages.TargetChange()), at_us, now_ms)


def _with_moment(answer: Any, at_us: int, now_ms: int) -> Any:
    """The token names the last commit that was seen; nothing has changed between it and now."""
    answer.target_change.resume_token = targets.token(at_us)
    answer.target_change.read_time.CopyFrom(messages.timestamp(max(at_us, now_ms * 1000)))
    return answer
