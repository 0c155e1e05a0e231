"""Schemas by Google's own client, and messages that Avro's own library has encoded."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from google.api_core import exceptions
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.gcp.services.pubsub import avro
from tests.support.google import PROJECT

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import SchemaServiceClient

    from tests.support.google import PubSub

ORDER: dict[str, Any] = {
    "type": "record", "name": "Order", "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "count", "type": "int"},
        {"name": "price", "type": "double"},
        {"name": "paid", "type": "boolean"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["NEW", "OLD"]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "sizes", "type": {"type": "map", "values": "long"}},
        {"name": "mark", "type": {"type": "fixed", "name": "Mark", "size": 2}},
        {"name": "next", "type": ["null", "shop.Order"]},
    ],
}  # fmt: skip
GOOD: dict[str, Any] = {
    "id": "a", "count": 1, "price": 1.5, "paid": True, "note": {"string": "x"}, "kind": "NEW", "tags": ["t"],
    "sizes": {"s": 9}, "mark": "ab", "next": None,
}  # fmt: skip


def make(schemas: SchemaServiceClient, definition: Any = ORDER) -> str:
    schema = {"type_": "AVRO", "definition": json.dumps(definition)}
    request = {"parent": f"projects/{PROJECT}", "schema_id": "order", "schema": schema}
    return str(schemas.create_schema(request=request).name)


def test_a_schema_has_revisions(schemas: SchemaServiceClient) -> None:
    name = make(schemas)
    first = schemas.get_schema(request={"name": name})
    assert json.loads(first.definition) == ORDER and len(first.revision_id) == 8
    more = {**ORDER, "doc": "revised"}
    second = schemas.commit_schema(
        request={"name": name, "schema": {"name": name, "type_": "AVRO", "definition": json.dumps(more)}}
    )
    back = schemas.rollback_schema(request={"name": name, "revision_id": first.revision_id})
    ids = [one.revision_id for one in schemas.list_schema_revisions(request={"name": name})]
    assert ids == [back.revision_id, second.revision_id, first.revision_id] and len(set(ids)) == 3
    assert json.loads(schemas.get_schema(request={"name": f"{name}@{second.revision_id}"}).definition) == more
    schemas.delete_schema_revision(request={"name": f"{name}@{second.revision_id}"})
    with pytest.raises(exceptions.NotFound, match=f"order@{second.revision_id}"):
        schemas.get_schema(request={"name": f"{name}@{second.revision_id}"})
    assert [one.name for one in schemas.list_schemas(request={"parent": f"projects/{PROJECT}"})] == [name]
    schemas.delete_schema(request={"name": name})
    with pytest.raises(exceptions.NotFound, match=r"\(resource=order\)"):
        schemas.get_schema(request={"name": name})


@pytest.mark.parametrize("definition", ["", "{", '"string"', '{"type": "record"}', '{"type": "nothing"}', "[]", "3"])
def test_what_is_no_schema_is_refused(schemas: SchemaServiceClient, definition: str) -> None:
    request = {"parent": f"projects/{PROJECT}", "schema": {"type_": "AVRO", "definition": definition}}
    with pytest.raises(exceptions.InvalidArgument, match="schema definition"):
        schemas.validate_schema(request=request)


def test_a_topic_takes_only_messages_of_its_schema(pubsub: PubSub, schemas: SchemaServiceClient) -> None:
    name = make(schemas)
    topic = pubsub.topic(schema_settings={"schema": name, "encoding": "JSON"})
    reader = pubsub.subscription(topic)
    pubsub.publish(topic, json.dumps(GOOD))
    with pytest.raises(exceptions.InvalidArgument, match="Message failed schema validation"):
        pubsub.publish(topic, json.dumps(GOOD), json.dumps({**GOOD, "count": "one"}))
    (received,) = pubsub.pull(reader)
    attributes = dict(received.message.attributes)
    assert attributes["googclient_schemaname"] == name and attributes["googclient_schemaencoding"] == "JSON"
    assert attributes["googclient_schemarevisionid"] == schemas.get_schema(request={"name": name}).revision_id
    schemas.delete_schema(request={"name": name})
    assert pubsub.publisher.get_topic(request={"topic": topic}).schema_settings.schema == "_deleted-schema_"
    with pytest.raises(exceptions.InvalidArgument, match="deleted"):
        pubsub.publish(topic, json.dumps(GOOD))


def test_a_topic_needs_a_schema_that_is_there(pubsub: PubSub) -> None:
    with pytest.raises(exceptions.NotFound, match=r"\(resource=order\)"):
        pubsub.topic(schema_settings={"schema": f"projects/{PROJECT}/schemas/order", "encoding": "JSON"})


@pytest.mark.parametrize(
    "change",
    [
        {"count": 1.5}, {"count": True}, {"count": 1 << 31}, {"price": "1"}, {"note": "x"}, {"note": {"int": 1}},
        {"kind": "MID"}, {"tags": [1]}, {"sizes": {"s": "9"}}, {"mark": "abc"}, {"mark": "aŁ"}, {"more": 1},
        {"next": {"shop.Order": {}}}, {"id": None},
    ],
)  # fmt: skip
def test_what_is_not_in_the_json_encoding_does_not_fit(change: dict[str, Any]) -> None:
    schema = avro.Schema(json.dumps(ORDER))
    assert schema.fits_json(json.dumps(GOOD).encode())
    assert schema.fits_json(json.dumps({**GOOD, "next": {"shop.Order": GOOD}}).encode())
    assert not schema.fits_json(json.dumps({**GOOD, **change}).encode())
    assert not schema.fits_json(json.dumps({key: GOOD[key] for key in GOOD if key != "note"}).encode())


def encoded() -> bytes:
    out = io.BytesIO()
    record = {**GOOD, "note": "x", "mark": b"ab", "next": {**GOOD, "note": None, "mark": b"cd"}}
    fastavro.schemaless_writer(out, fastavro.parse_schema(ORDER), record)
    return out.getvalue()


def test_what_avros_library_has_encoded_fits_and_no_piece_of_it_does() -> None:
    schema, whole = avro.Schema(json.dumps(ORDER)), encoded()
    assert schema.fits_binary(whole)
    assert not any(schema.fits_binary(whole[:length]) for length in range(len(whole)))
    assert not schema.fits_binary(whole + b"\x00")


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_bytes_fit_or_do_not(data: bytes) -> None:
    schema = avro.Schema(json.dumps(ORDER))
    assert schema.fits_binary(data) in (True, False) and schema.fits_json(data) in (True, False)


def test_values_of_no_bytes_end_in_time() -> None:
    nulls = {"type": "record", "name": "A", "fields": [{"name": "n", "type": {"type": "array", "items": "null"}}]}
    many = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" + b"\x00"
    assert not avro.Schema(json.dumps(nulls)).fits_binary(many)
