"""The writes of a commit: each sees what those before it have done, and all of them are kept together or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import fieldpaths, fields, messages, names, transforms, values
from fogbank.gcp.services.firestore.refusals import (
    already_exists,
    invalid,
    no_document_to_update,
    other_version,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.state import Documents


@dataclass(slots=True)
class _Staged:
    """A document that the commit has touched: as it was before, and as it is by now."""

    was: Any
    now: Any


class Commit:
    """`write` each, then `keep`. A refused write has changed nothing."""

    def __init__(self, documents: Documents, *, now_us: int) -> None:
        self._documents, self._now_us = documents, now_us
        self.at_us = documents.next_commit_us(now_us)
        self._time = messages.timestamp(self.at_us)
        self._staged: dict[Path, _Staged] = {}

    def write(self, write: Any) -> Any:
        """The `WriteResult`. Raises `RpcError`."""
        kind = write.WhichOneof("operation")
        work = _OPERATIONS.get(kind)
        if work is None:
            raise invalid("empty write operation" if kind is None else f"A write of kind {kind} is not supported.")
        return work(self, write)

    def keep(self) -> None:
        for path, staged in self._staged.items():
            if staged.was is not staged.now:
                self._documents.replace(path, staged.was, staged.now, at_us=self.at_us)

    def now(self, path: Path) -> Any:
        return self._stage(path).now

    def update(self, write: Any) -> Any:
        path = self._path(write.update.name)
        staged = self._stage(path)
        self._check(write, staged.now)
        new = self._new(path, staged.now)
        if write.HasField("update_mask"):
            if staged.now is not None:
                new.MergeFrom(messages.Document(fields=staged.now.fields))
            _merge(write.update.fields, map(fieldpaths.parse, write.update_mask.field_paths), new.fields)
        else:
            new.MergeFrom(messages.Document(fields=write.update.fields))
        results = transforms.apply(new, write.update_transforms, now_us=self._now_us)
        return self._finish(path, staged, new, results)

    def transform(self, write: Any) -> Any:
        path = self._path(write.transform.document)
        staged = self._stage(path)
        self._check(write, staged.now)
        if not write.transform.field_transforms:
            raise invalid("The list of FieldTransform must not be empty.")
        new = self._new(path, staged.now)
        if staged.now is not None:
            new.MergeFrom(messages.Document(fields=staged.now.fields))
        results = transforms.apply(new, write.transform.field_transforms, now_us=self._now_us)
        return self._finish(path, staged, new, results)

    def delete(self, write: Any) -> Any:
        path = self._path(write.delete)
        if write.HasField("update_mask"):
            raise invalid("a delete must not specify a document mask.")
        if write.update_transforms:
            raise invalid("a delete must not specify a update transform.")
        staged = self._stage(path)
        self._check(write, staged.now)
        staged.now = None
        return messages.WriteResult()

    def _path(self, name: str) -> Path:
        database, path = names.document(name)
        if database != self._documents.database:
            raise invalid(
                f'Document name "{name}" does not belong to the database "{self._documents.database.name}" '
                "of the request."
            )
        return path

    def _stage(self, path: Path) -> _Staged:
        staged = self._staged.get(path)
        if staged is None:
            there = self._documents.get(path)
            staged = self._staged[path] = _Staged(there, there)
        return staged

    def _new(self, path: Path, now: Any) -> Any:
        created = self._time if now is None else now.create_time
        return messages.Document(
            name=self._documents.database.document(path), create_time=created, update_time=self._time
        )

    def _finish(self, path: Path, staged: _Staged, new: Any, results: list[Any]) -> Any:
        values.check_document(path, new.fields)
        if staged.now is None or not _same_fields(staged.now, new):
            staged.now = new
        # "If the write did not actually change the document, this will be the previous update_time."
        return messages.WriteResult(update_time=staged.now.update_time, transform_results=results)

    def _check(self, write: Any, now: Any) -> None:
        """ "Precondition": of the document as the writes before this one leave it."""
        condition = write.current_document
        kind = condition.WhichOneof("condition_type")
        if kind == "exists" and condition.exists != (now is not None):
            name = document_name(write)
            raise no_document_to_update(name) if now is None else already_exists(name)
        if kind == "update_time":
            stored_us = 0 if now is None else messages.microseconds(now.update_time)
            required_us = messages.microseconds(condition.update_time)
            if stored_us != required_us:
                raise other_version(stored_us, required_us)


_OPERATIONS: Final = {"update": Commit.update, "delete": Commit.delete, "transform": Commit.transform}


def document_name(write: Any) -> str:
    """The name of the document that it is of."""
    kind = write.WhichOneof("operation")
    if kind == "update":
        return str(write.update.name)
    return str(write.delete if kind == "delete" else write.transform.document)


def _merge(source: Any, mask: Iterable[fieldpaths.FieldPath], target: Any) -> None:
    """ "Fields referenced in the mask, but not present in the input document, are deleted"."""
    for path in mask:
        if path == fieldpaths.NAME:
            continue
        value = fields.get(source, path)
        if value is None:
            fields.delete(target, path)
        else:
            fields.put(target, path, value)


def _same_fields(one: Any, other: Any) -> bool:
    """By their bytes: 1 is not 1.0 here."""
    a, b = (messages.Document(fields=each.fields).SerializeToString(deterministic=True) for each in (one, other))
    return bool(a == b)
