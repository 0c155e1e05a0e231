"""Listeners: the published client's `on_snapshot`, and the stream as it is on the wire."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.cloud.firestore_v1.base_query import FieldFilter
from google.protobuf import json_format

from fogbank.gcp.protocol.descriptors import methods
from tests.gcp.services.firestore.conftest import DATABASE, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.cloud import Cloud

WAIT_S = 20


class Listener:
    """A Listen stream whose answers are taken one by one."""

    def __init__(self, cloud: Cloud) -> None:
        method = methods("google.firestore.v1.Firestore")["Listen"]
        self._kind = method.request
        self._asked: queue.Queue[Any] = queue.Queue()
        self._told: queue.Queue[Any] = queue.Queue()
        self._channel = grpc.insecure_channel(cloud.url.removeprefix("http://"))
        self._call = self._channel.stream_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )(iter(self._asked.get, None))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for answer in self._call:
                self._told.put(json_format.MessageToDict(answer))
        except grpc.RpcError as error:
            self._told.put((error.code().name, error.details()))
        self._told.put(None)

    def send(self, **change: Any) -> None:
        self._asked.put(json_format.ParseDict({"database": DATABASE, **change}, self._kind()))

    def add(self, target_id: int, *, where: Any = None, limit: int | None = None, **target: Any) -> None:
        query: dict[str, Any] = {"from": [{"collectionId": "c"}]}
        if where is not None:
            query["where"] = where
        if limit is not None:
            query |= {"limit": limit, "orderBy": [{"field": {"fieldPath": "n"}}]}
        if "documents" not in target:
            target["query"] = {"parent": ROOT, "structuredQuery": query}
        self.send(addTarget={"targetId": target_id, **target})

    def next(self) -> Any:
        return self._told.get(timeout=WAIT_S)

    def until_moment(self) -> list[Any]:
        """What comes up to the moment that all targets share; in short."""
        found: list[Any] = []
        while True:
            answer = self.next()
            assert isinstance(answer, dict), answer
            change = answer.get("targetChange")
            if change is not None and "targetChangeType" not in change:
                self.token = change["resumeToken"]
                return found
            found.append(_short(answer))

    def close(self) -> None:
        self._asked.put(None)
        self._call.cancel()
        self._channel.close()


def _short(answer: dict[str, Any]) -> Any:
    [(kind, told)] = answer.items()
    if kind == "targetChange":
        return told["targetChangeType"]
    if kind == "filter":
        return "filter", told["targetId"], told["count"]
    name = (told.get("document") or {}) if kind == "documentChange" else told
    name = name["name"] if kind == "documentChange" else name["document"]
    where = told.get("targetIds", []), told.get("removedTargetIds", [])
    return kind.removeprefix("document"), name.rsplit("/", 1)[1], *where


@pytest.fixture
def listener(cloud: Cloud) -> Iterator[Callable[[], Listener]]:
    made: list[Listener] = []

    def make() -> Listener:
        made.append(Listener(cloud))
        return made[-1]

    yield make
    for each in made:
        each.close()


def below(number: int) -> dict[str, Any]:
    value = {"integerValue": str(number)}
    return {"fieldFilter": {"field": {"fieldPath": "n"}, "op": "LESS_THAN", "value": value}}


def test_the_client_sees_what_is_added_changed_and_removed(db: Any) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    db.document("c/a").set({"n": 1})

    def told(documents: Any, changes: Any, _: Any) -> None:
        seen.put((sorted(each.id for each in documents), [(each.type.name, each.document.id) for each in changes]))

    watch = db.collection("c").where(filter=FieldFilter("n", "<", 5)).on_snapshot(told)
    try:
        assert seen.get(timeout=WAIT_S) == (["a"], [("ADDED", "a")])
        for work, expected in (
            (lambda: db.document("c/b").set({"n": 0}), (["a", "b"], [("ADDED", "b")])),
            (lambda: db.document("c/a").update({"n": 2}), (["a", "b"], [("MODIFIED", "a")])),
            (lambda: db.document("c/a").update({"n": 9}), (["b"], [("REMOVED", "a")])),
            (lambda: db.document("c/b").delete(), ([], [("REMOVED", "b")])),
        ):
            work()
            assert seen.get(timeout=WAIT_S) == expected
    finally:
        watch.unsubscribe()


def test_the_client_sees_a_document_come_and_go(db: Any) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    watch = db.document("c/a").on_snapshot(lambda documents, *_: seen.put([each.to_dict() for each in documents]))
    try:
        assert seen.get(timeout=WAIT_S) in ([], [None])
        db.document("c/a").set({"n": 1})
        assert seen.get(timeout=WAIT_S) == [{"n": 1}]
        db.document("c/a").delete()
        assert seen.get(timeout=WAIT_S) in ([], [None])
    finally:
        watch.unsubscribe()


def test_a_target_is_told_whole_and_then_each_change_of_it(db: Any, listener: Any) -> None:
    for name, number in {"a": 1, "b": 2, "z": 9}.items():
        db.document(f"c/{name}").set({"n": number})
    stream = listener()
    stream.add(4, where=below(5))
    assert stream.until_moment() == ["ADD", ("Change", "a", [4], []), ("Change", "b", [4], []), "CURRENT"]
    db.document("c/a").set({"n": 7})  # It is there, and out of sight.
    assert stream.until_moment() == [("Change", "a", [], [4])]
    db.document("c/b").delete()
    assert stream.until_moment() == [("Delete", "b", [], [4])]
    db.document("c/z").set({"n": 8})  # It never was in sight.
    db.document("c/y").set({"n": 0})
    assert stream.until_moment() == [("Change", "y", [4], [])]


def test_the_changes_of_a_commit_are_told_together(db: Any, listener: Any) -> None:
    stream = listener()
    stream.add(1)
    assert stream.until_moment() == ["ADD", "CURRENT"]
    batch = db.batch()
    for name in "ab":
        batch.set(db.document(f"c/{name}"), {"n": 1})
    batch.commit()
    assert stream.until_moment() == [("Change", "a", [1], []), ("Change", "b", [1], [])]


def test_what_comes_into_a_limit_pushes_another_out(db: Any, listener: Any) -> None:
    for name, number in {"a": 1, "b": 2, "c": 3}.items():
        db.document(f"c/{name}").set({"n": number})
    stream = listener()
    stream.add(1, limit=2)
    assert stream.until_moment() == ["ADD", ("Change", "a", [1], []), ("Change", "b", [1], []), "CURRENT"]
    db.document("c/first").set({"n": 0})
    assert stream.until_moment() == [("Remove", "b", [], [1]), ("Change", "first", [1], [])]
    db.document("c/first").delete()
    assert stream.until_moment() == [("Delete", "first", [], [1]), ("Change", "b", [1], [])]


def test_one_who_goes_on_is_told_only_what_has_changed_since_even_by_another_server(
    cloud: Cloud, db: Any, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in {"a": 1, "b": 2, "c": 3}.items():
        db.document(f"c/{name}").set({"n": number})
    stream = listener()
    stream.add(1, where=below(5))
    stream.until_moment()
    token = stream.token
    stream.close()
    db.document("c/a").delete()
    db.document("c/b").set({"n": 4})
    cloud.restart()
    stream = listener()
    stream.add(1, where=below(5), resumeToken=token, expectedCount=3)
    assert stream.until_moment() == ["ADD", ("Delete", "a", [], [1]), ("Change", "b", [1], []), "CURRENT"]


def test_one_who_believes_to_have_other_documents_is_told_how_many_there_are(db: Any, listener: Any) -> None:
    db.document("c/a").set({"n": 1})
    stream = listener()
    stream.add(1)
    stream.until_moment()
    again = listener()
    again.add(2, resumeToken=stream.token, expectedCount=5)
    assert again.until_moment() == ["ADD", ("filter", 2, 1), "CURRENT"]


def test_one_who_comes_too_late_begins_anew(cloud: Cloud, db: Any, listener: Any) -> None:
    db.document("c/a").set({"n": 1})
    stream = listener()
    stream.add(1)
    stream.until_moment()
    token = stream.token
    stream.close()
    db.document("c/a").set({"n": 2})
    cloud.advance(seconds=2 * 3600)
    stream = listener()
    stream.add(1, resumeToken=token)
    assert stream.until_moment() == ["ADD", "RESET", ("Change", "a", [1], []), "CURRENT"]


def test_a_listener_whose_targets_stay_as_they_are_is_told_a_new_token_now_and_then(
    cloud: Cloud, db: Any, listener: Any
) -> None:
    stream = listener()
    stream.add(1)
    stream.until_moment()
    token = stream.token
    db.document("other/a").set({})
    assert stream.until_moment() == []
    assert stream.token > token
    db.document("other/a").set({"n": 1})  # Too soon.
    db.document("c/a").set({})
    assert stream.until_moment() == [("Change", "a", [1], [])]
    cloud.advance(seconds=31)
    db.document("other/a").set({"n": 2})
    assert stream.until_moment() == []


def test_targets_are_removed_once_they_are_asked_to_or_were_asked_once(db: Any, listener: Any) -> None:
    db.document("c/a").set({"n": 1})
    stream = listener()
    stream.add(1)
    stream.until_moment()
    stream.send(removeTarget=1)
    assert _short(stream.next()) == "REMOVE"
    stream.add(2, documents={"documents": [f"{ROOT}/c/a", f"{ROOT}/c/none"]}, once=True)
    assert stream.until_moment() == ["ADD", ("Change", "a", [2], []), ("Delete", "none", [], [2]), "CURRENT"]
    assert _short(stream.next()) == "REMOVE"
    db.document("c/a").set({"n": 2})
    stream.add(3)
    assert stream.until_moment() == ["ADD", ("Change", "a", [3], []), "CURRENT"]


def test_a_query_that_is_refused_is_removed_with_the_reason_and_the_others_stay(db: Any, listener: Any) -> None:
    stream = listener()
    stream.add(1)
    stream.until_moment()
    stream.add(2, where={"compositeFilter": {"op": "OR"}})
    assert _short(stream.next()) == "ADD"
    cause = stream.next()["targetChange"]["cause"]
    assert cause == {"code": 3, "message": "Composite filter must have at least one sub-filter."}
    db.document("c/a").set({})
    assert stream.until_moment() == [("Change", "a", [1], [])]


def test_a_stream_has_a_limit_of_targets(listener: Any) -> None:
    stream = listener()
    for number in range(1001):
        stream.add(number + 1, documents={"documents": []})
    *_, last = iter(stream.next, None)
    assert last == ("RESOURCE_EXHAUSTED", "A stream listens to 1000 targets at most.")


def test_a_document_that_two_targets_show_is_told_once(db: Any, listener: Any) -> None:
    stream = listener()
    stream.add(1)
    stream.until_moment()
    stream.add(2, documents={"documents": [f"{ROOT}/c/a"]})
    stream.until_moment()
    db.document("c/a").set({"n": 1})
    assert stream.until_moment() == [("Change", "a", [1, 2], [])]


@pytest.mark.parametrize("change", [{}, {"database": "nowhere"}])
def test_a_request_that_says_nothing_ends_the_stream(listener: Any, change: dict[str, Any]) -> None:
    stream = listener()
    stream.send(**change)
    assert stream.next()[0] == "INVALID_ARGUMENT"


def test_a_target_without_documents_and_without_a_query_is_refused(listener: Any) -> None:
    stream = listener()
    stream.send(addTarget={"targetId": 1})
    assert _short(stream.next()) == "ADD"
    assert stream.next()["targetChange"]["cause"]["code"] == 3
