"""Objects made of other objects: copied, rewritten, composed, moved, restored."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec.structs import replace

from fogbank.gcp.services.storage import acl, conditions, contents, encryption, shown, state, writing
from fogbank.gcp.services.storage.contents import Content
from fogbank.gcp.services.storage.errors import StorageError, invalid, required
from fogbank.gcp.services.storage.names import check_object
from fogbank.gcp.services.storage.nouns.noun import Noun
from fogbank.gcp.services.storage.state import REWRITES, Bucket, Object, Rewrite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.kernel.store import Tx

_SOURCES_MAX: Final = 32  # "Composite objects".
_STEP_BYTES: Final = 1 << 20  # "maxBytesRewrittenPerCall": "must be an integral multiple of 1 MiB".
_KEY_OF_SOURCE: Final = "x-goog-copy-source-"


class Copies(Noun):
    noun: ClassVar = "objects"

    async def copy(self, asked: Asked) -> dict[str, Any]:
        owner, made = await self.copied(asked)
        return shown.object_(owner, made, asked.base, full=asked.full)

    async def rewrite(self, asked: Asked) -> dict[str, Any]:
        """All at once, unless the caller wants it in steps: no byte has to be copied here."""
        source = await self.house.store.transact(self._source, asked)
        written, token = source.size, ""
        step = conditions.number(asked.parameters, "maxBytesRewrittenPerCall")
        if step is not None and (step <= 0 or step % _STEP_BYTES):
            raise invalid("Invalid argument. maxBytesRewrittenPerCall must be a multiple of 1048576.")
        if (step is not None and step < source.size) or "rewriteToken" in asked.parameters:
            written, token = await self.house.store.transact(_advance, source, step or source.size, asked)
        told = {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(written),
            "objectSize": str(source.size),
            "done": written == source.size,
        }
        if written < source.size:
            return told | {"rewriteToken": token}
        owner, made = await self.copied(asked)
        return told | {"resource": shown.object_(owner, made, asked.base, full=asked.full)}

    async def copied(self, asked: Asked) -> tuple[Bucket, Object]:
        """By `sourceBucket`, `sourceObject`, `destinationBucket`, `destinationObject`."""
        source = await self.house.store.transact(self._source, asked)
        encryption.check(source, asked.headers, _KEY_OF_SOURCE)
        content = await contents.shared(self.house.blobs, source, asked.parameters["sourceBucket"], asked.new_id())
        return await self.objects.keep(content.blob, partial(self._put, source=source, content=content, asked=asked))

    def _source(self, tx: Tx, asked: Asked) -> Object:
        owner = state.bucket(tx, asked.parameters["sourceBucket"])
        generation = conditions.number(asked.parameters, "sourceGeneration")
        found = state.object_(tx, owner, asked.parameters["sourceObject"], generation)
        conditions.check(found, asked.parameters, prefix="ifSource")
        return found

    def _put(self, tx: Tx, source: Object, content: Content, asked: Asked) -> tuple[tuple[Bucket, Object], list[str]]:
        owner = state.bucket(tx, asked.parameters["destinationBucket"])
        made = self.objects.made(
            owner, asked.parameters["destinationObject"], content, _told(source, asked.resource), asked,
            predefined=asked.parameters.get("destinationPredefinedAcl", ""),
            key_sha256=encryption.key_sha256(asked.headers),
        )  # fmt: skip
        new, loose = writing.put(
            tx, self.objects.changes, owner, _as_source(made, source), asked, _unprefixed(asked.parameters)
        )
        return (owner, new), loose

    async def compose(self, asked: Asked) -> dict[str, Any]:
        bucket, name = asked.parameters["destinationBucket"], asked.parameters["destinationObject"]
        check_object(name)
        sources = await self.house.store.transact(self._sources, bucket, asked)
        for source in sources:
            encryption.check(source, asked.headers)
        joined = await contents.joined(self.house.blobs, sources, bucket, asked.new_id())
        put = partial(self._put_composed, sources=sources, content=joined, asked=asked)
        owner, made = await self.objects.keep(joined.blob, put)
        return shown.object_(owner, made, asked.base, full=asked.full)

    def _sources(self, tx: Tx, bucket: str, asked: Asked) -> list[Object]:
        owner = state.bucket(tx, bucket)
        told = asked.resource.get("sourceObjects")
        if not isinstance(told, list) or not told:
            raise StorageError(400, "required", "You must provide at least one source component.")
        if len(told) > _SOURCES_MAX:
            raise invalid(
                f"The number of source components provided ({len(told)}) exceeds the maximum ({_SOURCES_MAX})"
            )
        return [_source_of(tx, owner, one) for one in told]

    def _put_composed(
        self, tx: Tx, sources: list[Object], content: Content, asked: Asked
    ) -> tuple[tuple[Bucket, Object], list[str]]:
        owner = state.bucket(tx, asked.parameters["destinationBucket"])
        destination = asked.resource.get("destination") or {}
        told = {"contentType": sources[0].told.get("contentType"), **destination}
        contents.check(content, destination)
        made = self.objects.made(
            owner, asked.parameters["destinationObject"], content, told, asked,
            predefined=asked.parameters.get("destinationPredefinedAcl", ""),
            key_sha256=encryption.key_sha256(asked.headers),
        )  # fmt: skip
        components = sum(source.components or 1 for source in sources)
        made = replace(made, md5=b"", components=components)  # "Composite objects … only have a CRC32C".
        new, loose = writing.put(tx, self.objects.changes, owner, made, asked, asked.parameters)
        if asked.resource.get("deleteSourceObjects") is True:
            loose += self._delete_sources(tx, owner, [one for one in sources if one.name != new.name], asked)
        return (owner, new), loose

    def _delete_sources(self, tx: Tx, owner: Bucket, sources: list[Object], asked: Asked) -> list[str]:
        loose: list[str] = []
        for source in {one.name: one for one in sources}.values():
            found = state.find(tx, owner, source.name, source.generation, lock=True)
            if found is not None:
                archives = owner.is_versioned and not found.gone_ms
                loose += writing.remove(tx, self.objects.changes, owner, found, asked, archives=archives)
        return loose

    async def move(self, asked: Asked) -> dict[str, Any]:
        """Atomically: there is never both, nor neither."""
        bucket = asked.parameters["bucket"]
        source = await self.house.store.transact(self._moved, asked)
        content = await contents.shared(self.house.blobs, source, bucket, asked.new_id())
        put = partial(self._move, content=content, asked=asked)
        owner, made = await self.objects.keep(content.blob, put)
        return shown.object_(owner, made, asked.base, full=asked.full)

    def _moved(self, tx: Tx, asked: Asked) -> Object:
        owner = state.bucket(tx, asked.parameters["bucket"])
        source = state.object_(tx, owner, asked.parameters["sourceObject"], lock=True)
        conditions.check(source, asked.parameters, prefix="ifSource")
        check_object(asked.parameters["destinationObject"])
        if asked.parameters["destinationObject"] == source.name:
            raise invalid("The source and the destination of a move must be different.")
        return source

    def _move(self, tx: Tx, content: Content, asked: Asked) -> tuple[tuple[Bucket, Object], list[str]]:
        owner, source = state.bucket(tx, asked.parameters["bucket"]), self._moved(tx, asked)
        if (source.size, source.crc32c) != (content.size, content.crc32c):
            raise StorageError(503, "backendError", "The source was changed while it was moved.")
        made = replace(
            source, name=asked.parameters["destinationObject"], generation=state.generation_of(asked.new_id()),
            metageneration=1, created_ms=asked.now_ms, updated_ms=asked.now_ms, blob=content.blob,
        )  # fmt: skip
        new, loose = writing.put(tx, self.objects.changes, owner, made, asked, _unprefixed(asked.parameters))
        archives = owner.is_versioned
        loose += writing.remove(tx, self.objects.changes, owner, source, asked, archives=archives)
        return (owner, new), loose

    async def restore(self, asked: Asked) -> dict[str, Any]:
        """ "a new copy of that object is created": the soft-deleted one stays until its time is over."""
        source = await self.house.store.transact(self._soft_deleted, asked)
        content = await contents.shared(self.house.blobs, source, asked.parameters["bucket"], asked.new_id())
        put = partial(self._restore, source=source, content=content, asked=asked)
        owner, made = await self.objects.keep(content.blob, put)
        return shown.object_(owner, made, asked.base, full=asked.full)

    def _soft_deleted(self, tx: Tx, asked: Asked) -> Object:
        generation = conditions.number(asked.parameters, "generation")
        if generation is None:
            raise required("generation")
        owner = state.bucket(tx, asked.parameters["bucket"])
        return state.soft_deleted(tx, owner, asked.parameters["object"], generation, asked.now_ms)

    def _restore(
        self, tx: Tx, source: Object, content: Content, asked: Asked
    ) -> tuple[tuple[Bucket, Object], list[str]]:
        owner = state.bucket(tx, asked.parameters["bucket"])
        copies = asked.parameters.get("copySourceAcl") == "true"
        made = replace(
            source, generation=state.generation_of(asked.new_id()), metageneration=1, created_ms=asked.now_ms,
            updated_ms=asked.now_ms, class_ms=asked.now_ms, blob=content.blob, gone_ms=0, soft_ms=0, hard_ms=0,
            acl=source.acl if copies else acl.of_new_object(owner, {}),
        )  # fmt: skip
        parameters = {name: value for name, value in asked.parameters.items() if name != "generation"}
        new, loose = writing.put(tx, self.objects.changes, owner, made, asked, parameters)
        return (owner, new), loose


def _advance(tx: Tx, source: Object, step: int, asked: Asked) -> tuple[int, str]:
    """How far the rewrite is then, and the token by which it goes on."""
    parameters = asked.parameters
    which = [f"{parameters['sourceBucket']}/{source.name}#{source.generation}"]
    target = f"{parameters['destinationBucket']}/{parameters['destinationObject']}"
    token = parameters.get("rewriteToken", "")
    begun = REWRITES.get(tx, token, lock=True) if token else None
    if token and (begun is None or [begun.source, begun.target] != [*which, target]):
        raise invalid("Invalid argument. The rewrite token does not belong to this rewrite.")
    written = min((begun.written if begun else 0) + step, source.size)
    token = token or asked.new_id().replace("-", "")
    if written < source.size:
        REWRITES.put(tx, token, row=Rewrite(which[0], target, written, asked.now_ms))
    else:
        REWRITES.delete(tx, token)
    return written, token


def _source_of(tx: Tx, owner: Bucket, told: Any) -> Object:
    name = told.get("name") if isinstance(told, dict) else None
    if not isinstance(name, str):
        raise StorageError(400, "required", "Required", place=("parameter", "sourceObjects.name"))
    conditioned = told.get("objectPreconditions") or {}
    numbers = {"generation": told.get("generation"), **conditioned}
    parameters = {key: str(value) for key, value in numbers.items() if value is not None}
    found = state.object_(tx, owner, name, conditions.number(parameters, "generation"))
    conditions.check(found, parameters)
    return found


def _told(source: Object, resource: Mapping[str, Any]) -> dict[str, Any]:
    """ "If you supply a request body, the metadata that you supply replaces the source's", but for its type; holds and
    retention are never copied."""
    given = {name: value for name, value in resource.items() if name not in ("name", "bucket")}
    if set(given) - {"storageClass", "acl"}:
        return {"contentType": source.told.get("contentType"), **given}
    own = {
        name: value
        for name, value in source.told.items()
        if name not in ("eventBasedHold", "temporaryHold", "retention")
    }
    return {**own, **given}


def _as_source(made: Object, source: Object) -> Object:
    """A copy of a composite object is one."""
    return replace(made, md5=source.md5, components=source.components)


def _unprefixed(parameters: Mapping[str, str]) -> dict[str, str]:
    """The conditions on the destination: those on the source begin as they do."""
    return {name: value for name, value in parameters.items() if not name.startswith("ifSource")}
