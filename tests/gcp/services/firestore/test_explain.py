"""Query Explain ("Query Explain report reference"), by the published client."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud.firestore import FieldFilter
from google.cloud.firestore_v1.query_profile import ExplainOptions, QueryExplainError


@pytest.fixture
def items(db: Any) -> Any:
    for number in range(6):
        db.document(f"items/{number}").set({"n": number, "kind": "odd" if number % 2 else "even", "tags": ["a"]})
    db.document("shops/a/items/x").set({"n": 9})
    return db.collection("items")


def test_a_plan_says_by_which_indexes_and_finds_nothing(items: Any) -> None:
    found = items.where(filter=FieldFilter("kind", "==", "odd")).get(explain_options=ExplainOptions())
    assert list(found) == []
    plan = found.get_explain_metrics().plan_summary
    assert plan.indexes_used == [{"query_scope": "Collection", "properties": "(kind ASC, __name__ ASC)"}]
    with pytest.raises(QueryExplainError):  # "analyze" was not asked for.
        _ = found.get_explain_metrics().execution_stats


@pytest.mark.parametrize(
    ("narrowed", "index"),
    [
        (lambda items: items, "(__name__ ASC)"),
        (lambda items: items.order_by("n", direction="DESCENDING"), "(n DESC, __name__ DESC)"),
        (lambda items: items.where(filter=FieldFilter("tags", "array_contains", "a")), "(tags CONTAINS, __name__ ASC)"),
        (lambda items: items.where(filter=FieldFilter("n", ">", 2)), "(n ASC, __name__ ASC)"),
    ],
)
def test_each_way_has_its_index(items: Any, narrowed: Any, index: str) -> None:
    found = narrowed(items).get(explain_options=ExplainOptions())
    assert [each["properties"] for each in found.get_explain_metrics().plan_summary.indexes_used] == [index]


def test_an_analysed_query_is_answered_and_says_what_it_cost(items: Any) -> None:
    narrowed = items.where(filter=FieldFilter("kind", "==", "odd")).where(filter=FieldFilter("n", ">", 2))
    found = narrowed.get(explain_options=ExplainOptions(analyze=True))
    assert [each.id for each in found] == ["3", "5"]
    stats = found.get_explain_metrics().execution_stats
    assert (stats.results_returned, stats.read_operations) == (2, 2)
    assert stats.debug_stats["documents_scanned"] == "3"
    assert stats.debug_stats["billing_details"]["documents_billable"] == "2"


def test_a_query_that_finds_nothing_costs_one_read(items: Any) -> None:
    found = items.where(filter=FieldFilter("n", ">", 99)).get(explain_options=ExplainOptions(analyze=True))
    assert list(found) == []
    assert found.get_explain_metrics().execution_stats.read_operations == 1


def test_a_sum_over_a_group_is_explained(db: Any, items: Any) -> None:
    counted = db.collection_group("items").count(alias="all").get(explain_options=ExplainOptions(analyze=True))
    assert counted[0][0].value == 7
    metrics = counted.get_explain_metrics()
    assert metrics.plan_summary.indexes_used[0]["query_scope"] == "Collection Group"
    assert (metrics.execution_stats.results_returned, metrics.execution_stats.read_operations) == (1, 1)
    assert metrics.execution_stats.debug_stats["index_entries_scanned"] == "7"
