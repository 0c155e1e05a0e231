"""Queries: RunQuery, RunAggregationQuery, PartitionQuery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.service import Service
from fogbank.gcp.services.firestore import messages, names, partitions, reading
from fogbank.gcp.services.firestore.queries import aggregate, run, shape
from fogbank.gcp.services.firestore.refusals import invalid, not_served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fogbank.gcp.service import Call
    from fogbank.kernel.store import Tx


class QueryOperations(Service):
    service = "google.firestore.v1.Firestore"

    def run_query(self, tx: Tx, call: Call, request: Any) -> Iterator[Any]:
        database, parent = names.parent(request.parent)
        if request.WhichOneof("query_type") != "structured_query":
            raise invalid("only structured queries are supported")
        _refuse_explain(request)
        asked = request.structured_query
        query = shape.read(parent, asked)
        read = reading.begin(tx, call, database, request)
        read.note_query(parent, asked)
        answers: list[Any] = []
        if read.begun:
            answers.append(messages.RunQueryResponse(transaction=read.begun))
        found = [
            messages.RunQueryResponse(document=document, read_time=read.time)
            for document in run.answers(read.documents, query, at_us=read.at_us)
        ]
        answers += found or [messages.RunQueryResponse(read_time=read.time)]
        answers[-1].done = True
        return iter(answers)

    def run_aggregation_query(self, tx: Tx, call: Call, request: Any) -> Iterator[Any]:
        database, parent = names.parent(request.parent)
        asked = request.structured_aggregation_query
        if asked.WhichOneof("query_type") != "structured_query":
            raise invalid("only structured queries are supported")
        _refuse_explain(request)
        query = shape.read(parent, asked.structured_query)
        if query.nearest is not None:
            raise not_served("An aggregation of what is nearest (find_nearest)")
        aggregates = aggregate.read(asked.aggregations)
        aggregate.check_selected(aggregates, query.fields)
        query = aggregate.sorted_for(aggregates, query)
        read = reading.begin(tx, call, database, request)
        read.note_query(parent, asked.structured_query)
        answer = messages.RunAggregationQueryResponse(read_time=read.time, transaction=read.begun)
        pairs = run.limited(query, run.matching(read.documents, query, read.at_us))
        for alias, value in aggregate.add_up(aggregates, (view for _, view in pairs)).items():
            answer.result.aggregate_fields[alias].CopyFrom(value)
        return iter([answer])

    def partition_query(self, tx: Tx, call: Call, request: Any) -> Any:
        database, parent = names.parent(request.parent)
        if request.WhichOneof("query_type") != "structured_query":
            raise invalid("only structured queries are supported")
        query = partitions.read(parent, request.structured_query)
        read = reading.begin(tx, call, database, request)
        return partitions.answer(read, query, request)


def _refuse_explain(request: Any) -> None:
    if request.HasField("explain_options"):
        raise not_served("Query Explain (explain_options)")
