"""TransactWriteItems and TransactGetItems: all or nothing, once for each token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.services.dynamodb.conftest import index, make_table, reason, refusal

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons "


@pytest.fixture
def table(dynamodb: Any) -> str:
    return make_table(dynamodb)


def put(table: str, name: str, **more: Any) -> dict[str, Any]:
    options = {key: more.pop(key) for key in list(more) if key[0].isupper()}
    return {"Put": {"TableName": table, "Item": {"id": {"S": name}, **more}, **options}}


def cancelled(dynamodb: Any, *items: Any) -> tuple[str, list[Any]]:
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught:
        dynamodb.transact_write_items(TransactItems=list(items))
    return caught.value.response["Error"]["Message"], caught.value.response["CancellationReasons"]


def names(dynamodb: Any, table: str) -> set[str]:
    return {item["id"]["S"] for item in dynamodb.scan(TableName=table)["Items"]}


def test_all_kinds_of_actions_on_two_tables_happen_together(dynamodb: Any, table: str) -> None:
    other = make_table(dynamodb, "id:S sk:N")
    dynamodb.put_item(TableName=table, Item={"id": {"S": "old"}})
    dynamodb.put_item(TableName=table, Item={"id": {"S": "guard"}})
    dynamodb.transact_write_items(
        TransactItems=[
            put(table, "new"),
            {"Delete": {"TableName": table, "Key": {"id": {"S": "old"}}}},
            {
                "Update": {
                    "TableName": other,
                    "Key": {"id": {"S": "a"}, "sk": {"N": "1"}},
                    "UpdateExpression": "ADD hits :one",
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                }
            },
            {
                "ConditionCheck": {
                    "TableName": table,
                    "Key": {"id": {"S": "guard"}},
                    "ConditionExpression": "attribute_exists(id)",
                }
            },
        ]
    )
    assert names(dynamodb, table) == {"new", "guard"}
    assert dynamodb.scan(TableName=other)["Items"] == [{"id": {"S": "a"}, "sk": {"N": "1"}, "hits": {"N": "1"}}]


def test_one_failed_condition_cancels_all_and_the_reasons_stand_in_order(dynamodb: Any, table: str) -> None:
    dynamodb.put_item(TableName=table, Item={"id": {"S": "b"}, "n": {"N": "1"}})
    absent = {"ConditionExpression": "attribute_not_exists(id)"}
    shown = {**absent, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    message, reasons = cancelled(dynamodb, put(table, "a", **absent), put(table, "b", **shown))
    assert message == CANCELLED + "[None, ConditionalCheckFailed]"
    assert reasons == [
        {"Code": "None"},
        {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
            "Item": {"id": {"S": "b"}, "n": {"N": "1"}},
        },
    ]
    assert names(dynamodb, table) == {"b"}


def test_a_key_that_does_not_fit_is_the_reason_of_its_action(dynamodb: Any, table: str) -> None:
    message, reasons = cancelled(dynamodb, put(table, "a"), {"Put": {"TableName": table, "Item": {"id": {"N": "5"}}}})
    assert message == CANCELLED + "[None, ValidationError]"
    assert reasons[1]["Message"] == (
        "One or more parameter values were invalid: Type mismatch for key id expected: S actual: N"
    )
    _, reasons = cancelled(dynamodb, {"Delete": {"TableName": table, "Key": {"id": {"L": []}}}})
    assert reasons[0]["Message"] == "The provided key element does not match the schema"


def test_an_index_key_that_does_not_fit_cancels_and_undoes(dynamodb: Any) -> None:
    table = make_table(dynamodb, "id:S, g:S", GlobalSecondaryIndexes=[index("by-g", "g")])
    message, reasons = cancelled(dynamodb, put(table, "a"), put(table, "b", g={"N": "1"}))
    assert message == CANCELLED + "[None, ValidationError]"
    assert "Type mismatch for Index Key g" in reasons[1]["Message"]
    empty = reason(dynamodb.transact_write_items, TransactItems=[put(table, "a"), put(table, "b", g={"S": ""})])
    assert empty.endswith("cannot contain an empty string value. IndexName: by-g, IndexKey: g")
    assert names(dynamodb, table) == set()


def test_an_update_that_the_item_does_not_allow_cancels(dynamodb: Any, table: str) -> None:
    dynamodb.put_item(TableName=table, Item={"id": {"S": "a"}, "word": {"S": "x"}})
    update = {
        "TableName": table, "Key": {"id": {"S": "a"}}, "UpdateExpression": "ADD word :n",
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    }  # fmt: skip
    _, reasons = cancelled(dynamodb, {"Update": update})
    assert reasons == [
        {"Code": "ValidationError", "Message": "An operand in the update expression has an incorrect data type"}
    ]


def test_an_item_may_be_named_only_once(dynamodb: Any, table: str) -> None:
    message = "Transaction request cannot include multiple operations on one item"
    twice = [put(table, "a"), {"Delete": {"TableName": table, "Key": {"id": {"S": "a"}}}}]
    assert reason(dynamodb.transact_write_items, TransactItems=twice) == message
    get = {"Get": {"TableName": table, "Key": {"id": {"S": "a"}}}}
    assert reason(dynamodb.transact_get_items, TransactItems=[get, get]) == message


def test_what_is_wrong_in_the_request_is_told_before_a_missing_table(dynamodb: Any, table: str) -> None:
    """Seen on AWS: expressions of all actions are read before any table is looked up."""
    broken = {
        "ConditionCheck": {
            "TableName": table, "Key": {"id": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(",
        }
    }  # fmt: skip
    assert reason(dynamodb.transact_write_items, TransactItems=[put("absent", "a"), broken]) == (
        'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("'
    )
    assert refusal(dynamodb.transact_write_items, TransactItems=[put("absent", "a")]) == (
        "ResourceNotFoundException", "Requested resource not found",
    )  # fmt: skip


def test_the_same_token_does_it_once_for_ten_minutes(cloud: Cloud) -> None:
    """ "Idempotency" of TransactWriteItems."""
    dynamodb = cloud.client("dynamodb")
    table = make_table(dynamodb)
    add = {
        "Update": {
            "TableName": table, "Key": {"id": {"S": "a"}}, "UpdateExpression": "ADD hits :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }  # fmt: skip

    def hits() -> str:
        return str(dynamodb.get_item(TableName=table, Key={"id": {"S": "a"}})["Item"]["hits"]["N"])

    dynamodb.transact_write_items(TransactItems=[add], ClientRequestToken="once")
    dynamodb.transact_write_items(TransactItems=[add], ClientRequestToken="once")
    assert hits() == "1"
    code, _ = refusal(dynamodb.transact_write_items, TransactItems=[put(table, "b")], ClientRequestToken="once")
    assert code == "IdempotentParameterMismatchException"
    cloud.restart()
    dynamodb = cloud.client("dynamodb")
    dynamodb.transact_write_items(TransactItems=[add], ClientRequestToken="once")
    assert hits() == "1"
    cloud.advance(seconds=601)
    dynamodb.transact_write_items(TransactItems=[add], ClientRequestToken="once")
    assert hits() == "2"


def test_gets_answer_in_their_order_with_gaps(dynamodb: Any, table: str) -> None:
    dynamodb.put_item(TableName=table, Item={"id": {"S": "b"}, "n": {"N": "1"}, "m": {"N": "2"}})
    dynamodb.put_item(TableName=table, Item={"id": {"S": "c"}})
    gets = [
        {"Get": {"TableName": table, "Key": {"id": {"S": "a"}}}},
        {"Get": {"TableName": table, "Key": {"id": {"S": "b"}}, "ProjectionExpression": "m"}},
        {"Get": {"TableName": table, "Key": {"id": {"S": "c"}}, "ProjectionExpression": "absent"}},
    ]
    answer = dynamodb.transact_get_items(TransactItems=gets, ReturnConsumedCapacity="TOTAL")
    assert answer["Responses"] == [{}, {"Item": {"m": {"N": "2"}}}, {}]
    assert answer["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 6.0, "ReadCapacityUnits": 6.0}]


def test_items_of_a_transaction_have_4_mb_together(dynamodb: Any, table: str) -> None:
    large = {"S": "x" * 400_000}
    items = [put(table, str(number), pad=large) for number in range(11)]
    assert "4 MB" in reason(dynamodb.transact_write_items, TransactItems=items)
    assert names(dynamodb, table) == set()
