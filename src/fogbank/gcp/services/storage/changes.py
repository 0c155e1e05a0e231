"""What becomes of objects, told to whoever carries it on (`gcp/links`) in the very transaction in which it happens.

A link that has a function `object_changed(tx, change)` is called for each change of each object: what it writes is kept
with the change, or not at all. "Event types" in "Pub/Sub notifications for Cloud Storage".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from fogbank.gcp.services.storage import shown, times
from fogbank.gcp.services.storage.state import Bucket, Object

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.kernel.store import Tx

FINALIZED: Final = "finalized"
DELETED: Final = "deleted"
ARCHIVED: Final = "archived"
UPDATED: Final = "metadataUpdated"
EVENT_TYPES: Final = {  # Of notifications; those of Eventarc are "google.cloud.storage.object.v1.finalized", ….
    FINALIZED: "OBJECT_FINALIZE",
    DELETED: "OBJECT_DELETE",
    ARCHIVED: "OBJECT_ARCHIVE",
    UPDATED: "OBJECT_METADATA_UPDATE",
}


@dataclass(frozen=True, slots=True)
class Change:
    kind: str
    owner: Bucket
    row: Object
    at_ms: int
    id: str  # Of this change alone.
    new_id: Callable[[], str]
    base: str
    overwrote: int = 0  # Of FINALIZED: the generation in whose place it came.
    overwritten_by: int = 0  # Of DELETED and ARCHIVED: the generation that came in its place.

    @property
    def project(self) -> str:
        return self.owner.project

    @property
    def bucket(self) -> str:
        return self.owner.name

    @property
    def location(self) -> str:
        """ "US", "EUROPE-WEST1"."""
        return self.owner.location

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def generation(self) -> int:
        return self.row.generation

    @property
    def event_type(self) -> str:
        """ "OBJECT_FINALIZE"."""
        return EVENT_TYPES[self.kind]

    @property
    def notifications(self) -> dict[str, dict[str, Any]]:
        """The bucket's configurations by their ids."""
        return self.owner.notifications

    @property
    def resource(self) -> dict[str, Any]:
        """The object as the JSON API shows it: what events carry."""
        gone = self.kind == DELETED and not self.row.gone_ms
        row = replace(self.row, gone_ms=self.at_ms) if gone else self.row
        return shown.object_(self.owner, row, self.base)

    @property
    def attributes(self) -> dict[str, str]:
        """ "Attributes" of a notification, but for those of its configuration."""
        told = {
            "eventType": self.event_type,
            "bucketId": self.bucket,
            "objectId": self.name,
            "objectGeneration": str(self.generation),
            "eventTime": times.told(self.at_ms),
        }
        if self.overwrote:
            told["overwroteGeneration"] = str(self.overwrote)
        if self.overwritten_by:
            told["overwrittenByGeneration"] = str(self.overwritten_by)
        return told


class Changes:
    def __init__(self, house: House) -> None:
        self._house = house
        self._listeners: list[Callable[[Tx, Change], None]] = [
            link.object_changed for link in house.links.values() if hasattr(link, "object_changed")
        ]

    def tell(
        self,
        tx: Tx,
        kind: str,
        owner: Bucket,
        row: Object,
        asked: Asked,
        *,
        overwrote: int = 0,
        overwritten_by: int = 0,
    ) -> None:
        change = Change(
            kind, owner, row, asked.now_ms, asked.new_id(), asked.new_id, self._house.endpoint(), overwrote,
            overwritten_by,
        )  # fmt: skip
        for listener in self._listeners:
            listener(tx, change)
