"""Whatever message comes, valid protobuf of any content, is answered or refused: none is a bug of ours."""

from __future__ import annotations

import asyncio
import random
from inspect import isasyncgenfunction, iscoroutinefunction
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.descriptor import FieldDescriptor

from fogbank.gcp.protocol.descriptors import Method, method_name, methods
from fogbank.gcp.service import Call, Code, Later, RpcError
from fogbank.gcp.services.firestore import messages, targets
from fogbank.gcp.services.firestore.configs import INDEXES
from fogbank.gcp.services.firestore.names import Database
from fogbank.gcp.services.firestore.operations.commits import CommitOperations
from fogbank.gcp.services.firestore.operations.databases import DatabaseOperations
from fogbank.gcp.services.firestore.operations.documents import DocumentOperations
from fogbank.gcp.services.firestore.operations.fields import FieldOperations
from fogbank.gcp.services.firestore.operations.indexes import IndexOperations
from fogbank.gcp.services.firestore.operations.queries import QueryOperations
from fogbank.gcp.services.firestore.state import Documents
from fogbank.gcp.services.firestore.writes import write_all
from fogbank.kernel.clock import VirtualClock
from fogbank.kernel.store.sqlite import SqliteStore

DATABASE = "projects/p/databases/(default)"
ROOT = f"{DATABASE}/documents"
TEXTS = (
    "", "a", "c", "n", "m.x", "`", "`a`", "__name__", "__x__", "a..b", "\x00", "ä\U0001f600", "x" * 2000, "/", "..",
    "__id7__", "(default)", "projects/p", DATABASE, ROOT, f"{ROOT}/c", f"{ROOT}/c/a", f"{ROOT}/c/__id7__",
    f"{ROOT}/c/a/d/b", f"{ROOT}/c//a", "projects/o/databases/x/documents/c/a", "Ci1=", "n desc", "n desc, `a`", "n foo",
)  # fmt: skip
INTEGERS = (0, 1, 2, -1, 7, 1000, (1 << 31) - 1, -(1 << 31))
LARGE = (*INTEGERS, (1 << 63) - 1, -(1 << 63), 253_402_300_800, -62_135_596_801)
DOUBLES = (0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 1e308, 90.5)
BYTES = (b"", b"\x00", b"\xff" * 8, b"\x11" + bytes(16), b"x" * 2000)
_INTEGER_TYPES = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32)
LIKELY = {
    "database": DATABASE, "parent": ROOT, "name": f"{ROOT}/c/a", "document": f"{ROOT}/c/a", "collection_id": "c"
}  # fmt: skip
GROUP = f"{DATABASE}/collectionGroups/c"
LIKELY_OF = {
    IndexOperations: {"parent": GROUP, "name": f"{GROUP}/indexes/i"},
    DatabaseOperations: {"parent": "projects/p", "name": DATABASE, "database_id": "good-id"},
    FieldOperations: {"parent": GROUP, "name": f"{GROUP}/fields/n", "filter": "ttlConfig:*"},
}


