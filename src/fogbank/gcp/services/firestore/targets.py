"""What a listener listens to, and what has changed of it between two moments.

Nothing of a listener is kept: documents are kept as they were, so that what a target looked like at any moment of the
past hour can be told again, to one that goes on after a cut as well as to one that has waited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.firestore import messages, names
from fogbank.gcp.services.firestore.queries import run, shape
from fogbank.gcp.services.firestore.queries.view import View
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fogbank.gcp.services.firestore.names import Database, Path
    from fogbank.gcp.services.firestore.queries.shape import Query
    from fogbank.gcp.services.firestore.state import Documents


@dataclass(frozen=True, slots=True)
class Target:
    """Either `query` or `paths`."""

    id: int
    query: Query | None = None
    paths: frozenset[Path] = frozenset()
    resume_us: int | None = None  # What was at that moment its listener knows.
    expected: int | None = None  # How many documents it had then, as the listener believes.
    once: bool = False


def read(database: Database, message: Any, target_id: int) -> Target:
    """Of an `add_target`. Raises `RpcError`."""
    kind = message.WhichOneof("target_type")
    query: Query | None = None
    paths: frozenset[Path] = frozenset()
    if kind == "query":
        if message.query.WhichOneof("query_type") != "structured_query":
            raise invalid("only structured queries are supported")
        found, parent = names.parent(message.query.parent)
        _check_database(database, found)
        query = shape.read(parent, message.query.structured_query)
        if query.nearest is not None:
            raise invalid("FindNearest cannot be listened to.")
    elif kind == "documents":
        paths = frozenset(_path(database, name) for name in message.documents.documents)
    else:
        raise invalid("A target must have a query or documents.")
    expected = message.expected_count.value if message.HasField("expected_count") else None
    return Target(target_id, query, paths, _resumes(message), expected, message.once)


def _path(database: Database, name: str) -> Path:
    found, path = names.document(name)
    _check_database(database, found)
    return path


def _check_database(database: Database, found: Database) -> None:
    if found != database:
        raise invalid(f'A target of the database "{found.name}" was added to a stream of "{database.name}".')


def _resumes(message: Any) -> int | None:
    kind = message.WhichOneof("resume_type")
    if kind == "read_time":
        return messages.microseconds(message.read_time)
    if kind == "resume_token" and message.resume_token:
        return int.from_bytes(message.resume_token[:8])
    return None


def token(at_us: int) -> bytes:
    return at_us.to_bytes(8)


@dataclass(slots=True)
class Event:
    """What has become of a document: to whom it is new, and from whose sight it has gone."""

    document: Any  # None where there is none any more.
    shown: list[int] = field(default_factory=list)  # Ids of targets.
    gone: list[int] = field(default_factory=list)
    changed: bool = True  # Not, where others that came have pushed it out of a limit.


def members(documents: Documents, target: Target, at_us: int) -> dict[Path, Any]:
    """The documents that it shows at that moment, in their order."""
    if target.query is None:
        found = ((path, documents.get(path, at_us)) for path in sorted(target.paths))
        return {path: document for path, document in found if document is not None}
    pairs = run.limited(target.query, run.matching(documents, target.query, at_us))
    return {view.path: run.projected(target.query, view) for _, view in pairs}


def changes(documents: Documents, targets: Iterable[Target], from_us: int, to_us: int) -> dict[Path, Event]:
    """What the targets show at `to_us` and did not at `from_us`, and the other way round."""
    paths = {path for _, path in documents.changed(after_us=from_us, until_us=to_us)}
    events: dict[Path, Event] = {}
    if paths:
        for target in targets:
            for path, document, shown in _differences(documents, target, paths, from_us, to_us):
                event = events.setdefault(path, Event(document, changed=path in paths))
                (event.shown if shown else event.gone).append(target.id)
    return events


def _differences(
    documents: Documents, target: Target, changed: set[Path], from_us: int, to_us: int
) -> Iterator[tuple[Path, Any, bool]]:
    """(path, document or none, whether it is shown now)."""
    query = target.query
    if query is None:
        for path in sorted(target.paths & changed):
            document = documents.get(path, to_us)
            yield path, document, document is not None
    elif not any(map(query.has, changed)):
        return
    elif query.limit is None and not query.offset:
        yield from _one_by_one(documents, query, changed, from_us, to_us)
    else:
        before, after = members(documents, target, from_us), members(documents, target, to_us)
        for path in before.keys() - after.keys():
            yield path, documents.get(path, to_us), False
        for path, document in after.items():
            if path not in before or path in changed:
                yield path, document, True


def _one_by_one(
    documents: Documents, query: Query, changed: set[Path], from_us: int, to_us: int
) -> Iterator[tuple[Path, Any, bool]]:
    for path in sorted(filter(query.has, changed)):
        view = _view(documents, path, to_us)
        if view is not None and query.matches(view):
            yield path, run.projected(query, view), True
            continue
        before = _view(documents, path, from_us)
        if before is not None and query.matches(before):
            yield path, None if view is None else view.named(), False


def _view(documents: Documents, path: Path, at_us: int) -> View | None:
    row = documents.raw(path, at_us)
    return None if row is None else View(documents.database, path, row)
