"""Query Explain: by which indexes a query goes, and what it cost ("Query Explain report reference")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import messages

if TYPE_CHECKING:
    from fogbank.gcp.services.firestore.queries.shape import Query
    from fogbank.gcp.services.firestore.queries.slices import Slices

_ENTRIES_PER_READ: Final = 1000  # "Pricing": an aggregation is billed one read for up to so many entries.


def plan(query: Query, slices: Slices) -> Any:
    """`ExplainMetrics` without what only a query that has run can tell."""
    scope = "Collection Group" if query.descendants else "Collection"
    metrics = messages.ExplainMetrics()
    metrics.plan_summary.SetInParent()
    for index in slices.indexes:
        metrics.plan_summary.indexes_used.add().update({"query_scope": scope, "properties": index})
    return metrics


def add_statistics(metrics: Any, slices: Slices, *, results: int, took_ms: int, documents: bool) -> None:
    """`documents`: whether they were read, and not only counted."""
    stats = metrics.execution_stats
    stats.results_returned = results
    stats.execution_duration.FromMilliseconds(took_ms)
    entries = slices.looked_at
    stats.read_operations = max(1, results if documents else -(-entries // _ENTRIES_PER_READ))
    stats.debug_stats.update(
        {
            "index_entries_scanned": str(entries),
            "documents_scanned": str(entries if documents else 0),
            "billing_details": {
                "documents_billable": str(results if documents else 0),
                "index_entries_billable": str(0 if documents else entries),
                "small_ops": "0",
                "min_query_cost": "0",
            },
        }
    )
