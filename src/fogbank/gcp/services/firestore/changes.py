"""A `Write` as it is understood: all that can be said against it without a look at what is there is said here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.firestore import fieldpaths, messages, names, transforms, values
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from fogbank.gcp.services.firestore.fieldpaths import FieldPath
    from fogbank.gcp.services.firestore.names import Database, Path
    from fogbank.gcp.services.firestore.transforms import Transform


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one document. Fields that the mask does not name stay as they are; without a mask none does."""

    path: Path
    name: str
    deletes: bool = False
    fields: Any = None  # Of the new document, or none where there are transforms only.
    mask: tuple[FieldPath, ...] | None = None
    transforms: tuple[Transform, ...] = ()
    must_exist: bool | None = None
    must_be_of_us: int | None = None  # Its update time.


def read(database: Database, write: Any) -> Change:
    """Raises `RpcError`."""
    kind = write.WhichOneof("operation")
    if kind == "update":
        return _update(database, write)
    if kind == "transform":
        return _transform(database, write)
    if kind == "delete":
        return _delete(database, write)
    raise invalid("empty write operation" if kind is None else f"A write of kind {kind} is not supported.")


def _update(database: Database, write: Any) -> Change:
    path = _path(database, write.update.name)
    values.check_document(path, write.update.fields)
    mask = None
    if write.HasField("update_mask"):
        named = map(fieldpaths.parse, write.update_mask.field_paths)
        mask = tuple(field for field in named if field != fieldpaths.NAME)
    changes = tuple(transforms.read(write.update_transforms))
    return Change(path, write.update.name, False, write.update.fields, mask, changes, *_condition(write))


def _transform(database: Database, write: Any) -> Change:
    path = _path(database, write.transform.document)
    if not write.transform.field_transforms:
        raise invalid("The list of FieldTransform must not be empty.")
    changes = tuple(transforms.read(write.transform.field_transforms))
    return Change(path, write.transform.document, False, None, (), changes, *_condition(write))


def _delete(database: Database, write: Any) -> Change:
    if write.HasField("update_mask"):
        raise invalid("a delete must not specify a document mask.")
    if write.update_transforms:
        raise invalid("a delete must not specify a update transform.")
    return Change(_path(database, write.delete), write.delete, True, None, None, (), *_condition(write))


def _path(database: Database, name: str) -> Path:
    found, path = names.document(name)
    if found != database:
        raise invalid(f'Document name "{name}" does not belong to the database "{database.name}" of the request.')
    return path


def _condition(write: Any) -> tuple[bool | None, int | None]:
    condition = write.current_document
    kind = condition.WhichOneof("condition_type")
    if kind == "update_time":
        return None, messages.microseconds(condition.update_time)
    return condition.exists if kind == "exists" else None, None
