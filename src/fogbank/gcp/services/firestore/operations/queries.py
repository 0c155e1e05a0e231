"""Queries: RunQuery, RunAggregationQuery, PartitionQuery."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.service import Service
from fogbank.gcp.services.firestore import messages, names, partitions, reading
from fogbank.gcp.services.firestore.queries import aggregate, explain, run, shape
from fogbank.gcp.services.firestore.queries.slices import Slices
from fogbank.gcp.services.firestore.refusals import invalid, not_served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fogbank.gcp.service import Call
    from fogbank.gcp.services.firestore.names import Path
    from fogbank.gcp.services.firestore.queries.shape import Query
    from fogbank.gcp.services.firestore.reading import Reading
    from fogbank.kernel.store import Tx

_AT_ONCE: Final = 100  # Of answers, until others have their turn.


class QueryOperations(Service):
    service = "google.firestore.v1.Firestore"

    async def run_query(self, call: Call, request: Any) -> AsyncIterator[Any]:
        database, parent = names.parent(request.parent)
        if request.WhichOneof("query_type") != "structured_query":
            raise invalid("only structured queries are supported")
        query = shape.read(parent, request.structured_query)
        read, slices = await self._asked(call, database, request, (parent, request.structured_query, query))
        if read.begun:
            yield messages.RunQueryResponse(transaction=read.begun)
        last = messages.RunQueryResponse(read_time=read.time)
        results = 0
        if _runs(request):
            for document in slices.answers:
                if results:
                    yield last
                last = messages.RunQueryResponse(document=document, read_time=read.time)
                results += 1
                if results % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        self._explain(call, request, (query, slices), last, results, documents=True)
        last.done = True
        yield last

    async def run_aggregation_query(self, call: Call, request: Any) -> AsyncIterator[Any]:
        database, parent = names.parent(request.parent)
        asked = request.structured_aggregation_query
        if asked.WhichOneof("query_type") != "structured_query":
            raise invalid("only structured queries are supported")
        query = shape.read(parent, asked.structured_query)
        if query.nearest is not None:
            raise not_served("An aggregation of what is nearest (find_nearest)")
        aggregates = aggregate.read(asked.aggregations)
        aggregate.check_selected(aggregates, query.fields)
        query = aggregate.sorted_for(aggregates, query)
        read, slices = await self._asked(call, database, request, (parent, asked.structured_query, query))
        answer = messages.RunAggregationQueryResponse(read_time=read.time, transaction=read.begun)
        if _runs(request):
            views = (view for _, view in run.limited(query, slices.pairs))
            for alias, value in aggregate.add_up(aggregates, views).items():
                answer.result.aggregate_fields[alias].CopyFrom(value)
        self._explain(call, request, (query, slices), answer, 1, documents=False)
        yield answer

    async def _asked(
        self, call: Call, database: names.Database, request: Any, asked: tuple[Path, Any, Query]
    ) -> tuple[Reading, Slices]:
        """All that is found, of one moment. `asked`: the parent, the message, and what it means."""
        parent, message, query = asked

        def first(tx: Tx) -> tuple[Reading, Slices, bool]:
            read = reading.begin(tx, call, database, request)
            read.note_query(parent, message)
            slices = Slices(read.documents, query, read.at_us)
            return read, slices, not _runs(request) or slices.begin()

        read, slices, over = await self.house.store.transact(first)
        if not over:
            await slices.finish(self.house.store)
        return read, slices

    def _explain(
        self, call: Call, request: Any, ran: tuple[Query, Slices], answer: Any, results: int, *, documents: bool
    ) -> None:
        if request.HasField("explain_options"):
            metrics = explain.plan(*ran)
            if request.explain_options.analyze:
                took_ms = self.house.clock.now_ms() - call.now_ms
                explain.add_statistics(metrics, ran[1], results=results, took_ms=took_ms, documents=documents)
            answer.explain_metrics.CopyFrom(metrics)

    def partition_query(self, tx: Tx, call: Call, request: Any) -> Any:
        database, parent = names.parent(request.parent)
        if request.WhichOneof("query_type") != "structured_query":
            raise invalid("only structured queries are supported")
        query = partitions.read(parent, request.structured_query)
        read = reading.begin(tx, call, database, request)
        return partitions.answer(read, query, request)


def _runs(request: Any) -> bool:
    """ "If analyze is false, only the plan is returned"."""
    return not request.HasField("explain_options") or bool(request.explain_options.analyze)
