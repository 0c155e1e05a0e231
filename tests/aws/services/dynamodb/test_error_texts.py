"""Texts of errors as Amazon DynamoDB was seen to give them, told through boto3: the list to compare others by.

Sources: the API Reference's and Developer Guide's sections named beside the lines, and answers of the service that
public test suites have on record. Where regions word one thing in two ways, the one without the envelope "1 validation
error detected: " stands here.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.services.dynamodb.conftest import index, make_table, reason, refusal

INVALID = "One or more parameter values were invalid: "
NO_MATCH = "The provided key element does not match the schema"
EMPTY_KEY = (
    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
)
V: dict[str, Any] = {":v": {"S": "x"}}


@pytest.fixture(scope="module")
def plain(dynamodb: Any) -> str:
    return make_table(dynamodb)


@pytest.fixture(scope="module")
def ranged(dynamodb: Any) -> str:
    return make_table(
        dynamodb, "id:S sk:N, g:S", GlobalSecondaryIndexes=[index("by-g", "g", projection="INCLUDE", extra=["seen"])]
    )


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"x": {"S": "a"}}, INVALID + "Missing the key id in the item"),
        ({"id": {"N": "1"}}, INVALID + "Type mismatch for key id expected: S actual: N"),
        ({"id": {"S": ""}}, EMPTY_KEY + "string value. Key: id"),
        ({"id": {"S": "a"}, "x": {"SS": []}}, INVALID + "An string set  may not be empty"),
        ({"id": {"S": "a"}, "x": {"N": "one"}}, "The parameter cannot be converted to a numeric value: one"),
    ],
)
def test_putting_a_bad_item(dynamodb: Any, plain: str, item: Any, message: str) -> None:
    assert reason(dynamodb.put_item, TableName=plain, Item=item) == message


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({}, NO_MATCH),
        ({"id": {"N": "1"}}, NO_MATCH),
        ({"other": {"S": "a"}}, NO_MATCH),
        ({"id": {"S": "a"}, "sk": {"N": "1"}}, NO_MATCH),
        ({"id": {"S": ""}}, EMPTY_KEY + "string value. Key: id"),
    ],
)
def test_asking_with_a_bad_key(dynamodb: Any, plain: str, key: Any, message: str) -> None:
    assert reason(dynamodb.get_item, TableName=plain, Key=key) == message
    assert reason(dynamodb.delete_item, TableName=plain, Key=key) == message
    assert reason(dynamodb.update_item, TableName=plain, Key=key) == message


def test_a_table_that_is_not_there(dynamodb: Any) -> None:
    missing = ("ResourceNotFoundException", "Requested resource not found")
    assert refusal(dynamodb.get_item, TableName="absent", Key={"id": {"S": "a"}}) == missing
    assert refusal(dynamodb.scan, TableName="absent") == missing
    named = ("ResourceNotFoundException", "Requested resource not found: Table: absent not found")
    assert refusal(dynamodb.describe_table, TableName="absent") == named
    assert refusal(dynamodb.delete_table, TableName="absent") == named


@pytest.mark.parametrize(
    ("request_part", "message"),
    [
        (
            {"UpdateExpression": "SET id = :v", "ExpressionAttributeValues": V},
            INVALID + "Cannot update attribute id. This attribute is part of the key",
        ),
        (
            {"UpdateExpression": "SET a1 = :v"},
            "Invalid UpdateExpression: An expression attribute value used in expression is not defined; "
            "attribute value: :v",
        ),
        (
            {"UpdateExpression": "SET a1 = :v", "AttributeUpdates": {"a1": {"Value": {"S": "x"}}}},
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
            "{AttributeUpdates} Expression parameters: {UpdateExpression}",
        ),
        (
            {"ExpressionAttributeValues": V},
            "ExpressionAttributeValues can only be specified when using expressions: UpdateExpression and "
            "ConditionExpression are null",
        ),
        (
            {"ExpressionAttributeNames": {"#a": "a"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            {"AttributeUpdates": {"a1": {"Action": "ADD", "Value": {"S": "x"}}}},
            INVALID + "ADD action is not supported for the type S",
        ),
        (
            {"AttributeUpdates": {"a1": {"Action": "PUT"}}},
            INVALID + "Only DELETE action is allowed when no attribute value is specified",
        ),
        (
            {"Expected": {"a1": {"Exists": True}}},
            INVALID + "Value must be provided when Exists is true for Attribute: a1",
        ),
        (
            {"Expected": {"a1": {"Exists": False, "Value": {"S": "x"}}}},
            INVALID + "Value cannot be used when Exists is false for Attribute: a1",
        ),
        (
            {"Expected": {"a1": {"ComparisonOperator": "EQ", "AttributeValueList": []}}},
            INVALID + "Invalid number of argument(s) for the EQ ComparisonOperator",
        ),
        (
            {"Expected": {"a1": {"ComparisonOperator": "LT", "AttributeValueList": [{"SS": ["x"]}]}}},
            INVALID + "ComparisonOperator LT is not valid for SS AttributeValue type",
        ),
    ],
)
def test_updating_badly(dynamodb: Any, plain: str, request_part: Any, message: str) -> None:
    assert reason(dynamodb.update_item, TableName=plain, Key={"id": {"S": "a"}}, **request_part) == message


P, N1 = {"S": "p"}, {"N": "1"}


@pytest.mark.parametrize(
    ("condition", "values", "message"),
    [
        ("sk = :n", {":n": N1}, "Query condition missed key schema element: id"),
        ("extra = :n", {":n": N1}, "Query condition missed key schema element: id"),
        ("id = :p AND extra = :n", {":p": P, ":n": N1}, "Query condition missed key schema element: sk"),
        ("id > :p", {":p": P}, "Query key condition not supported"),
        ("id = :n", {":n": N1}, INVALID + "Condition parameter type does not match schema type"),
        (
            "id = :p AND begins_with(sk, :q)",
            {":p": P, ":q": P},
            INVALID + "Condition parameter type does not match schema type",
        ),
        (
            "id = :p AND begins_with(sk, :n)",
            {":p": P, ":n": N1},
            "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: "
            "begins_with, operand type: N",
        ),
        (
            "id = :p AND :b >= sk",
            {":p": P, ":b": {"BOOL": True}},
            "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
            "operator or function: >=, operand type: BOOL",
        ),
        (
            "id = :p AND sk > :n AND sk < :m",
            {":p": P, ":n": N1, ":m": N1},
            "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
        ),
        (
            "id = :p AND sk > :n AND extra = :m",
            {":p": P, ":n": N1, ":m": N1},
            "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)",
        ),
        ("id = :p OR sk = :n", {":p": P, ":n": N1}, "Invalid operator used in KeyConditionExpression: OR"),
        ("id <> :p", {":p": P}, "Invalid operator used in KeyConditionExpression: <>"),
        ("contains(id, :p)", {":p": P}, "Invalid operator used in KeyConditionExpression: contains"),
        ("id.a1 = :p", {":p": P}, "KeyConditionExpressions cannot have conditions on nested attributes"),
        ("size(id) = :n", {":n": N1}, "KeyConditionExpressions cannot contain nested operations"),
        ("id = :p", {":p": {"S": ""}}, EMPTY_KEY + "string value. Key: id"),
        ("", {":p": P}, "Invalid KeyConditionExpression: The expression can not be empty;"),
    ],
)
def test_querying_badly(dynamodb: Any, ranged: str, condition: str, values: Any, message: str) -> None:
    request = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values}
    assert reason(dynamodb.query, TableName=ranged, **request) == message


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"IndexName": "absent"}, "The table does not have the specified index: absent"),
        (
            {"Select": "SPECIFIC_ATTRIBUTES"},
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        ),
        (
            {"Select": "ALL_PROJECTED_ATTRIBUTES"},
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        ),
        (
            {"Select": "COUNT", "ProjectionExpression": "a1"},
            "Cannot specify the ProjectionExpression when choosing to get only the Count",
        ),
        (
            {"ExclusiveStartKey": {"id": {"S": "a"}}},
            "The provided starting key is invalid: The provided key element does not match the schema",
        ),
        (
            {"Segment": 1},
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is "
            "present",
        ),
        (
            {"TotalSegments": 2},
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is "
            "present",
        ),
        (
            {"Segment": 2, "TotalSegments": 2},
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 2 is not less "
            "than TotalSegments: 2",
        ),
        (
            {"IndexName": "by-g", "ConsistentRead": True},
            "Consistent reads are not supported on global secondary indexes",
        ),
        (
            {"IndexName": "by-g", "Select": "ALL_ATTRIBUTES"},
            INVALID + "Select type ALL_ATTRIBUTES is not supported for global secondary index by-g because its "
            "projection type is not ALL",
        ),
        (
            {"IndexName": "by-g", "ProjectionExpression": "hidden1"},
            INVALID + "Global secondary index by-g does not project [hidden1]",
        ),
        (
            {"ProjectionExpression": "id.a1"},
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: id",
        ),
        (
            {"AttributesToGet": ["a1", "a1"]},
            INVALID + "Duplicate value in attribute name: a1",
        ),
    ],
)
def test_scanning_badly(dynamodb: Any, ranged: str, extra: Any, message: str) -> None:
    assert reason(dynamodb.scan, TableName=ranged, **extra) == message


def test_a_filter_of_a_query_may_not_speak_of_keys(dynamodb: Any, ranged: str) -> None:
    message = reason(
        dynamodb.query, TableName=ranged, KeyConditionExpression="id = :p",
        FilterExpression="sk = :n", ExpressionAttributeValues={":p": P, ":n": N1},
    )  # fmt: skip
    assert message == ("Filter Expression can only contain non-primary key attributes: Primary key attribute: sk")


@pytest.mark.parametrize(
    ("start", "condition", "message"),
    [
        (
            {"id": {"S": "q"}, "sk": N1},
            "id = :p",
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        (
            {"id": P, "sk": {"N": "9"}},
            "id = :p AND sk < :n",
            "The provided starting key does not match the range key predicate",
        ),
    ],
)
def test_a_starting_key_must_lie_where_the_query_looks(
    dynamodb: Any, ranged: str, start: Any, condition: str, message: str
) -> None:
    values = {":p": P, **({":n": {"N": "5"}} if ":n" in condition else {})}
    request = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values, "ExclusiveStartKey": start}
    assert reason(dynamodb.query, TableName=ranged, **request) == message
