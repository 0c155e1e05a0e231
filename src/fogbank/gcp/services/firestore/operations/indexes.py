"""Composite indexes: taken, kept and listed, so that tools that deploy them go on. No query needs one here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.service import Code, RpcError, Service
from fogbank.gcp.services.firestore import configs, fieldpaths, messages
from fogbank.gcp.services.firestore.configs import ADMIN, INDEXES
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from fogbank.gcp.service import Call
    from fogbank.kernel.store import Tx

_FIELDS_MAX: Final = 100  # "Usage and limits", maximum number of fields per composite index.
_NAME: Final = "__name__"


class IndexOperations(Service):
    service = "google.firestore.admin.v1.FirestoreAdmin"

    def create_index(self, tx: Tx, call: Call, request: Any) -> Any:
        at = configs.read(request.parent)
        index = _complete(request.index)
        uid = configs.opened(tx, at.database, uid=call.new_id(), now_us=call.now_ms * 1000)
        kept = index.SerializeToString(deterministic=True)
        if any(known == kept for known in INDEXES.all(tx, uid, at.group)):
            raise RpcError(Code.ALREADY_EXISTS, "index already exists")
        index_id = call.new_id().replace("-", "")[7:23]
        INDEXES.put(tx, uid, at.group, index_id, row=kept)
        told = _told(at, at.group, index_id, kept)
        metadata = configs.progressed(ADMIN.IndexOperationMetadata(index=told.name), call.now_ms)
        return configs.done(f"{at.database.name}/operations/{index_id}", told, metadata)

    def get_index(self, tx: Tx, call: Call, request: Any) -> Any:
        at = configs.read(request.name, "indexes")
        kept = INDEXES.get(tx, configs.incarnation(tx, at.database), at.group, at.id)
        if kept is None:
            raise _missing()
        return _told(at, at.group, at.id, kept)

    def list_indexes(self, tx: Tx, call: Call, request: Any) -> Any:
        """Of every group where that is "-"."""
        at = configs.read(request.parent)
        uid = configs.incarnation(tx, at.database)
        rows = INDEXES.scan(tx, uid) if at.group == "-" else INDEXES.scan(tx, uid, at.group)
        told = [_told(at, str(key[3]), str(key[4]), kept) for key, kept in rows]
        page, token = configs.page(told, request)
        return ADMIN.ListIndexesResponse(indexes=page, next_page_token=token)

    def delete_index(self, tx: Tx, call: Call, request: Any) -> Any:
        at = configs.read(request.name, "indexes")
        uid = configs.incarnation(tx, at.database)
        if INDEXES.get(tx, uid, at.group, at.id) is None:
            raise _missing()
        INDEXES.delete(tx, uid, at.group, at.id)
        return messages.empty()


def _missing() -> RpcError:
    return RpcError(Code.NOT_FOUND, "No matching index found.")


def _complete(given: Any) -> Any:
    """As the service keeps it: "__name__" stands last, in the direction of the field before it. Raises `RpcError`."""
    index = ADMIN.Index()
    index.CopyFrom(given)
    index.ClearField("name")
    index.state = ADMIN.Index.State.Value("READY")
    if index.query_scope == 0:
        raise invalid("query_scope must be specified.")
    if not index.fields:
        raise invalid("An index must have at least one field.")
    if len(index.fields) > _FIELDS_MAX:
        raise invalid(f"An index can have at most {_FIELDS_MAX} fields.")
    for each in index.fields:
        _check(each)
    named = [each for each in index.fields if each.field_path != _NAME]
    if len(named) == 1 and named[0].WhichOneof("value_mode") != "vector_config":
        raise invalid("this index is not necessary, configure using single field index controls")
    last = index.fields[-1]
    if last.field_path != _NAME and last.WhichOneof("value_mode") != "vector_config":
        index.fields.add(field_path=_NAME, order=last.order or 1)
    return index


def _check(field: Any) -> None:
    fieldpaths.parse(field.field_path)
    if field.WhichOneof("value_mode") is None:
        raise invalid(f"The field {field.field_path} of the index must have an order, array_config or vector_config.")


def _told(at: configs.Name, group: str, index_id: str, kept: bytes) -> Any:
    told = ADMIN.Index.FromString(kept)
    told.name = f"{at.database.name}/collectionGroups/{group}/indexes/{index_id}"
    return told
