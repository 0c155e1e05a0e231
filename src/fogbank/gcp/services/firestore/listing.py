"""Pages of a collection's documents, and of the collections below a document.

A page's token tells behind which answer the next page begins: pages neither repeat nor miss what is there all the time.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.services.firestore import messages, ordering
from fogbank.gcp.services.firestore.queries import run, shape
from fogbank.gcp.services.firestore.queries.shape import Cursor
from fogbank.gcp.services.firestore.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.queries.shape import Query
    from fogbank.gcp.services.firestore.reading import Reading

PAGE: Final = 20  # Where the caller names no size.
PAGE_MAX: Final = 300
_CLAUSE: Final = re.compile(r"((?:`(?:[^`\\]|\\.)+`|[^\s,`])+)(?:\s+(asc|desc))?", re.IGNORECASE)
_DESCENDING: Final = 2
_KEY: Final = itemgetter(0)


def documents(read: Reading, parent: Path, request: Any) -> tuple[list[Any], str]:
    """(documents, token of the next page). One that is missing, if those are asked for, has a name and nothing else."""
    if request.show_missing and request.order_by:
        raise invalid("cannot specify an order when show_missing is true")
    size, behind = _page_size(request), _read_token(request.page_token)
    asked = _query(request)
    query = shape.read(parent, asked)
    if behind is not None:
        values = (behind,) if len(query.orders) == 1 else ()
        query = replace(query, start=Cursor(behind, values, before=False))
    read.note_query(parent, asked)
    found = ((key, run.projected(query, view)) for key, view in run.matching(read.documents, query, read.at_us))
    if request.show_missing and request.collection_id:
        found = merge(found, _missing(read, query), key=_KEY)
    page = list(islice(found, size + 1))
    token = _token(page[size - 1][0]) if len(page) > size else ""
    return [document for _, document in page[:size]], token


def _query(request: Any) -> Any:
    query = messages.StructuredQuery()
    getattr(query, "from").add(collection_id=request.collection_id)
    for clause in request.order_by.split(",") if request.order_by else ():
        found = _CLAUSE.fullmatch(clause.strip())
        if found is None:
            raise invalid(f'Invalid order by clause "{clause.strip()}".')
        order = query.order_by.add()
        order.field.field_path = found[1]
        order.direction = _DESCENDING if (found[2] or "").lower() == "desc" else 1
    return query


def _missing(read: Reading, query: Query) -> Iterator[tuple[bytes, Any]]:
    """Documents that are not there, below which there are others; in the order of their names."""
    database, collection = read.documents.database, (*query.parent, query.collection_id)
    paths = [(*collection, each) for each in read.documents.ids_with_children(collection, read.at_us)]
    for key, path in sorted((ordering.reference(database, path), path) for path in paths):
        if query.within(key) and read.documents.raw(path, read.at_us) is None:
            yield key, messages.Document(name=database.document(path))


def collection_ids(read: Reading, parent: Path, request: Any) -> tuple[list[str], str]:
    size, behind = _page_size(request, most=PAGE_MAX), _read_token(request.page_token)
    there = [
        each for each in read.documents.collection_ids(parent, read.at_us) if behind is None or each.encode() > behind
    ]
    return there[:size], _token(there[size - 1].encode()) if len(there) > size else ""


def _page_size(request: Any, most: int = PAGE) -> int:
    if request.page_size < 0:
        raise invalid("Page size must be nonnegative.")
    return min(request.page_size, PAGE_MAX) or most


def _token(behind: bytes) -> str:
    return base64.urlsafe_b64encode(behind).decode()


def _read_token(token: str) -> bytes | None:
    if not token:
        return None
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid("invalid page token") from None
