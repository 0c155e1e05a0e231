"""Resource names: `projects/P/databases/D/documents/collection/id/…`, read with the service's own words of refusal.

A document's path is the tuple of its collections and ids, in turn; that of the database's root is empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fogbank.gcp.services.firestore.refusals import invalid

Path = tuple[str, ...]

# "Usage and limits", collections, documents and fields.
ID_BYTES_MAX: Final = 1500
NAME_BYTES_MAX: Final = 6 * 1024
DEPTH_MAX: Final = 100
_RESERVED: Final = re.compile(r"__.*__", re.DOTALL)
_NUMERIC: Final = re.compile(r"__id(0|-?[1-9][0-9]{0,18})__")
_INT64: Final = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class Database:
    project: str
    id: str

    @property
    def name(self) -> str:
        return f"projects/{self.project}/databases/{self.id}"

    @property
    def root(self) -> str:
        return f"{self.name}/documents"

    def document(self, path: Path) -> str:
        return "/".join((self.root, *path))


def database(name: str) -> Database:
    reader = _Reader("Database name", name)
    found = reader.database()
    if not reader.done:
        raise invalid(f'Database name "{name}" has extra parts at index {reader.at}.')
    return found


def document(name: str, what: str = "Document name") -> tuple[Database, Path]:
    found, path = _below_root(_Reader(what, name))
    if not path:
        raise invalid(
            f'{what} "{name}" is invalid: '
            'Omit "/documents" when referencing a database (except as the parent of a document).'
        )
    check(path, name)
    return found, path


def reference(name: str) -> tuple[Database, Path]:
    return document(name, "Resource name")


def parent(name: str) -> tuple[Database, Path]:
    """A document, or the root: what collections lie in."""
    found, path = _below_root(_Reader("Document parent name", name))
    check(path, name)
    return found, path


def _below_root(reader: _Reader) -> tuple[Database, Path]:
    found = reader.database()
    reader.literal("/")
    reader.literal("documents")
    path: list[str] = []
    while not reader.done:
        reader.literal("/")
        path.append(reader.id())
        reader.literal("/")
        path.append(reader.id())
    return found, tuple(path)


def check(path: Path, name: str) -> None:
    for at, part in enumerate(path):
        check_document_id(part) if at % 2 else check_collection_id(part)
    if len(path) > 2 * DEPTH_MAX or len(name.encode()) > NAME_BYTES_MAX:
        raise invalid(f'Document name "{name[:ID_BYTES_MAX]}" is too long or has too many subcollections.')


def check_collection_id(text: str) -> None:
    if not text:
        raise invalid("collectionId is the empty string.")
    _check_id("Collection", text, reserved=_RESERVED.fullmatch(text) is not None)


def check_document_id(text: str) -> None:
    if not text:
        raise invalid("Resource id is the empty string.")
    _check_id("Resource", text, reserved=_RESERVED.fullmatch(text) is not None and not isinstance(sortable(text), int))


def _check_id(what: str, text: str, *, reserved: bool) -> None:
    if "/" in text:
        raise invalid(f'{what} id "{text}" is invalid because it contains "/".')
    if text in (".", ".."):
        raise invalid(f'{what} id "{text}" is invalid because it is "." or "..".')
    if reserved:
        raise invalid(f'{what} id "{text}" is invalid because it is reserved.')
    if len(text.encode()) > ID_BYTES_MAX:
        raise invalid(f"The key path element name is longer than {ID_BYTES_MAX} bytes.")


def sortable(document_id: str) -> str | int:
    """`__id7__` is the number 7 (as documents that came from Datastore have it), and numbers sort before all text."""
    if document_id.startswith("__id"):
        found = _NUMERIC.fullmatch(document_id)
        if found and (number := int(found[1])) in _INT64:
            return number
    return document_id


def shown(document_id: str | int | bytes) -> str:
    return f"__id{document_id}__" if isinstance(document_id, int) else str(document_id)


class _Reader:
    """Goes through a name from left to right and refuses it where it goes wrong."""

    def __init__(self, what: str, name: str) -> None:
        self._what, self._name, self.at = what, name, 0

    @property
    def done(self) -> bool:
        return self.at == len(self._name)

    def database(self) -> Database:
        self.literal("projects")
        self.literal("/")
        project = self.id()
        self.literal("/")
        self.literal("databases")
        self.literal("/")
        return Database(project, self.id())

    def literal(self, text: str) -> None:
        if not self._name.startswith(text, self.at):
            raise invalid(f'{self._what} "{self._name}" lacks "{text}" at index {self.at}.')
        self.at += len(text)

    def id(self) -> str:
        end = self._name.find("/", self.at)
        found = self._name[self.at : len(self._name) if end < 0 else end]
        if not found:
            raise invalid(f'{self._what} "{self._name}" lacks a resource id at index {self.at}.')
        if found in (".", ".."):
            raise invalid(f'{self._what} "{self._name}" contains a resource id "{found}" at index {self.at}.')
        self.at += len(found)
        return found
