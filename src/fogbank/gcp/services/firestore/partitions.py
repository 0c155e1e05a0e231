"""Where a collection group may be cut so that several readers share it ("PartitionQuery" of the reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.services.firestore import fieldpaths, messages
from fogbank.gcp.services.firestore.queries import shape
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.queries.shape import Query
    from fogbank.gcp.services.firestore.reading import Reading


def read(parent: Path, asked: Any) -> Query:
    """ "The query must specify collection with all descendants and be ordered by name ascending. Other filters, order
    bys, limits, offsets, and start/end cursors are not supported." """
    query = shape.read(parent, asked)
    plain = not (query.start or query.end or query.offset or asked.HasField("limit") or asked.HasField("where"))
    by_name = [(order.field, order.descending) for order in query.orders] == [(fieldpaths.NAME, False)]
    if not (plain and by_name and query.descendants and query.collection_id and asked.order_by):
        raise invalid(
            "A partition query must be over a collection group, with all descendants, and ordered by __name__ "
            "ascending; filters, limits, offsets and cursors are not supported."
        )
    return query


def answer(reading: Reading, query: Query, request: Any) -> Any:
    """At most `partition_count` points, evenly spread. The token of a page is how many points came before it."""
    if request.partition_count <= 0:
        raise invalid("The partition count must be positive.")
    if request.page_size < 0:
        raise invalid("Page size must be nonnegative.")
    try:
        done = int(request.page_token or 0)
    except ValueError:
        raise invalid("invalid page token") from None
    paths = list(reading.documents.group_paths(query.parent, query.collection_id))
    points = min(request.partition_count, max(0, len(paths) - 1))
    cuts = [len(paths) * number // (points + 1) for number in range(1, points + 1)]
    page = cuts[done : done + (request.page_size or points)]
    found = messages.PartitionQueryResponse()
    for cut in page:
        name = reading.documents.database.document(paths[cut])
        found.partitions.add(values=[messages.Value(reference_value=name)], before=True)
    if done + len(page) < points:
        found.next_page_token = str(done + len(page))
    return found
