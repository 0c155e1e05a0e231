"""What the service does not take, and what it says then."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gcp.services.firestore.conftest import DATABASE, ROOT

ONE = {"integerValue": "1"}
SYNTAX = (
    "Unquoted property paths must match regex ([a-zA-Z_][a-zA-Z_0-9]*), "
    r"and quoted property paths must match regex (`(?:[^`\\]|(?:\\.))+`)"
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", 'Document name "" lacks "projects" at index 0.'),
        ("foo", 'Document name "foo" lacks "projects" at index 0.'),
        (f"{ROOT}/c", f'Document name "{ROOT}/c" lacks "/" at index 42.'),
        (f"{ROOT}/c//a", f'Document name "{ROOT}/c//a" lacks a resource id at index 43.'),
        (f"{ROOT}/c/..", f'Document name "{ROOT}/c/.." contains a resource id ".." at index 43.'),
        (f"{ROOT}/c/__a__", 'Resource id "__a__" is invalid because it is reserved.'),
        (f"{ROOT}/__c__/a", 'Collection id "__c__" is invalid because it is reserved.'),
        (f"{ROOT}/c/{'a' * 1501}", "The key path element name is longer than 1500 bytes."),
        (
            ROOT,
            f'Document name "{ROOT}" is invalid: '
            'Omit "/documents" when referencing a database (except as the parent of a document).',
        ),
    ],
)
def test_names(rpc: Any, name: str, message: str) -> None:
    assert rpc("GetDocument", {"name": name}) == ("INVALID_ARGUMENT", message)


def nested(levels: int) -> Any:
    value: Any = ONE
    for _ in range(levels):
        value = {"mapValue": {"fields": {"a": value}}}
    return value


def vector(**fields: Any) -> Any:
    return {"mapValue": {"fields": {"__type__": {"stringValue": "__vector__"}, **fields}}}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"": ONE}, "The property.name is the empty string."),
        ({"__f__": ONE}, "field name __f__ is reserved"),
        ({"m": {"mapValue": {"fields": {"__f__": ONE}}}}, "field name '__f__' is reserved."),
        ({"f" * 1501: ONE}, "The property.name is longer than 1500 bytes."),
        ({"f": {"stringValue": "x" * 1048488}}, 'The value of property "f" is longer than 1048487 bytes.'),
        ({"f": nested(21)}, "Property f contains an invalid nested entity."),
        ({"f": {}}, "Cannot convert firestore.v1.Value with type unset."),
        ({"f": {"referenceValue": "foo"}}, 'Resource name "foo" lacks "projects" at index 0.'),
        (
            {"f": {"arrayValue": {"values": [{"arrayValue": {}}]}}},
            "Cannot convert an array value in an array value.",
        ),
        (
            {"f": {"geoPointValue": {"latitude": 91}}},
            "Geo point latitude '91.0' outside permitted range -90.0 to 90.0.",
        ),
        (
            {"f": {"geoPointValue": {"longitude": "NaN"}}},
            "Geo point longitude 'NaN' outside permitted range -180.0 to 180.0.",
        ),
        ({"f": vector()}, "Vector map is missing key 'value'."),
        ({"f": vector(value={"arrayValue": {}})}, "Cannot have a zero length vector."),
        ({"f": vector(value={"arrayValue": {"values": [ONE]}})}, "Vector must only contain values of type 'double'"),
        (
            {"f": vector(value={"arrayValue": {"values": [{"doubleValue": 1}] * 2049}})},
            "Vectors must be at most 2048 dimensions.",
        ),
        (
            {"f": {"stringValue": "x" * 1048400}, "g": {"stringValue": "x" * 300}},
            'Document "c/a" cannot be written because its size (1,048,758 bytes) exceeds the maximum allowed size of '
            "1,048,576 bytes.",
        ),
    ],
)
def test_documents(rpc: Any, fields: Any, message: str) -> None:
    write = {"update": {"name": f"{ROOT}/c/a", "fields": fields}}
    assert rpc("Commit", {"database": DATABASE, "writes": [write]}) == ("INVALID_ARGUMENT", message)


def test_the_size_of_a_document_is_worked_out_as_it_is_documented() -> None:
    """The example of "Storage size calculations": users/jeff/tasks/my_task_id is 147 bytes."""
    from fogbank.gcp.services.firestore import messages, values

    document = messages.Document()
    document.fields["type"].string_value = "Personal"
    document.fields["done"].boolean_value = False
    document.fields["priority"].integer_value = 1
    document.fields["description"].string_value = "Learn Cloud Firestore"
    path = ("users", "jeff", "tasks", "my_task_id")
    assert (values.name_size(path), values.check_document(path, document.fields)) == (44, 147)


def test_twenty_levels_are_deep_enough(rpc: Any) -> None:
    write = {"update": {"name": f"{ROOT}/c/a", "fields": {"f": nested(20)}}}
    assert "commitTime" in rpc("Commit", {"database": DATABASE, "writes": [write]})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        ({}, "empty write operation"),
        ({"delete": f"{ROOT}/c/a", "updateMask": {}}, "a delete must not specify a document mask."),
        (
            {"update": {"name": f"{ROOT}/c/a"}, "updateMask": {"fieldPaths": ["a..b"]}},
            f'Invalid property path "a..b". {SYNTAX}',
        ),
        (
            {"update": {"name": f"{ROOT}/c/a"}, "updateMask": {"fieldPaths": [""]}},
            "Invalid empty property path string.",
        ),
        (
            {"transform": {"document": f"{ROOT}/c/a"}},
            "The list of FieldTransform must not be empty.",
        ),
        (
            {
                "update": {"name": f"{ROOT}/c/a"},
                "updateTransforms": [{"fieldPath": "a", "increment": {"stringValue": ""}}],
            },
            "Input must be int64 or double.",
        ),
        (
            {"update": {"name": f"{ROOT}/c/a"}, "updateTransforms": [{"fieldPath": "a"}]},
            "Operation type must be specified for field transformation.",
        ),
        (
            {
                "update": {"name": f"{ROOT}/c/a"},
                "updateTransforms": [{"fieldPath": path, "increment": ONE} for path in ("a", "a.b")],
            },
            "Cannot transform property a and its nested property at the same time.",
        ),
    ],
)
def test_writes(rpc: Any, write: Any, message: str) -> None:
    assert rpc("Commit", {"database": DATABASE, "writes": [write]}) == ("INVALID_ARGUMENT", message)


def filtered(path: str, op: Any, value: Any) -> dict[str, Any]:
    return {"where": {"fieldFilter": {"field": {"fieldPath": path}, "op": op, "value": value}}}


def listed(count: int) -> dict[str, Any]:
    return {"arrayValue": {"values": [{"integerValue": str(number)} for number in range(count)]}}


def ordered(*paths: str) -> dict[str, Any]:
    return {"orderBy": [{"field": {"fieldPath": path}} for path in paths]}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"from": [{"collectionId": "c"}] * 2}, "StructuredQuery.from cannot have more than one collection selector."),
        ({"from": [{"collectionId": "a/b"}]}, 'Collection id "a/b" is invalid because it contains "/".'),
        (ordered("a", "a"), "order by clause cannot contain duplicate fields a"),
        (ordered("a..b"), f'Invalid property path "a..b". {SYNTAX}'),
        ({"limit": -1}, "limit is negative"),
        ({"offset": -1}, "offset is negative"),
        ({"startAt": {"values": [ONE]}}, "Cursor has too many values."),
        ({"where": {}}, "Unknown Filter type."),
        ({"where": {"compositeFilter": {"op": "OR"}}}, "Composite filter must have at least one sub-filter."),
        (filtered("a", 0, ONE), "Unknown FieldFilter operator."),
        (filtered("a", "IN", ONE), "'IN' requires an ArrayValue."),
        (filtered("a", "IN", listed(0)), "'IN' requires an non-empty ArrayValue."),
        (filtered("a", "IN", listed(31)), "'IN' supports up to 30 comparison values."),
        (filtered("a", "NOT_IN", listed(11)), "'NOT_IN' supports up to 10 comparison values."),
        (filtered("__name__", "EQUAL", ONE), "__key__ filter value must be a Key"),
        (
            {"findNearest": {"vectorField": {"fieldPath": "v"}, "limit": 1001}},
            "FindNearest.limit must be a positive integer of no more than 1000",
        ),
    ],
)
def test_queries(rpc: Any, query: Any, message: str) -> None:
    asked = {"parent": ROOT, "structuredQuery": {"from": [{"collectionId": "c"}], **query}}
    assert rpc("RunQuery", asked) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize(
    ("aggregations", "message"),
    [
        ([], "Aggregations can not be empty."),
        ([{}], "Operator field in Aggregation is not set."),
        ([{"count": {}, "alias": "x"}] * 2, "Aggregation aliases contain duplicate alias: x."),
        ([{"count": {}, "alias": "__x__"}], 'The property.name "__x__" is reserved.'),
        (
            [{"count": {"upTo": "-1"}}],
            "The `up_to` value in a COUNT aggregation must be greater than or equal to zero.",
        ),
    ],
)
def test_aggregations(rpc: Any, aggregations: Any, message: str) -> None:
    asked = {"structuredQuery": {"from": [{"collectionId": "c"}]}, "aggregations": aggregations}
    answer = rpc("RunAggregationQuery", {"parent": ROOT, "structuredAggregationQuery": asked})
    assert answer == ("INVALID_ARGUMENT", message)


def test_pages(rpc: Any) -> None:
    listing = {"parent": ROOT, "collectionId": "c"}
    for more, message in (
        ({"pageSize": -1}, "Page size must be nonnegative."),
        ({"pageToken": "zz"}, "invalid page token"),
        ({"orderBy": "a foo"}, 'Invalid order by clause "a foo".'),
        ({"orderBy": "a", "showMissing": True}, "cannot specify an order when show_missing is true"),
    ):
        assert rpc("ListDocuments", {**listing, **more}) == ("INVALID_ARGUMENT", message)


def test_a_refusal_is_short_however_long_what_it_quotes(rpc: Any) -> None:
    code, message = rpc("GetDocument", {"name": "x" * 100_000})
    assert (code, len(message) < 2100) == ("INVALID_ARGUMENT", True)


def test_a_request_may_be_eleven_mebibytes_large(rpc: Any) -> None:
    large = {"update": {"name": f"{ROOT}/c/a", "fields": {"f": {"stringValue": "x" * 1_000_000}}}}
    code, message = rpc("Commit", {"database": DATABASE, "writes": [large] * 12})
    assert (code, message) == ("INVALID_ARGUMENT", "Request payload size exceeds the limit: 11534336 bytes.")


def test_what_is_left_out_is_refused_by_name(rpc: Any) -> None:
    code, message = rpc("ExecutePipeline", {"database": DATABASE})
    assert (code, "ExecutePipeline" in message) == ("UNIMPLEMENTED", True)


def test_a_document_has_five_hundred_transforms_at_most(rpc: Any) -> None:
    """ "Usage and limits": "Maximum number of field transformations that can be performed on a single document"."""

    def commit(count: int) -> Any:
        transforms = [{"fieldPath": f"f{number}", "increment": ONE} for number in range(count)]
        write = {"update": {"name": f"{ROOT}/c/a", "fields": {}}, "updateTransforms": transforms}
        return rpc("Commit", {"database": DATABASE, "writes": [write]})

    assert len(commit(500)["writeResults"]) == 1
    code, message = commit(501)
    assert (code, "500 field transforms" in message) == ("INVALID_ARGUMENT", True)


def test_a_document_of_another_project_is_not_of_the_database_and_nothing_is_written(rpc: Any) -> None:
    mine, other = f"{ROOT}/c/a", "projects/other/databases/(default)/documents/c/a"
    writes = [{"update": {"name": mine, "fields": {}}}, {"update": {"name": other, "fields": {}}}]
    refused = rpc("Commit", {"database": DATABASE, "writes": writes})
    told = f'Document name "{other}" does not belong to the database "{DATABASE}" of the request.'
    assert refused == ("INVALID_ARGUMENT", told)
    assert rpc("GetDocument", {"name": mine})[0] == "NOT_FOUND"
