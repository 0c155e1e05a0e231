"""The writes of a commit: each sees what those before it have done, and all of them are kept together or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.firestore import changes, feed, fields, messages, transforms, values
from fogbank.gcp.services.firestore.refusals import (
    already_exists,
    no_document_to_update,
    other_version,
    version_to_come,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.services.firestore.changes import Change
    from fogbank.gcp.services.firestore.fieldpaths import FieldPath
    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.state import Documents


def write_all(documents: Documents, writes: Iterable[Any], *, now_us: int) -> tuple[list[Any], int]:
    """(the `WriteResult`s, the time of the commit in microseconds). Raises `RpcError`."""
    read = [changes.read(documents.database, write) for write in writes]
    commit = Commit(documents, now_us=now_us)
    results = [commit.apply(change) for change in read]
    commit.keep()
    return results, commit.at_us


@dataclass(slots=True)
class _Staged:
    """A document that the commit has touched: as it was before, and as it is by now."""

    was: Any
    now: Any


class Commit:
    """`apply` each change, then `keep`. One that is refused has changed nothing."""

    def __init__(self, documents: Documents, *, now_us: int) -> None:
        self._documents, self._now_us = documents, now_us
        self.at_us = documents.next_commit_us(now_us)
        self._time = messages.timestamp(self.at_us)
        self._staged: dict[Path, _Staged] = {}

    def apply(self, change: Change) -> Any:
        """The `WriteResult`. Raises `RpcError`."""
        staged = self._stage(change.path)
        _check(change, staged.now)
        if change.deletes:
            staged.now = None
            return messages.WriteResult()
        new = self._new(change, staged.now)
        results = transforms.apply(new, change.transforms, now_us=self._now_us)
        if change.mask is not None or results:  # Else it is what was checked already.
            values.check_document(change.path, new.fields)
        if staged.now is None or not _same_fields(staged.now, new):
            staged.now = new
        # "If the write did not actually change the document, this will be the previous update_time."
        return messages.WriteResult(update_time=staged.now.update_time, transform_results=results)

    def keep(self, *, tells: bool = True) -> None:
        """`tells`: whoever listens to the feed learns of it."""
        documents = self._documents
        fed = tells and feed.is_open(documents.tx, documents.database.project)
        for path, staged in self._staged.items():
            if staged.was is not staged.now:
                documents.replace(path, staged.was, staged.now, at_us=self.at_us)
                if fed:
                    feed.put(documents.tx, documents.database, path, staged.was, staged.now, at_us=self.at_us)

    def now(self, path: Path) -> Any:
        return self._stage(path).now

    def _stage(self, path: Path) -> _Staged:
        staged = self._staged.get(path)
        if staged is None:
            there = self._documents.get(path)
            staged = self._staged[path] = _Staged(there, there)
        return staged

    def _new(self, change: Change, now: Any) -> Any:
        created = self._time if now is None else now.create_time
        stays = change.fields if change.mask is None else () if now is None else now.fields
        new = messages.Document(name=change.name, fields=stays, create_time=created, update_time=self._time)
        if change.mask and change.fields is not None:
            _merge(change.fields, change.mask, new.fields)
        return new


def _check(change: Change, now: Any) -> None:
    """ "Precondition": of the document as the writes before this one leave it."""
    if change.must_exist is not None and change.must_exist != (now is not None):
        raise no_document_to_update(change.name) if now is None else already_exists(change.name)
    if change.must_be_of_us is not None:
        stored_us = 0 if now is None else messages.microseconds(now.update_time)
        if now is not None and stored_us < change.must_be_of_us:
            raise version_to_come(change.name)
        if stored_us != change.must_be_of_us:
            raise other_version(stored_us, change.must_be_of_us)


def _merge(source: Any, mask: Iterable[FieldPath], target: Any) -> None:
    """ "Fields referenced in the mask, but not present in the input document, are deleted"."""
    for path in mask:
        value = fields.get(source, path)
        if value is None:
            fields.delete(target, path)
        else:
            fields.put(target, path, value)


def _same_fields(one: Any, other: Any) -> bool:
    """By their bytes: 1 is not 1.0 here."""
    a, b = (messages.Document(fields=each.fields).SerializeToString(deterministic=True) for each in (one, other))
    return bool(a == b)
