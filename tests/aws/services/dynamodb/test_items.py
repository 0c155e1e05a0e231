"""Items through boto3: put, get, update, delete, and what each gives back."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary

from tests.aws.services.dynamodb.conftest import index, make_table, reason, refusal

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

EVERY_TYPE: dict[str, Any] = {
    "s": {"S": "text"}, "n": {"N": "1.5"}, "b": {"B": b"\x00\xff"}, "t": {"BOOL": True}, "z": {"NULL": True},
    "l": {"L": [{"N": "1"}, {"S": ""}]}, "m": {"M": {"k": {"B": b""}}}, "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]}, "bs": {"BS": [b"\x01", b"\x02"]},
}  # fmt: skip


@pytest.fixture
def table(dynamodb: Any) -> str:
    return make_table(dynamodb)


def put(dynamodb: Any, table: str, **item: Any) -> Any:
    return dynamodb.put_item(TableName=table, Item=item)


def test_an_item_of_every_type_comes_back_as_it_was_put(dynamodb: Any, table: str) -> None:
    put(dynamodb, table, id={"S": "a"}, **EVERY_TYPE)
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "a"}})["Item"] == {"id": {"S": "a"}, **EVERY_TYPE}


def test_an_item_that_is_not_there_is_no_error(dynamodb: Any, table: str) -> None:
    assert "Item" not in dynamodb.get_item(TableName=table, Key={"id": {"S": "nobody"}})
    dynamodb.delete_item(TableName=table, Key={"id": {"S": "nobody"}})


def test_items_survive_a_restart(cloud: Cloud) -> None:
    table = make_table(cloud.client("dynamodb"))
    put(cloud.client("dynamodb"), table, id={"S": "a"}, n={"N": "1"})
    cloud.restart()
    found = cloud.client("dynamodb").get_item(TableName=table, Key={"id": {"S": "a"}})
    assert found["Item"] == {"id": {"S": "a"}, "n": {"N": "1"}}


def test_the_resource_api_with_its_conditions_works(shared: Cloud, dynamodb: Any) -> None:
    table = shared.resource("dynamodb").Table(make_table(dynamodb, "id:S sk:N"))
    table.put_item(Item={"id": "a", "sk": 1, "price": Decimal("9.99"), "raw": Binary(b"\x00"), "tags": {"x", "y"}})
    table.put_item(Item={"id": "a", "sk": 2, "price": 5})
    found = table.query(
        KeyConditionExpression=Key("id").eq("a") & Key("sk").gte(1), FilterExpression=Attr("price").gt(6)
    )
    assert found["Items"] == [
        {"id": "a", "sk": 1, "price": Decimal("9.99"), "raw": Binary(b"\x00"), "tags": {"x", "y"}}
    ]
    with table.batch_writer() as batch:
        for number in range(30):
            batch.put_item(Item={"id": "b", "sk": number})
    assert table.query(KeyConditionExpression=Key("id").eq("b"), Select="COUNT")["Count"] == 30
    assert table.scan(FilterExpression=Attr("price").exists() & ~Attr("tags").contains("x"))["Count"] == 1


def test_put_gives_back_what_was_there(dynamodb: Any, table: str) -> None:
    assert "Attributes" not in dynamodb.put_item(TableName=table, Item={"id": {"S": "a"}}, ReturnValues="ALL_OLD")
    again = dynamodb.put_item(TableName=table, Item={"id": {"S": "a"}, "n": {"N": "1"}}, ReturnValues="ALL_OLD")
    assert again["Attributes"] == {"id": {"S": "a"}}
    gone = dynamodb.delete_item(TableName=table, Key={"id": {"S": "a"}}, ReturnValues="ALL_OLD")
    assert gone["Attributes"] == {"id": {"S": "a"}, "n": {"N": "1"}}
    message = reason(dynamodb.put_item, TableName=table, Item={"id": {"S": "a"}}, ReturnValues="ALL_NEW")
    assert message == "ReturnValues can only be ALL_OLD or NONE"


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("NONE", None),
        ("ALL_OLD", {"id": {"S": "a"}, "n": {"N": "1"}, "m": {"M": {"x": {"N": "1"}, "y": {"N": "2"}}}}),
        ("UPDATED_OLD", {"n": {"N": "1"}, "m": {"M": {"x": {"N": "1"}}}}),
        ("UPDATED_NEW", {"n": {"N": "2"}, "m": {"M": {"x": {"N": "7"}}}}),
        ("ALL_NEW", {"id": {"S": "a"}, "n": {"N": "2"}, "m": {"M": {"x": {"N": "7"}, "y": {"N": "2"}}}}),
    ],
)
def test_update_gives_back_what_was_asked_for(dynamodb: Any, table: str, returned: str, expected: Any) -> None:
    put(dynamodb, table, id={"S": "a"}, n={"N": "1"}, m={"M": {"x": {"N": "1"}, "y": {"N": "2"}}})
    answer = dynamodb.update_item(
        TableName=table,
        Key={"id": {"S": "a"}},
        UpdateExpression="SET n = n + :one, m.x = :seven",
        ExpressionAttributeValues={":one": {"N": "1"}, ":seven": {"N": "7"}},
        ReturnValues=returned,
    )
    assert answer.get("Attributes") == expected


def test_update_makes_an_item_unless_it_only_takes_away(dynamodb: Any, table: str) -> None:
    dynamodb.update_item(TableName=table, Key={"id": {"S": "bare"}})
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "bare"}})["Item"] == {"id": {"S": "bare"}}
    dynamodb.update_item(TableName=table, Key={"id": {"S": "no"}}, UpdateExpression="REMOVE x")
    assert "Item" not in dynamodb.get_item(TableName=table, Key={"id": {"S": "no"}})


def test_a_condition_that_fails_changes_nothing_and_shows_the_item_if_asked(dynamodb: Any, table: str) -> None:
    put(dynamodb, table, id={"S": "a"}, n={"N": "1"})
    request = {"TableName": table, "Item": {"id": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(id)"}
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as caught:
        dynamodb.put_item(**request, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert caught.value.response["Error"]["Message"] == "The conditional request failed"
    assert caught.value.response["Item"] == {"id": {"S": "a"}, "n": {"N": "1"}}
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as caught:
        dynamodb.put_item(**request)
    assert "Item" not in caught.value.response
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "a"}})["Item"]["n"] == {"N": "1"}


def test_a_projection_of_nothing_is_an_empty_item(dynamodb: Any, table: str) -> None:
    put(dynamodb, table, id={"S": "a"}, n={"N": "1"})
    answer = dynamodb.get_item(TableName=table, Key={"id": {"S": "a"}}, ProjectionExpression="absent")
    assert answer["Item"] == {}


def test_the_name_of_a_table_may_be_its_arn(dynamodb: Any, table: str) -> None:
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}"
    dynamodb.put_item(TableName=arn, Item={"id": {"S": "a"}})
    assert dynamodb.get_item(TableName=arn, Key={"id": {"S": "a"}})["Item"] == {"id": {"S": "a"}}
    assert dynamodb.describe_table(TableName=arn)["Table"]["TableName"] == table


def test_accounts_and_regions_do_not_see_each_others_tables(shared: Cloud, table: str) -> None:
    for other in (
        shared.client("dynamodb", region="eu-west-1"),
        shared.client("dynamodb", access_key="111122223333"),
    ):
        code, message = refusal(other.get_item, TableName=table, Key={"id": {"S": "a"}})
        assert (code, message) == ("ResourceNotFoundException", "Requested resource not found")


# Legacy parameters ---------------------------------------------------------------------------------------------------


def test_attribute_updates_put_add_and_delete(dynamodb: Any, table: str) -> None:
    put(dynamodb, table, id={"S": "a"}, n={"N": "1"}, tags={"SS": ["x", "y"]}, old={"S": "x"}, l={"L": []})
    answer = dynamodb.update_item(
        TableName=table,
        Key={"id": {"S": "a"}},
        AttributeUpdates={
            "n": {"Action": "ADD", "Value": {"N": "2"}},
            "tags": {"Action": "DELETE", "Value": {"SS": ["x"]}},
            "old": {"Action": "DELETE"},
            "fresh": {"Value": {"S": "y"}},
            "l": {"Action": "ADD", "Value": {"L": [{"N": "1"}]}},
        },
        ReturnValues="ALL_NEW",
    )
    assert answer["Attributes"] == {
        "id": {"S": "a"}, "n": {"N": "3"}, "tags": {"SS": ["y"]}, "fresh": {"S": "y"}, "l": {"L": [{"N": "1"}]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "operator", "holds"),
    [
        ({"n": {"Value": {"N": "1"}}}, "AND", True),
        ({"n": {"Value": {"N": "2"}}}, "AND", False),
        ({"gone": {"Exists": False}}, "AND", True),
        ({"n": {"Exists": False}}, "AND", False),
        ({"n": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "0"}]}}, "AND", True),
        ({"n": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "2"}, {"N": "3"}]}}, "AND", False),
        ({"n": {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "2"}, {"N": "1"}]}}, "AND", True),
        ({"s": {"ComparisonOperator": "NOT_CONTAINS", "AttributeValueList": [{"S": "zz"}]}}, "AND", True),
        ({"n": {"Value": {"N": "2"}}, "gone": {"ComparisonOperator": "NULL"}}, "OR", True),
        ({"n": {"Value": {"N": "2"}}, "gone": {"ComparisonOperator": "NULL"}}, "AND", False),
    ],
)
def test_expected_holds_or_not(dynamodb: Any, table: str, expected: Any, operator: str, holds: bool) -> None:
    put(dynamodb, table, id={"S": "a"}, n={"N": "1"}, s={"S": "word"})
    request = {
        "TableName": table,
        "Key": {"id": {"S": "a"}},
        "Expected": expected,
        **({"ConditionalOperator": operator} if len(expected) > 1 else {}),
    }
    if holds:
        dynamodb.delete_item(**request)
    else:
        assert refusal(dynamodb.delete_item, **request)[0] == "ConditionalCheckFailedException"


def test_attributes_to_get_is_a_projection(dynamodb: Any, table: str) -> None:
    put(dynamodb, table, id={"S": "a"}, name={"S": "x"}, n={"N": "1"})
    answer = dynamodb.get_item(TableName=table, Key={"id": {"S": "a"}}, AttributesToGet=["name", "absent"])
    assert answer["Item"] == {"name": {"S": "x"}}


# Keys and sizes ------------------------------------------------------------------------------------------------------


def test_an_item_has_400_kb_at_most(dynamodb: Any, table: str) -> None:
    """ "Quotas in Amazon DynamoDB", item size."""
    room = 409_600 - len("id") - len("a") - len("p")
    put(dynamodb, table, id={"S": "a"}, p={"S": "x" * room})
    message = reason(dynamodb.put_item, TableName=table, Item={"id": {"S": "a"}, "p": {"S": "x" * (room + 1)}})
    assert message == "Item size has exceeded the maximum allowed size"
    message = reason(
        dynamodb.update_item, TableName=table, Key={"id": {"S": "a"}},
        UpdateExpression="SET q = :q", ExpressionAttributeValues={":q": {"S": "x"}},
    )  # fmt: skip
    assert message == "Item size to update has exceeded the maximum allowed size"


def test_keys_have_2048_and_1024_bytes_at_most(dynamodb: Any) -> None:
    table = make_table(dynamodb, "id:S sk:B")
    put(dynamodb, table, id={"S": "x" * 2048}, sk={"B": b"x" * 1024})
    long_hash = reason(dynamodb.put_item, TableName=table, Item={"id": {"S": "x" * 2049}, "sk": {"B": b"x"}})
    assert long_hash.endswith("Size of hashkey has exceeded the maximum size limit of2048 bytes")
    long_range = reason(dynamodb.put_item, TableName=table, Item={"id": {"S": "x"}, "sk": {"B": b"x" * 1025}})
    assert long_range.endswith("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")


def test_index_keys_are_checked_on_every_write(dynamodb: Any) -> None:
    table = make_table(dynamodb, "id:S, g:S", GlobalSecondaryIndexes=[index("by-g", "g")])
    put(dynamodb, table, id={"S": "sparse"})
    wrong = reason(dynamodb.put_item, TableName=table, Item={"id": {"S": "a"}, "g": {"N": "1"}})
    assert wrong == (
        "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N IndexName: by-g"
    )
    empty = reason(dynamodb.put_item, TableName=table, Item={"id": {"S": "a"}, "g": {"S": ""}})
    assert empty == (
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The "
        "AttributeValue for a key attribute cannot contain an empty string value. IndexName: by-g, IndexKey: g"
    )
    wrong = reason(
        dynamodb.update_item, TableName=table, Key={"id": {"S": "sparse"}},
        UpdateExpression="SET g = :g", ExpressionAttributeValues={":g": {"BOOL": True}},
    )  # fmt: skip
    assert "Type mismatch for Index Key g" in wrong
    empty = reason(
        dynamodb.update_item, TableName=table, Key={"id": {"S": "sparse"}},
        UpdateExpression="SET g = :g", ExpressionAttributeValues={":g": {"S": ""}},
    )  # fmt: skip
    assert empty == (
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key "
        "to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value."
    )


def test_numbers_that_are_equal_are_one_key(dynamodb: Any) -> None:
    table = make_table(dynamodb, "id:N")
    put(dynamodb, table, id={"N": "1.0"}, v={"S": "first"})
    put(dynamodb, table, id={"N": "1e0"}, v={"S": "second"})
    assert dynamodb.scan(TableName=table)["Items"] == [{"id": {"N": "1"}, "v": {"S": "second"}}]


def test_collections_are_measured_in_tables_with_local_indexes(dynamodb: Any) -> None:
    table = make_table(dynamodb, "id:S sk:S, other:S", LocalSecondaryIndexes=[index("by-other", "id", "other")])
    answer = dynamodb.put_item(
        TableName=table, Item={"id": {"S": "a"}, "sk": {"S": "b"}}, ReturnItemCollectionMetrics="SIZE"
    )
    assert answer["ItemCollectionMetrics"] == {
        "ItemCollectionKey": {"id": {"S": "a"}},
        "SizeEstimateRangeGB": [0.0, 1.0],
    }
    plain = make_table(dynamodb)
    answer = dynamodb.put_item(TableName=plain, Item={"id": {"S": "a"}}, ReturnItemCollectionMetrics="SIZE")
    assert "ItemCollectionMetrics" not in answer
