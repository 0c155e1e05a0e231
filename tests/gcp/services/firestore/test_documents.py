"""Documents as the published client writes and reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.cloud import firestore
from google.cloud.firestore_v1.vector import Vector

from tests.gcp.services.firestore.conftest import DATABASE, ROOT, client

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


def test_a_document_comes_back_as_it_was_written_value_by_value(db: Any) -> None:
    document = {
        "null": None, "yes": True, "whole": 2**62 + 1, "double": 0.5, "text": "größer\x00", "bytes": b"\x00\xff",
        "at": datetime(2024, 2, 29, 1, 2, 3, 456789, UTC), "where": firestore.GeoPoint(-90.0, 180.0),
        "who": db.document("people/ada"), "list": [1, {"deep": [2.0]}], "map": {"a.b": {"`": 1}}, "v": Vector([1.0]),
        "empty": {}, "nothing": [],
    }  # fmt: skip
    ref = db.document("things/one")
    ref.set(document)
    assert ref.get().to_dict() == document


def test_a_commit_has_one_time_later_than_all_before_it(db: Any) -> None:
    first, second = db.document("c/a").set({"n": 1}), db.document("c/b").set({"n": 1})
    assert second.update_time > first.update_time
    batch = db.batch()
    batch.set(db.document("c/a"), {"n": 2})
    batch.set(db.document("c/c"), {"n": 2})
    assert len({result.update_time for result in batch.commit()}) == 1
    read = db.document("c/a").get()
    assert (read.create_time, read.update_time > second.update_time) == (first.update_time, True)


def test_a_write_that_changes_nothing_leaves_the_update_time(db: Any) -> None:
    ref = db.document("c/a")
    first = ref.set({"n": 1, "m": {"x": float("nan")}})
    assert ref.set({"m": {"x": float("nan")}, "n": 1}).update_time == first.update_time
    assert ref.set({"n": 1.0}).update_time > first.update_time  # Equal in a query, but another value.


def test_create_refuses_what_is_there_and_update_what_is_not(db: Any) -> None:
    db.document("c/a").create({"n": 1})
    with pytest.raises(exceptions.AlreadyExists, match=f"Document already exists: {_escaped('c/a')}"):
        db.document("c/a").create({"n": 2})
    with pytest.raises(exceptions.NotFound, match=f"No document to update: {_escaped('c/b')}"):
        db.document("c/b").update({"n": 2})
    assert db.document("c/a").get().to_dict() == {"n": 1}
    assert not db.document("c/b").get().exists


def test_a_precondition_on_the_update_time_holds_only_for_that_version(db: Any) -> None:
    ref = db.document("c/a")
    first = ref.set({"n": 1}).update_time
    ref.update({"n": 2})
    for change in (lambda option: ref.update({"n": 3}, option=option), lambda option: ref.delete(option=option)):
        with pytest.raises(exceptions.FailedPrecondition, match="does not match the required base version"):
            change(db.write_option(last_update_time=first))
    ref.delete(option=db.write_option(last_update_time=ref.get().update_time))
    assert not ref.get().exists


def test_a_precondition_on_a_time_to_come_is_invalid(db: Any) -> None:
    written = db.document("c/a").set({}).update_time
    later = DatetimeWithNanoseconds.from_rfc3339("2100-01-01T00:00:00Z").timestamp_pb()
    with pytest.raises(exceptions.InvalidArgument, match="greater than the stored version"):
        db.document("c/a").delete(option=db.write_option(last_update_time=later))
    assert db.document("c/a").get().update_time == written


def test_lists_show_what_there_was_at_a_time(db: Any) -> None:
    db.document("c/a").set({})
    db.document("c/ghost/below/x").set({})
    before = db.document("gone/a").set({}).update_time
    db.document("c/new").set({})
    db.document("c/other/below/x").set({})
    db.document("c/ghost/more/x").set({})
    db.document("gone/a").delete()
    at = {"read_time": before}
    assert [ref.id for ref in db.collection("c").list_documents(**at)] == ["a", "ghost"]
    assert [each.id for each in db.collections(**at)] == ["c", "gone"]
    assert [each.id for each in db.collections()] == ["c"]
    assert [each.id for each in db.document("c/ghost").collections(**at)] == ["below"]


def test_an_update_mask_merges_into_maps_and_takes_away_what_it_names(db: Any) -> None:
    ref = db.document("c/a")
    ref.set({"m": {"x": 1, "y": 2}, "gone": 1, "stays": 1, "a.b": 1})
    ref.update({"m.x": 5, "m.z.deep": 6, "gone": firestore.DELETE_FIELD, "`a.b`": 2})
    assert ref.get().to_dict() == {"m": {"x": 5, "y": 2, "z": {"deep": 6}}, "stays": 1, "a.b": 2}
    ref.set({"m": {"y": 9}, "new": 1}, merge=True)
    assert ref.get().to_dict()["m"] == {"x": 5, "y": 9, "z": {"deep": 6}}
    ref.set({"m": {"y": 0}, "not": "merged"}, merge=["m.y"])
    assert "not" not in ref.get().to_dict()


def test_transforms_change_what_is_there_at_the_moment_of_the_commit(db: Any) -> None:
    ref = db.document("c/a")
    ref.set({"n": 1, "list": [1, "a"], "most": 5, "least": 5, "text": "t"})
    ref.update(
        {
            "n": firestore.Increment(2), "new": firestore.Increment(0.5), "text": firestore.Increment(1),
            "list": firestore.ArrayUnion([1.0, 2, 2]), "most": firestore.Maximum(7), "least": firestore.Minimum(5.0),
            "at": firestore.SERVER_TIMESTAMP,
        }
    )  # fmt: skip
    found = ref.get().to_dict()
    at = found.pop("at")
    assert found == {"n": 3, "new": 0.5, "text": 1, "list": [1, "a", 2], "most": 7, "least": 5}
    assert isinstance(found["least"], int)  # "If equivalent, the field does not change".
    assert at.microsecond % 1000 == 0
    ref.update({"list": firestore.ArrayRemove([1.0, 2])})
    assert ref.get().to_dict()["list"] == ["a"]


def test_a_sum_of_whole_numbers_stops_at_the_ends_of_its_range(db: Any) -> None:
    ref = db.document("c/a")
    ref.set({"most": 2**63 - 2, "least": -(2**63)})
    ref.update({"most": firestore.Increment(5), "least": firestore.Increment(-1)})
    assert ref.get().to_dict() == {"most": 2**63 - 1, "least": -(2**63)}


def test_the_writes_of_a_commit_see_one_another_and_are_kept_all_or_none(db: Any) -> None:
    batch = db.batch()
    batch.create(db.document("c/a"), {"n": 1})
    batch.update(db.document("c/a"), {"n": firestore.Increment(1)})
    batch.delete(db.document("c/b"))
    batch.commit()
    assert db.document("c/a").get().to_dict() == {"n": 2}
    batch = db.batch()
    batch.set(db.document("c/a"), {"n": 9})
    batch.update(db.document("c/missing"), {"n": 9})
    with pytest.raises(exceptions.NotFound):
        batch.commit()
    assert db.document("c/a").get().to_dict() == {"n": 2}


def test_the_writes_of_a_batch_write_succeed_or_fail_each_for_itself(db: Any, rpc: Any) -> None:
    good = {"update": {"name": f"{ROOT}/c/a", "fields": {"n": {"integerValue": "1"}}}}
    bad = {"update": {"name": f"{ROOT}/c/b"}, "currentDocument": {"exists": True}}
    answer = rpc("BatchWrite", {"database": DATABASE, "writes": [good, bad]})
    assert [status.get("code", 0) for status in answer["status"]] == [0, 5]
    assert db.document("c/a").get().exists
    twice = rpc("BatchWrite", {"database": DATABASE, "writes": [good, good]})
    assert twice == (
        "INVALID_ARGUMENT",
        "the same document cannot be written more than once in a single request",
    )


def test_a_bulk_writer_writes_hundreds(db: Any) -> None:
    writer = db.bulk_writer()
    for number in range(120):
        writer.create(db.document(f"many/{number:03}"), {"n": number})
    writer.close()
    assert db.collection("many").count().get()[0][0].value == 120


def test_many_documents_are_got_at_once_with_those_that_are_missing(db: Any) -> None:
    db.document("c/a").set({"n": 1, "m": 2})
    refs = [db.document("c/a"), db.document("c/b"), db.document("c/a")]
    found = {each.reference.path: each.to_dict() for each in db.get_all(refs, field_paths=["n"])}
    assert found == {"c/a": {"n": 1}, "c/b": None}


def test_a_collection_is_listed_page_by_page_with_documents_that_only_have_others_below_them(db: Any) -> None:
    for number in range(5):
        db.document(f"c/{number}").set({"n": number})
    db.document("c/ghost/below/x").set({})
    db.document("c/ghost-2/below/x/deeper/y").set({})
    assert [ref.id for ref in db.collection("c").list_documents(page_size=2)] == [*"01234", "ghost", "ghost-2"]
    assert [ref.id for ref in db.collections()] == ["c"]
    assert [ref.id for ref in db.document("c/ghost").collections()] == ["below"]


def test_a_page_may_be_ordered(rpc: Any, db: Any) -> None:
    for number in range(4):
        db.document(f"c/{number}").set({"n": number % 2})
    asked = {"parent": ROOT, "collectionId": "c", "orderBy": "n desc", "pageSize": 3, "mask": {"fieldPaths": ["none"]}}
    first = rpc("ListDocuments", asked)
    second = rpc("ListDocuments", {**asked, "pageToken": first["nextPageToken"]})
    assert [each["name"][-1] for each in first["documents"] + second["documents"]] == ["3", "1", "2", "0"]
    assert "nextPageToken" not in second


def test_collections_of_one_beginning_are_each_found(db: Any) -> None:
    for path in ("a/x", "a-b/x", "a/x/y/z", "a!/x/y/z", "b/x"):
        db.document(path).set({})
    assert [each.id for each in db.collections()] == ["a", "a!", "a-b", "b"]


def test_databases_do_not_share_documents(cloud: Cloud, db: Any) -> None:
    other = client(cloud, "other")
    db.document("c/a").set({"n": 1})
    other.document("c/a").set({"n": 2})
    assert (db.document("c/a").get().get("n"), other.document("c/a").get().get("n")) == (1, 2)


def test_all_of_it_outlives_the_server(cloud: Cloud, db: Any) -> None:
    before = db.document("c/a").set({"n": 1}).update_time
    cloud.restart()
    again = client(cloud)
    assert again.document("c/a").get().update_time == before
    assert again.document("c/a").set({"n": 2}).update_time > before


def test_documents_below_a_document_are_deleted_recursively(db: Any) -> None:
    for path in ("c/a", "c/a/d/b", "c/a/d/b/e/f", "c/z", "d/a"):
        db.document(path).set({"n": 1})
    db.recursive_delete(db.document("c/a"))
    assert [each.reference.path for each in db.collection("c").stream()] == ["c/z"]
    assert [each.reference.path for each in db.collection_group("d").stream()] == ["d/a"]


def _escaped(path: str) -> str:
    return f"{ROOT}/{path}".replace("(", r"\(").replace(")", r"\)")