class Garbage:
    def __init__(self, seed: int, likely: dict[str, str] = LIKELY) -> None:
        self.chance, self.likely = random.Random(seed), likely

    def fill(self, message: Any, depth: int = 0) -> Any:
        fields = list(message.DESCRIPTOR.fields)
        self.chance.shuffle(fields)
        for field in fields[: self.chance.choice([1, 2, 3, 9])]:
            if depth < 9:
                self._set(message, field, depth)
        for field in message.DESCRIPTOR.fields:
            if not depth and field.name in self.likely and field.message_type is None and self.chance.random() < 0.9:
                setattr(message, field.name, self.likely[field.name])
        return message

    def _set(self, message: Any, field: Any, depth: int) -> None:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._set_map(message, field, depth)
        elif field.is_repeated:
            there = getattr(message, field.name)
            for _ in range(self.chance.choice([0, 1, 1, 2, 3])):
                if field.message_type is not None:
                    self.fill(there.add(), depth + 1)
                else:
                    there.append(self._scalar(field))
        elif field.message_type is not None:
            there = getattr(message, field.name)
            there.SetInParent()
            self.fill(there, depth + 1)
        else:
            setattr(message, field.name, self._scalar(field))

    def _set_map(self, message: Any, field: Any, depth: int) -> None:
        there, value = getattr(message, field.name), field.message_type.fields_by_name["value"]
        for _ in range(self.chance.choice([0, 1, 2])):
            key = self.chance.choice(TEXTS)
            if value.message_type is not None:
                self.fill(there[key], depth + 1)
            else:
                there[key] = self._scalar(value)

    def _scalar(self, field: Any) -> Any:
        chance = self.chance
        if field.type == FieldDescriptor.TYPE_STRING:
            likely = self.likely.get(field.name)
            return likely if likely and chance.random() < 0.7 else chance.choice(TEXTS)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.choice(BYTES)
        if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
            return chance.choice(DOUBLES)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return chance.random() < 0.5
        if field.type == FieldDescriptor.TYPE_ENUM:
            return chance.choice([*(each.number for each in field.enum_type.values), 99])
        return chance.choice(INTEGERS if field.type in _INTEGER_TYPES else LARGE)


@pytest.fixture
def house() -> Any:
    runner, store = asyncio.Runner(), SqliteStore(":memory:")
    write = messages.Write(update=messages.Document(name=f"{ROOT}/c/a"))
    write.update.fields["n"].integer_value = 1
    runner.run(store.transact(_write, write))
    yield runner, store
    runner.run(store.close())
    runner.close()


def _write(tx: Any, write: Any) -> None:
    write_all(Documents.open_or_create(tx, Database("p", "(default)"), uid="u", now_us=1), [write], now_us=1)
    INDEXES.put(tx, "u", "c", "i", row=b"")


ADMIN = (DatabaseOperations, IndexOperations, FieldOperations)
SERVED = [
    (owner, method)
    for owner in (DocumentOperations, CommitOperations, QueryOperations, *ADMIN)
    for method in methods(owner.service).values()
    if hasattr(owner, method_name(method.name)) and not method.takes_stream and method.name != "DeleteDatabase"
]


@pytest.mark.parametrize(("owner", "method"), SERVED, ids=[method.name for _, method in SERVED])
def test_any_request_is_answered_or_refused(house: Any, owner: Any, method: Method) -> None:
    runner, store = house
    run = getattr(owner(SimpleNamespace(store=store, clock=VirtualClock())), method_name(method.name))
    garbage, answered = Garbage(7, LIKELY_OF.get(owner, LIKELY)), 0

    async def ask(request: Any, number: int) -> None:
        ids = iter(UUID(int=(number << 8) + each) for each in range(100))
        call = Call(1_800_000_000_000 + number, "", "", lambda: str(next(ids)))
        if isasyncgenfunction(run):
            _made([each async for each in run(call, request)])
        elif iscoroutinefunction(run):
            _made(await run(call, request))
        else:
            result = await store.transact(lambda tx: _made(run(tx, call, request)))
            if isinstance(result, Later):
                await result.finish()

    for number in range(1500):
        request = garbage.fill(method.request())
        try:
            runner.run(ask(method.request.FromString(request.SerializeToString()), number))
            answered += 1
        except RpcError as refused:
            assert refused.code is not Code.INTERNAL
    assert answered or method.name == "PartitionQuery"  # Whose one valid form nobody comes upon.


def _made(result: Any) -> Any:
    """A stream's answers, while their transaction is there; and what is answered can be sent."""
    made = result if hasattr(result, "DESCRIPTOR") or isinstance(result, Later) else list(result)
    for each in made if isinstance(made, list) else () if isinstance(made, Later) else [made]:
        each.SerializeToString()
    return made


def test_any_target_is_understood_or_refused() -> None:
    garbage, method = Garbage(8), methods("google.firestore.v1.Firestore")["Listen"]
    understood = 0
    for _ in range(3000):
        message = garbage.fill(method.request()).add_target
        try:
            targets.read(Database("p", "(default)"), message, 1)
            understood += 1
        except RpcError:
            continue
    assert understood
