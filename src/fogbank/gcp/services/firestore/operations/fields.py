"""Fields of collection groups: their time to live, and how they are indexed, which is kept and changes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.service import Code, RpcError, Service
from fogbank.gcp.services.firestore import configs, expiring, fieldpaths, ttl
from fogbank.gcp.services.firestore.configs import ADMIN, DEFAULT, EVERY, FIELDS
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from fogbank.gcp.service import Call
    from fogbank.gcp.services.firestore.configs import Name
    from fogbank.kernel.store import Tx

_MASK: Final = ("ttl_config", "index_config")
_OFFSET_MAX_S: Final = 2_147_483_647
# The two questions that ListFields answers, in the spellings of clients, alone or joined by OR.
_OTHER_THAN_USUAL: Final = re.compile(r"index_?config\.uses_?ancestor_?config\s*[:=]\s*false", re.IGNORECASE)
_WITH_TTL: Final = re.compile(r"ttl_?config\s*:\s*\*", re.IGNORECASE)


class FieldOperations(Service):
    service = "google.firestore.admin.v1.FirestoreAdmin"

    def get_field(self, tx: Tx, call: Call, request: Any) -> Any:
        at = _read(request.name)
        return _told(tx, configs.incarnation(tx, at.database), at)

    def list_fields(self, tx: Tx, call: Call, request: Any) -> Any:
        """Those that are not as all are; of every group where that is "-"."""
        at = configs.read(request.parent)
        uid = configs.incarnation(tx, at.database)
        indexed, alive = _asked(request.filter)
        found: set[tuple[str, str]] = set()
        if indexed:
            found |= {(DEFAULT, EVERY)} | {(str(key[3]), str(key[4])) for key, _ in FIELDS.scan(tx, uid)}
        if alive:
            found |= {(str(key[3]), policy.field) for key, policy in ttl.POLICIES.scan(tx, uid)}
        wanted = [each for each in found if at.group in ("-", each[0])]
        told = [_told(tx, uid, configs.Name(at.database, group, path)) for group, path in wanted]
        page, token = configs.page(told, request)
        return ADMIN.ListFieldsResponse(fields=page, next_page_token=token)

    async def update_field(self, call: Call, request: Any) -> Any:
        """The answer comes once the documents that are there are under the policy."""
        at = _read(request.field.name)
        paths = list(request.update_mask.paths) or [name for name in _MASK if request.field.HasField(name)]
        if unknown := [path for path in paths if path.partition(".")[0] not in _MASK]:
            raise invalid(f"Invalid update mask: the field {unknown[0]} cannot be updated.")
        uid, entering = await self.house.store.transact(_update, at, request.field, paths, call.new_id(), call.now_ms)
        if entering:
            await expiring.enter_all(self.house, (at.database, uid, at.group), entering)
        told = await self.house.store.transact(_told, uid, at)
        metadata = configs.progressed(ADMIN.FieldOperationMetadata(field=told.name), call.now_ms)
        if "ttl_config" in paths:
            metadata.ttl_config_delta.change_type = "ADD" if told.HasField("ttl_config") else "REMOVE"
        return configs.done(f"{at.database.name}/operations/{call.new_id().replace('-', '')}", told, metadata)


def _read(name: str) -> Name:
    at = configs.read(name, "fields")
    if at.id != EVERY:
        fieldpaths.parse(at.id)
    return at


def _asked(text: str) -> tuple[bool, bool]:
    """(those that are indexed otherwise, those with a time to live)."""
    parts = re.split(r"\s+OR\s+", text.strip()) if text.strip() else []
    indexed = any(_OTHER_THAN_USUAL.fullmatch(part) for part in parts)
    alive = any(_WITH_TTL.fullmatch(part) for part in parts)
    if not parts or any(not _OTHER_THAN_USUAL.fullmatch(part) and not _WITH_TTL.fullmatch(part) for part in parts):
        raise invalid(
            "Invalid filter: fields are listed by `indexConfig.usesAncestorConfig:false` or `ttlConfig:*` only."
        )
    return indexed, alive


def _update(tx: Tx, at: Name, field: Any, paths: list[str], new_id: str, now_ms: int) -> tuple[str, str]:
    """(the database's incarnation, the id of a policy that is new)."""
    uid = configs.opened(tx, at.database, uid=new_id, now_us=now_ms * 1000)
    entering = ""
    for path in paths:
        if path.startswith("ttl_config"):
            entering = _set_ttl(tx, uid, at, field, new_id)
        else:
            _set_indexes(tx, uid, at, field)
    return uid, entering


def _set_ttl(tx: Tx, uid: str, at: Name, field: Any, new_id: str) -> str:
    known = ttl.policy(tx, uid, at.group)
    ours = known if known is not None and known.field == at.id else None
    if not field.HasField("ttl_config"):
        if ours is not None:
            ttl.end(tx, uid, at.group)
        return ""
    if at.id == EVERY or at.group == DEFAULT:
        raise invalid("A TTL policy is of one field of one collection group.")
    offset = field.ttl_config.expiration_offset
    if offset.nanos or not 0 <= offset.seconds <= _OFFSET_MAX_S:
        raise invalid(f"expiration_offset must be whole seconds between 0 and {_OFFSET_MAX_S}.")
    if ours is not None and ours.offset_s == offset.seconds:
        return ours.id
    if known is not None and ours is None:
        raise RpcError(
            Code.FAILED_PRECONDITION,
            f"Only one field of a collection group can have a TTL policy: {at.group} has one on {known.field}.",
        )
    ttl.begin(tx, uid, at.group, ttl.Policy(new_id, at.id, offset.seconds))
    return new_id


def _set_indexes(tx: Tx, uid: str, at: Name, field: Any) -> None:
    if not field.HasField("index_config"):
        FIELDS.delete(tx, uid, at.group, at.id)
        return
    for index in field.index_config.indexes:
        index.state = ADMIN.Index.State.Value("READY")
        index.query_scope = index.query_scope or 1
        for each in index.fields:
            each.field_path = at.id
    kept = ADMIN.Field(index_config=ADMIN.Field.IndexConfig(indexes=field.index_config.indexes))
    FIELDS.put(tx, uid, at.group, at.id, row=kept.SerializeToString())


def _told(tx: Tx, uid: str, at: Name) -> Any:
    kept = FIELDS.get(tx, uid, at.group, at.id)
    told = ADMIN.Field() if kept is None else ADMIN.Field.FromString(kept)
    told.name = f"{at.collection}/fields/{at.id}"
    if kept is None:
        told.index_config.indexes.extend(_usual(at.id))
    if (at.group, at.id) != (DEFAULT, EVERY):
        told.index_config.uses_ancestor_config = kept is None
        told.index_config.ancestor_field = f"{at.database.name}/collectionGroups/{DEFAULT}/fields/{EVERY}"
    policy = ttl.POLICIES.get(tx, uid, at.group)
    if policy is not None and policy.field == at.id:
        told.ttl_config.state = "ACTIVE" if policy.entered else "CREATING"
        if policy.offset_s:
            told.ttl_config.expiration_offset.seconds = policy.offset_s
    return told


def _usual(path: str) -> list[Any]:
    """ "Automatic indexing": ascending, descending, and by each member of an array."""
    modes: list[dict[str, str]] = [{"order": "ASCENDING"}, {"order": "DESCENDING"}, {"array_config": "CONTAINS"}]
    return [
        ADMIN.Index(query_scope="COLLECTION", state="READY", fields=[{"field_path": path, **mode}]) for mode in modes
    ]
