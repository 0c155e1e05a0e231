"""Protocol Buffer schemas by Google's own client; definitions are understood as Google's own compiler does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.gcp.services.pubsub import proto_text, protos
from tests.support.google import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from google.cloud.pubsub_v1 import SchemaServiceClient

    from tests.support.google import PubSub

protoc = pytest.importorskip("grpc_tools.protoc", reason="Google's compiler is not here")

ORDER = """
syntax = "proto3";
package shop;  // Of orders.
option java_package = "com.shop";
/* All that
   there is. */
message Order {
  reserved 20 to 29, 31, 40 to max;
  reserved "old", 'older';
  string id = 1 [json_name = "the_id"];
  optional int32 count = 2;
  repeated sint64 sizes = 3 [packed = false, deprecated = true];
  map<string, Line> lines_by_name = 4;
  map<int32, bytes> raw = 5;
  enum Kind { option allow_alias = true; NEW = 0; FRESH = 0; OLD = -1; reserved 5 to 9, 12; reserved "GONE"; }
  Kind kind = 6;
  oneof paid { double cash = 7; .shop.Order.Line card = 8; }
  message Line { string what = 1; Order.Kind kind = 2; repeated Line parts = 3; };
  Line message = 0x9;
  optional bool enum = 012;
  fixed32 map = 11; float reserved = 12; uint64 package = 13; sfixed64 to = 14;
}
"""
OLD = """
message Old {
  required string id = 1;
  optional int32 count = 2 [default = -3];
  repeated float sizes = 3 [packed = true, (my.option).deep = { a: 1 b { c: "}" } }];
  optional string name = 4 [default = "a;b"];
  extensions 100 to 199;
  optional Kind kind = 5;
  enum Kind { NONE = 1; ALL = 2; }
}
"""
GOOD: dict[str, Any] = {
    "the_id": "a", "count": 1, "sizes": ["9"], "linesByName": {"x": {"what": "y", "kind": "OLD"}}, "raw": {"1": "AA=="},
    "kind": "NEW", "cash": 1.5, "enum": True,
}  # fmt: skip


def compiled(text: str, folder: Path) -> descriptor_pb2.FileDescriptorProto:
    """As Google's compiler has it."""
    (folder / "schema.proto").write_text(text)
    out = folder / "set"
    assert protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={out}", "schema.proto"]) == 0
    return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]


