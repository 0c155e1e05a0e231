"""Documents by their names: get, list, create, update, delete; and the collections that there are."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.service import Later, RpcError, Service
from fogbank.gcp.services.firestore import changes, fieldpaths, fields, listing, messages, names, reading, rules
from fogbank.gcp.services.firestore.refusals import document_not_found, invalid
from fogbank.gcp.services.firestore.state import Documents
from fogbank.gcp.services.firestore.writes import Commit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.gcp.service import Call
    from fogbank.gcp.services.firestore.names import Path
    from fogbank.kernel.store import Tx

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_AUTO_ID_LENGTH: Final = 20


class DocumentOperations(Service):
    service = "google.firestore.v1.Firestore"

    def get_document(self, tx: Tx, call: Call, request: Any) -> Any:
        database, path = names.document(request.name)
        mask = _mask(request)
        read = reading.begin(tx, call, database, request)
        [found] = read.get([path])
        if found is not None:
            return masked(found, mask)
        missing = document_not_found(request.name)
        if not read.transaction:
            raise missing
        return Later(lambda: _refuse(missing))  # That it is missing has been read: the transaction remembers it.

    def batch_get_documents(self, tx: Tx, call: Call, request: Any) -> Iterator[Any]:
        database = names.database(request.database)
        paths = list(dict.fromkeys(_within(database, name) for name in request.documents))  # "Duplicates are elided".
        mask = _mask(request)
        read = reading.begin(tx, call, database, request)
        there = dict(zip(paths, read.get(paths), strict=True))
        if read.begun:
            yield messages.BatchGetDocumentsResponse(transaction=read.begun)
        for found in there.values():
            if found is not None:
                yield messages.BatchGetDocumentsResponse(found=masked(found, mask), read_time=read.time)
        for path, found in there.items():  # What is missing the service tells last.
            if found is None:
                yield messages.BatchGetDocumentsResponse(missing=database.document(path), read_time=read.time)

    def list_documents(self, tx: Tx, call: Call, request: Any) -> Any:
        database, parent = names.parent(request.parent)
        mask = _mask(request)
        read = reading.begin(tx, call, database, request)
        found, token = listing.documents(read, parent, request)
        return messages.ListDocumentsResponse(documents=[masked(each, mask) for each in found], next_page_token=token)

    def list_collection_ids(self, tx: Tx, call: Call, request: Any) -> Any:
        database, parent = names.parent(request.parent)
        read = reading.begin(tx, call, database, request)
        found, token = listing.collection_ids(read, parent, request)
        return messages.ListCollectionIdsResponse(collection_ids=found, next_page_token=token)

    def create_document(self, tx: Tx, call: Call, request: Any) -> Any:
        database, parent = names.parent(request.parent)
        names.check_collection_id(request.collection_id)
        if request.document.name:
            raise invalid("document.name must not be set")
        document_id = request.document_id or _auto_id(call.new_id())
        names.check_document_id(document_id)
        path = (*parent, request.collection_id, document_id)
        name = database.document(path)
        names.check(path, name)
        write = messages.Write(update=messages.Document(name=name, fields=request.document.fields))
        write.current_document.exists = False
        return self._commit(tx, call, database, path, write, _mask(request))

    def update_document(self, tx: Tx, call: Call, request: Any) -> Any:
        database, path = names.document(request.document.name)
        write = messages.Write(update=request.document)
        if request.HasField("update_mask"):
            write.update_mask.CopyFrom(request.update_mask)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        return self._commit(tx, call, database, path, write, _mask(request))

    def delete_document(self, tx: Tx, call: Call, request: Any) -> Any:
        database, path = names.document(request.name)
        write = messages.Write(delete=request.name)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        self._commit(tx, call, database, path, write, None)
        return messages.empty()

    def _commit(self, tx: Tx, call: Call, database: names.Database, path: Path, write: Any, mask: Mask) -> Any:
        rules.check(call)
        documents = Documents.open_or_create(tx, database, uid=call.new_id(), now_us=call.now_ms * 1000)
        change = changes.read(database, write)
        commit = Commit(documents, now_us=call.now_ms * 1000)
        commit.apply(change)
        commit.keep()
        now = commit.now(path)
        return None if now is None else masked(now, mask)


async def _refuse(error: RpcError) -> None:
    raise error


Mask = list[fieldpaths.FieldPath] | None


def _mask(request: Any) -> Mask:
    if not request.HasField("mask"):
        return None
    return [fieldpaths.parse(text) for text in request.mask.field_paths]


def masked(document: Any, mask: Mask) -> Any:
    if mask is None:
        return document
    small = messages.Document(name=document.name, create_time=document.create_time, update_time=document.update_time)
    fields.copy(document.fields, mask, small.fields)
    return small


def _within(database: names.Database, name: str) -> Path:
    found, path = names.document(name)
    if found != database:
        raise invalid(f'Document name "{name}" does not belong to the database "{database.name}" of the request.')
    return path


def _auto_id(new_id: str) -> str:
    """Twenty letters and digits, as clients make them, from a name that is handed in."""
    number = int.from_bytes(sha256(new_id.encode()).digest())
    letters: list[str] = []
    for _ in range(_AUTO_ID_LENGTH):
        number, at = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[at])
    return "".join(letters)
