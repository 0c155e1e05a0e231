"""The same seeded sequences of requests to the official emulator and to us: the answers are the same.

Where they are not, and are not meant to be, `LIKE_THE_SERVICE` says why. Needs the emulator of the Google Cloud CLI and
Java; elsewhere there is nothing to compare with.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.gcp.services.firestore.conftest import DATABASE, ROOT, asker, asker_of
from tests.support import emulators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.cloud import Cloud

MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
pytestmark = emulators.needs(emulators.FIRESTORE)

# The emulator speaks of its entities where the service speaks of documents.
LIKE_THE_SERVICE = (
    (re.compile(r"entity already exists: .*path=/(\S+)\}"), f"Document already exists: {ROOT}/\\1"),
    (re.compile(r'(?s)no entity to update.*type: "(\w+)".*name: "(\w+)".*'), f"No document to update: {ROOT}/\\1/\\2"),
    (re.compile(r"Document \((\S+)\) not found\."), r'Document "\1" not found.'),
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
VERSION = re.compile(r"stored version \(\d+\)")


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with emulators.running(emulators.FIRESTORE, MAIN) as address:
        yield address


class Sequence:
    """Requests that nobody would think of, from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.collection = f"c{seed}"

    def value(self, depth: int = 0) -> dict[str, Any]:
        chance = self.chance
        plain: list[Callable[[], dict[str, Any]]] = [
            lambda: {"nullValue": None},
            lambda: {"booleanValue": chance.random() < 0.5},
            lambda: {"integerValue": str(chance.choice([0, 1, 2, -1, 2**53, 2**53 + 1, 2**63 - 1]))},
            lambda: {"doubleValue": chance.choice([0.0, -0.0, 1.0, 1.5, "NaN", "Infinity", 2.0**53])},
            lambda: {"stringValue": chance.choice(["", "a", "b", "ä", "\U0001f600"])},
            lambda: {"timestampValue": f"2020-01-01T00:00:0{chance.randrange(3)}.123456789Z"},
            lambda: {"bytesValue": chance.choice(["", "AA==", "AQ=="])},
            lambda: {"geoPointValue": {"latitude": chance.choice([-1, 0, 91]), "longitude": 5}},
            lambda: {"referenceValue": f"{ROOT}/{self.collection}/{chance.choice('ab')}"},
        ]
        nested: list[Callable[[], dict[str, Any]]] = [
            lambda: {"arrayValue": {"values": [self.value(depth + 1) for _ in range(chance.randrange(3))]}},
            lambda: {
                "mapValue": {"fields": {n: self.value(depth + 1) for n in chance.sample("xyz", chance.randrange(3))}}
            },
        ]
        return chance.choice(plain + nested * 2 if depth < 2 else plain)()

    def path(self) -> str:
        return f"{ROOT}/{self.collection}/{self.chance.choice('abcdef')}"

    def field(self) -> str:
        return self.chance.choice(["p", "q", "r", "m.x", "m.y", "`odd name`"])

    def write(self) -> dict[str, Any]:
        chance = self.chance
        if chance.random() < 0.15:
            write: dict[str, Any] = {"delete": self.path()}
        else:
            fields = {
                name: self.value() for name in chance.sample(["p", "q", "r", "m", "odd name"], chance.randrange(4))
            }
            write = {"update": {"name": self.path(), "fields": fields}}
            if chance.random() < 0.4:
                write["updateMask"] = {"fieldPaths": [self.field() for _ in range(chance.randrange(3))]}
            if chance.random() < 0.3:
                write["updateTransforms"] = [self.transform()]
        if chance.random() < 0.2:
            write["currentDocument"] = {"exists": chance.random() < 0.5}
        return write

    def transform(self) -> dict[str, Any]:
        kind = self.chance.choice(["increment", "maximum", "minimum", "appendMissingElements", "removeAllFromArray"])
        operand: Any = self.value(depth=2)
        if kind in ("appendMissingElements", "removeAllFromArray"):
            operand = {"values": [operand, self.value(depth=2)]}
        return {"fieldPath": self.field(), kind: operand}

    def filter(self, depth: int = 0) -> dict[str, Any]:
        chance = self.chance
        if depth < 2 and chance.random() < 0.4:
            parts = [self.filter(depth + 1) for _ in range(chance.randrange(1, 4))]
            return {"compositeFilter": {"op": chance.choice(["AND", "OR"]), "filters": parts}}
        field = {"fieldPath": self.field()}
        if chance.random() < 0.15:
            op = chance.choice(["IS_NULL", "IS_NAN", "IS_NOT_NULL"])  # Its IS_NOT_NAN loses matches inside others.
            return {"unaryFilter": {"field": field, "op": op}}
        op = chance.choice(
            ["EQUAL", "EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "NOT_EQUAL",
             "IN", "NOT_IN", "ARRAY_CONTAINS", "ARRAY_CONTAINS_ANY"]
        )  # fmt: skip
        many = {"arrayValue": {"values": [self.value(depth=1) for _ in range(chance.randrange(4))]}}
        value = many if op in ("IN", "NOT_IN", "ARRAY_CONTAINS_ANY") else self.value(depth=1)
        return {"fieldFilter": {"field": field, "op": op, "value": value}}

    def query(self) -> dict[str, Any]:
        chance = self.chance
        query: dict[str, Any] = {"from": [{"collectionId": self.collection}]}
        if chance.random() < 0.7:
            query["where"] = self.filter()
        orders = chance.sample(["p", "q", "r", "m.x"], chance.randrange(3))  # It does not sort by name backwards.
        if orders:
            directions = ("ASCENDING", "DESCENDING")
            query["orderBy"] = [
                {"field": {"fieldPath": each}, "direction": chance.choice(directions)} for each in orders
            ]
            if chance.random() < 0.4:
                values = [self.value(depth=1) for _ in range(chance.randrange(1, len(orders) + 1))]
                query[chance.choice(["startAt", "endAt"])] = {"values": values, "before": chance.random() < 0.5}
        if chance.random() < 0.3:
            query |= {"limit": chance.randrange(4), "offset": chance.randrange(3)}
        if chance.random() < 0.2:
            query["select"] = {"fields": [{"fieldPath": self.field()}]}
        return query

    def requests(self, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
        for _ in range(count):
            kind = self.chance.random()
            if kind < 0.35:  # Each document once: of several writes of one it tells nothing that could be compared.
                writes = {_written(write): write for write in (self.write(), self.write())}
                writes = dict(list(writes.items())[: self.chance.choice([1, 2])])
                yield "Commit", {"database": DATABASE, "writes": list(writes.values())}
            elif kind < 0.45:
                yield "GetDocument", {"name": self.path()}
            elif kind < 0.9:
                yield "RunQuery", {"parent": ROOT, "structuredQuery": self.query()}
            else:
                kinds = [{"count": {}}, {"sum": {"field": {"fieldPath": "p"}}}, {"avg": {"field": {"fieldPath": "p"}}}]
                asked = {"structuredQuery": self.query(), "aggregations": [self.chance.choice(kinds)]}
                yield "RunAggregationQuery", {"parent": ROOT, "structuredAggregationQuery": asked}


def _refused(answer: Any) -> bool:
    return isinstance(answer, tuple) and answer[0] == "INVALID_ARGUMENT"


def _written(write: dict[str, Any]) -> str:
    return str(write["delete"] if "delete" in write else write["update"]["name"])


def _comparable(answer: Any) -> Any:
    """Without times and versions, which no two servers share."""
    if isinstance(answer, dict):
        # How many results were skipped so far is told by some of its ways to an answer, and not by others.
        return {key: _comparable(each) for key, each in answer.items() if key != "skippedResults"}
    if isinstance(answer, list):
        return [_comparable(each) for each in answer]
    if isinstance(answer, tuple):
        code, message = answer
        for pattern, replacement in LIKE_THE_SERVICE:
            message = pattern.sub(replacement, message)
        return code, VERSION.sub("stored version", message)
    return (
        TIME.sub("TIME", answer)
        if isinstance(answer, str) and TIME.fullmatch(answer) and not answer.startswith("2020-")  # One of the values.
        else answer
    )


@pytest.mark.parametrize("seed", range(6))
def test_random_requests_are_answered_alike(cloud: Cloud, emulator: str, seed: int) -> None:
    ours, theirs = asker(cloud), asker_of(emulator)
    for name, body in Sequence(seed).requests(150):
        expected, found = _comparable(theirs(name, body)), _comparable(ours(name, body))
        if _refused(expected) and _refused(found):  # Of several reasons each names another one first.
            continue
        assert found == expected, (name, body)
