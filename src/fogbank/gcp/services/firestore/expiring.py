"""The loop that deletes documents whose time to live is over, and enters those that were there before their policy."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import state, ttl
from fogbank.gcp.services.firestore.changes import Change
from fogbank.gcp.services.firestore.names import Database
from fogbank.gcp.services.firestore.state import Documents
from fogbank.gcp.services.firestore.writes import Commit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.gcp.service import House
    from fogbank.gcp.services.firestore.names import Path
    from fogbank.kernel.store import Tx

_AT_ONCE: Final = 200

Place = tuple[Database, str, str]  # The database, its incarnation, and the collection's id.


async def keep_expiring(house: House) -> None:
    with house.signals.watch(ttl.DUE) as watch:
        while True:
            for place, policy in await house.store.transact(_policies):
                if not policy.entered:
                    await enter_all(house, place, policy.id)
                while await house.store.transact(_expire_some, place, house.clock.now_ms()):
                    pass
            while await house.store.transact(ttl.clear_some, _AT_ONCE):
                pass
            await watch.wait(await house.store.transact(ttl.next_due_ms))


async def enter_all(house: House, place: Place, policy_id: str) -> None:
    """Bit by bit; what is written meanwhile enters by itself."""
    while not await house.store.transact(_enter_some, place, policy_id):
        pass


def _policies(tx: Tx) -> list[tuple[Place, ttl.Policy]]:
    databases = {row.uid: Database(str(key[2]), str(key[3])) for key, row in state.DATABASES.scan(tx)}
    return [
        ((databases[str(key[2])], str(key[2]), str(key[3])), policy)
        for key, policy in ttl.POLICIES.scan(tx)
        if str(key[2]) in databases
    ]


def _enter_some(tx: Tx, place: Place, policy_id: str) -> bool:
    database, uid, collection_id = place
    known = ttl.POLICIES.get(tx, uid, collection_id)
    after = tuple(known.entered_to.split("/")) if known is not None and known.entered_to else ()
    documents = Documents(tx, database, uid)
    return ttl.enter(tx, uid, collection_id, islice(_there(documents, collection_id, after), _AT_ONCE), policy_id)


def _there(documents: Documents, collection_id: str, after: Path) -> Iterator[tuple[Path, Any]]:
    for path in documents.group_paths((), collection_id, after=after):
        yield path, documents.get(path)


def _expire_some(tx: Tx, place: Place, now_ms: int) -> bool:
    """Whether there may be more."""
    database, uid, collection_id = place
    policy = ttl.POLICIES.get(tx, uid, collection_id)
    paths = [] if policy is None else ttl.due(tx, policy, now_ms=now_ms, limit=_AT_ONCE)
    if paths:
        commit = Commit(Documents(tx, database, uid), now_us=now_ms * 1000)
        for path in paths:
            commit.apply(Change(path, database.document(path), deletes=True))
        commit.keep()
    return len(paths) == _AT_ONCE