def understood(file: descriptor_pb2.FileDescriptorProto) -> Any:
    """All that matters to a message, once names are resolved."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    prefix = f"{file.package}." if file.package else ""
    return _shape(pool.FindMessageTypeByName(prefix + file.message_type[0].name))


def _shape(message: Any) -> Any:
    fields = [
        (
            each.name, each.number, each.type, each.json_name, each.is_repeated, each.is_required, each.is_packed,
            each.has_presence, each.default_value if not each.is_repeated else None,
            each.message_type and each.message_type.full_name, each.enum_type and each.enum_type.full_name,
            each.containing_oneof and each.containing_oneof.name,
        )
        for each in message.fields
    ]  # fmt: skip
    enums = [(each.full_name, [(one.name, one.number) for one in each.values]) for each in message.enum_types]
    nested = [_shape(each) for each in message.nested_types]
    return message.full_name, fields, [each.name for each in message.oneofs], enums, nested


@pytest.mark.parametrize("text", [ORDER, OLD.replace(', (my.option).deep = { a: 1 b { c: "}" } }', "")])
def test_a_definition_is_what_googles_compiler_makes_of_it(text: str, tmp_path: Path) -> None:
    assert understood(proto_text.read(text)) == understood(compiled(text, tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "", "message", "message A {", "message A { string a = 1; }", 'syntax = "proto4"; message A {}',
        'syntax = "proto3"; import "b.proto"; message A {}', 'syntax = "proto3"; message A {} message B {}',
        'syntax = "proto3"; enum A { B = 0; }', 'syntax = "proto3"; message A { string a = 0; }',
        'syntax = "proto3"; message A { string a = 1; string b = 1; }', 'syntax = "proto3"; message A { B b = 1; }',
        'syntax = "proto3"; message A { string a = 1; string a = 2; }', 'syntax = "proto3"; message A { int a = 1 }',
        'syntax = "proto3"; message A { required string a = 1; }', 'syntax = "proto3"; message A { "a" }',
        'syntax = "proto3"; message A { map<float, string> a = 1; }',
        'syntax = "proto3"; message A { enum B { C = 1; } }',
        'syntax = "proto3"; message A { reserved "a"; int32 a = 5; }',
        'syntax = "proto3"; message A { string a = 99999999999999999999; }', 'syntax = "proto3"; message A { ä = 1; }',
        'syntax = "proto3"; service A {}', 'syntax = "proto3"; message A { reserved 5; string a = 5; }',
        'syntax = "proto3"; message A { reserved 1 to 99999999999; }', '{"type": "record"}',
        'syntax = "proto3";' + "message A { " * 100 + "}" * 100,
        'syntax = "proto3"; message A { string a = 099; }',
    ],
)  # fmt: skip
def test_what_is_no_definition_is_refused_in_the_services_words(text: str, schemas: SchemaServiceClient) -> None:
    request = {"parent": f"projects/{PROJECT}", "schema": {"type_": "PROTOCOL_BUFFER", "definition": text}}
    with pytest.raises(exceptions.InvalidArgument, match="Invalid schema definition: Could not parse schema"):
        schemas.validate_schema(request=request)


def test_a_topic_takes_only_messages_of_its_schema(pubsub: PubSub, schemas: SchemaServiceClient) -> None:
    schema = {"type_": "PROTOCOL_BUFFER", "definition": ORDER}
    made = schemas.create_schema(request={"parent": f"projects/{PROJECT}", "schema_id": "order", "schema": schema})
    topic = pubsub.topic(schema_settings={"schema": made.name, "encoding": "JSON"})
    reader = pubsub.subscription(topic)
    pubsub.publish(topic, json.dumps(GOOD))
    with pytest.raises(exceptions.InvalidArgument, match="Invalid data in message: Message failed schema validation"):
        pubsub.publish(topic, json.dumps({**GOOD, "count": "one"}))
    (received,) = pubsub.pull(reader)
    assert dict(received.message.attributes)["googclient_schemarevisionid"] == made.revision_id


def test_a_schema_is_revised_by_its_own_kind_only(schemas: SchemaServiceClient) -> None:
    parent = f"projects/{PROJECT}"
    schema = {"type_": "PROTOCOL_BUFFER", "definition": ORDER}
    made = schemas.create_schema(request={"parent": parent, "schema_id": "order", "schema": schema})
    more = {"name": made.name, "type_": "PROTOCOL_BUFFER", "definition": ORDER.replace("= 11;", "= 15;")}
    second = schemas.commit_schema(request={"name": made.name, "schema": more})
    assert schemas.get_schema(request={"name": made.name}).revision_id == second.revision_id != made.revision_id
    back = schemas.rollback_schema(request={"name": made.name, "revision_id": made.revision_id})
    assert (back.definition, back.type_.name) == (ORDER, "PROTOCOL_BUFFER")
    avro = {"name": made.name, "type_": "AVRO", "definition": '{"type": "record", "name": "A", "fields": []}'}
    with pytest.raises(exceptions.InvalidArgument, match="PROTOCOL_BUFFER"):
        schemas.commit_schema(request={"name": made.name, "schema": avro})
    message = json.dumps(GOOD).encode()
    schemas.validate_message(request={"parent": parent, "name": made.name, "message": message, "encoding": "JSON"})
    with pytest.raises(exceptions.InvalidArgument, match="Message failed schema validation"):
        schemas.validate_message(request={"parent": parent, "name": made.name, "message": b"{", "encoding": "JSON"})


@pytest.mark.parametrize(
    "change",
    [
        {"count": "x"}, {"count": 1 << 40}, {"kind": "MID"}, {"more": 1}, {"sizes": 1}, {"raw": {"a": "AA=="}},
        {"card": {"what": "x"}}, {"enum": "yes"},
    ],
)  # fmt: skip
def test_what_is_not_in_the_json_encoding_does_not_fit(change: dict[str, Any]) -> None:
    schema = protos.Schema(ORDER)
    assert schema.fits_json(json.dumps(GOOD).encode())
    assert not schema.fits_json(json.dumps({**GOOD, **change}).encode())


def test_what_googles_compiler_encodes_fits_and_a_required_field_is_required(tmp_path: Path) -> None:
    pool = descriptor_pool.DescriptorPool()
    file = compiled(ORDER, tmp_path)
    pool.AddSerializedFile(file.SerializeToString())
    order: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))
    whole = order(id="a", count=1, sizes=[9], cash=1.5).SerializeToString()
    assert protos.Schema(ORDER).fits_binary(whole)
    assert not protos.Schema(ORDER).fits_binary(whole[:-1])
    assert not protos.Schema(OLD).fits_binary(b"") and not protos.Schema(OLD).fits_json(b"{}")
    assert protos.Schema(OLD).fits_json(b'{"id": ""}')


@given(st.text(st.sampled_from("{}[]<>=;,\" \n'mapessagenum1x0-/*"), max_size=80))
@settings(deadline=None, max_examples=300)
def test_any_text_is_a_definition_or_is_not(text: str) -> None:
    for whole in (text, f'syntax = "proto3"; message A {{ {text} }}'):
        try:
            protos.Schema(whole)
        except protos.NoSchema:
            continue


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_bytes_fit_or_do_not(data: bytes) -> None:
    schema = protos.Schema(ORDER)
    assert schema.fits_binary(data) in (True, False) and schema.fits_json(data) in (True, False)
