"""Queries as the published client asks them."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import And, FieldFilter, Or
from google.cloud.firestore_v1.base_vector_query import DistanceMeasure
from google.cloud.firestore_v1.vector import Vector

from tests.gcp.services.firestore.conftest import ROOT


@pytest.fixture
def towns(db: Any) -> Any:
    for name, document in {
        "ams": {"land": "nl", "people": 9, "tags": ["sea", "old"]},
        "ber": {"land": "de", "people": 37, "tags": ["big"]},
        "ham": {"land": "de", "people": 19, "tags": ["sea", "big"]},
        "par": {"land": "fr", "people": 21, "tags": ["big", "old"]},
        "rom": {"land": "it", "people": None},
    }.items():
        db.document(f"towns/{name}").set(document)
    return db.collection("towns")


def ids(query: Any) -> list[str]:
    return [each.id for each in query.stream()]


def test_filters_may_be_nested_and_on_several_fields(towns: Any) -> None:
    big_or_german = Or([FieldFilter("people", ">", 20), FieldFilter("land", "==", "de")])
    assert ids(towns.where(filter=big_or_german)) == ["ham", "par", "ber"]
    both = And([FieldFilter("people", ">=", 19), FieldFilter("land", ">", "de")])
    assert ids(towns.where(filter=both)) == ["par"]
    assert ids(towns.where(filter=FieldFilter("land", "in", ["de", "it"]))) == ["ber", "ham", "rom"]
    assert ids(towns.where(filter=FieldFilter("land", "not-in", ["de", "it"]))) == ["par", "ams"]
    assert ids(towns.where(filter=FieldFilter("tags", "array_contains", "sea"))) == ["ams", "ham"]
    assert ids(towns.where(filter=FieldFilter("tags", "array_contains_any", ["sea", "old"]))) == ["ams", "ham", "par"]
    assert ids(towns.where(filter=FieldFilter("people", "==", None))) == ["rom"]
    assert ids(towns.where(filter=FieldFilter("people", "!=", 19))) == ["ams", "par", "ber"]
    assert ids(towns.where(filter=FieldFilter("__name__", ">=", towns.document("ham"))).limit(2)) == ["ham", "par"]


def test_answers_begin_behind_a_document_and_end_where_they_are_told(towns: Any) -> None:
    by_people = towns.order_by("people", direction="DESCENDING")
    assert ids(by_people.start_after(towns.document("par").get()).limit(2)) == ["ham", "ams"]
    assert ids(by_people.start_at({"people": 21}).end_before({"people": 9})) == ["par", "ham"]
    assert [each.id for each in towns.order_by("people").limit_to_last(2).get()] == ["par", "ber"]
    assert ids(towns.order_by("land").order_by("people", direction="DESCENDING").offset(1).limit(2)) == ["ham", "par"]


def test_only_the_fields_that_are_selected_come(towns: Any) -> None:
    [found] = towns.where(filter=FieldFilter("land", "==", "nl")).select(["people", "none"]).get()
    assert found.to_dict() == {"people": 9}


def test_a_collection_group_is_found_at_any_depth(db: Any) -> None:
    for path in ("posts/1", "users/a/posts/2", "users/a/posts/2/posts/3", "users/b/other/4"):
        db.document(path).set({"n": int(path[-1])})
    group = db.collection_group("posts")
    assert [each.reference.path for each in group.stream()] == [
        "posts/1",
        "users/a/posts/2",
        "users/a/posts/2/posts/3",
    ]
    assert ids(group.where(filter=FieldFilter("n", ">", 1)).order_by("n", direction="DESCENDING")) == ["3", "2"]


def test_a_collection_group_is_cut_into_parts_that_together_are_all_of_it(db: Any) -> None:
    for number in range(20):
        db.document(f"users/{number % 3}/posts/{number:02}").set({"n": number})
    parts = list(db.collection_group("posts").get_partitions(4))
    assert len(parts) == 5
    found = [each.id for part in parts for each in part.query().stream()]
    assert sorted(found) == [f"{number:02}" for number in range(20)]
    assert len(found) == 20


def test_counts_sums_and_averages(towns: Any) -> None:
    def first(query: Any) -> dict[str, Any]:
        return {each.alias: each.value for each in query.get()[0]}

    assert first(towns.count()) == {"field_1": 5}
    assert first(towns.count(alias="all").sum("people", alias="sum").avg("people", alias="avg")) == {
        "all": 5, "sum": 86, "avg": 21.5,
    }  # fmt: skip
    assert first(towns.limit(2).sum("people")) == {"field_1": 9}  # The first by what is added up: null and 9.
    assert first(towns.order_by("people", direction="DESCENDING").limit(2).sum("people")) == {"field_1": 58}


def test_the_average_of_nothing_is_null_and_a_document_without_the_field_is_not_counted(rpc: Any, towns: Any) -> None:
    field = {"field": {"fieldPath": "none"}}
    asked = {"structuredQuery": {"from": [{"collectionId": "towns"}]}, "aggregations": [{"avg": field}, {"count": {}}]}
    [answer] = rpc("RunAggregationQuery", {"parent": ROOT, "structuredAggregationQuery": asked})
    assert answer["result"]["aggregateFields"] == {"field_1": {"nullValue": None}, "field_2": {"integerValue": "0"}}


def test_the_nearest_vectors_are_found_exactly(db: Any) -> None:
    things = db.collection("things")
    for name, vector in {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [2.0, 2.0]}.items():
        things.document(name).set({"v": Vector(vector), "kind": name < "c"})
    things.document("other").set({"v": Vector([1.0, 2.0, 3.0])})
    things.document("none").set({"v": 1})

    def near(query: Any, measure: DistanceMeasure, **options: Any) -> list[tuple[str, float]]:
        asked = query.find_nearest("v", Vector([1.0, 0.0]), 9, measure, distance_result_field="far", **options)
        return [(each.id, round(each.get("far"), 6)) for each in asked.get()]

    assert near(things, DistanceMeasure.EUCLIDEAN) == [("a", 0.0), ("b", 1.414214), ("c", 2.236068)]
    assert near(things, DistanceMeasure.COSINE) == [("a", 0.0), ("c", 0.292893), ("b", 1.0)]
    assert near(things, DistanceMeasure.DOT_PRODUCT) == [("c", 2.0), ("a", 1.0), ("b", 0.0)]
    assert near(things, DistanceMeasure.DOT_PRODUCT, distance_threshold=1.0) == [("c", 2.0), ("a", 1.0)]
    some = things.where(filter=FieldFilter("kind", "==", True))
    assert near(some, DistanceMeasure.EUCLIDEAN, distance_threshold=1.0) == [("a", 0.0)]


def test_what_may_not_be_asked_together_is_refused(towns: Any) -> None:
    unequal = [FieldFilter("land", "!=", "de"), FieldFilter("people", "!=", 1)]
    with pytest.raises(exceptions.InvalidArgument, match="Only a single 'NOT_EQUAL'"):
        ids(towns.where(filter=And(unequal)))
    many = Or([FieldFilter("people", "==", number) for number in range(31)])
    with pytest.raises(exceptions.InvalidArgument, match="Result had 31 disjunctions"):
        ids(towns.where(filter=many))


def test_a_query_reads_what_was_there_at_a_time_of_the_past_hour(cloud: Any, db: Any) -> None:
    ref = db.document("c/a")
    first = ref.set({"n": 1}).update_time
    db.document("c/gone").set({"n": 2})
    both = db.document("c/other").set({"n": 0}).update_time
    ref.set({"n": 5})
    db.document("c/gone").delete()
    query = db.collection("c").order_by("n")
    assert [each.id for each in query.stream(read_time=both)] == ["other", "a", "gone"]
    assert [each.id for each in query.stream(read_time=first)] == ["a"]
    assert ref.get(read_time=first).to_dict() == {"n": 1}
    assert [each.id for each in query.stream()] == ["other", "a"]
    cloud.advance(seconds=3601)
    with pytest.raises(exceptions.FailedPrecondition, match="is too old"):
        ref.get(read_time=first)


def test_an_equality_reads_what_it_finds_and_not_the_collection(cloud: Any, db: Any) -> None:
    """ "Query performance scales with the result set, not with the data set"."""
    writer = db.bulk_writer()
    for number in range(300):
        writer.set(db.document(f"c/{number:03}"), {"n": number, "even": number % 2 == 0, "tags": [number // 100]})
    writer.close()
    looked_at = _count_views()
    assert ids(db.collection("c").where(filter=FieldFilter("n", "==", 7))) == ["007"]
    assert ids(db.collection("c").where(filter=FieldFilter("n", ">", 297))) == ["298", "299"]
    assert ids(db.collection("c").order_by("n", direction="DESCENDING").limit(2)) == ["299", "298"]
    assert ids(db.collection("c").order_by("n").start_after({"n": 290}).limit(1)) == ["291"]
    assert looked_at() <= 10


def _count_views() -> Any:
    from fogbank.gcp.services.firestore.queries import run

    class Counted(run.View):
        made = 0

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            Counted.made += 1

    run.View, there = Counted, run.View  # type: ignore[misc]  # Put back by whoever asks.

    def count() -> int:
        run.View = there  # type: ignore[misc]
        return Counted.made

    return count


def test_a_server_timestamp_is_found_by_a_range(db: Any) -> None:
    ref = db.document("c/a")
    ref.set({"at": firestore.SERVER_TIMESTAMP})
    at = ref.get().get("at")
    assert ids(db.collection("c").where(filter=FieldFilter("at", ">=", at))) == ["a"]
    assert ids(db.collection("c").where(filter=FieldFilter("at", ">", at))) == []
