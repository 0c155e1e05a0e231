"""An object made of its content and of what its writer tells: inserted whatever way it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from fogbank.gcp.services.storage import acl, resources, state, writing
from fogbank.gcp.services.storage.changes import Changes
from fogbank.gcp.services.storage.names import check_object
from fogbank.gcp.services.storage.state import Bucket, Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.contents import Content
    from fogbank.kernel.store import Tx


R = TypeVar("R")


class Objects:
    def __init__(self, house: House) -> None:
        self._house = house
        self.changes = Changes(house)

    def made(
        self, owner: Bucket, name: str, content: Content, told: Mapping[str, Any], asked: Asked,
        *, predefined: str = "", key_sha256: str = "",
    ) -> Object:  # fmt: skip
        """A new row: nothing is kept yet."""
        check_object(name)
        return Object(
            name, state.generation_of(asked.new_id()), content.size, content.crc32c, asked.now_ms, asked.now_ms,
            resources.storage_class(told, owner), asked.now_ms, md5=content.md5, body=content.body, blob=content.blob,
            told=resources.of_new(told, owner, asked.now_ms), acl=acl.of_new_object(owner, dict(told), predefined),
            key_sha256=key_sha256,
        )  # fmt: skip

    def insert(
        self, tx: Tx, bucket: str, name: str, content: Content, told: Mapping[str, Any], asked: Asked,
        *, parameters: Mapping[str, str], key_sha256: str = "",
    ) -> tuple[Bucket, Object, list[str]]:  # fmt: skip
        """As uploads end: preconditions are checked now. (its bucket, as kept, blobs that are nobody's now)."""
        owner = state.bucket(tx, bucket)
        new = self.made(
            owner, name, content, told, asked, predefined=parameters.get("predefinedAcl", ""), key_sha256=key_sha256
        )
        kept, loose = writing.put(tx, self.changes, owner, new, asked, parameters)
        return owner, kept, loose

    async def keep(self, blob: str, work: Callable[[Tx], tuple[R, list[str]]]) -> R:
        """Run the transaction that names `blob`; the blob does not stay if it fails, nor do those that it lets go."""
        try:
            result, loose = await self._house.store.transact(work)
        except BaseException:
            self.drop([blob] if blob else [])
            raise
        self.drop(loose)
        return result

    def drop(self, blobs: Iterable[str]) -> None:
        for blob in blobs:
            self._house.blobs.delete(blob)
