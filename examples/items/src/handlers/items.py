"""Items over HTTP."""

import json
import os
import time
import uuid
from decimal import Decimal

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def create(event, context):
    try:
        wanted = json.loads(event["body"] or "{}", parse_float=Decimal)
    except ValueError:
        return answer(400, {"error": "the body must be JSON"})
    if not isinstance(wanted, dict) or not wanted.get("name"):
        return answer(400, {"error": "an item needs a name"})
    item = {**wanted, "id": str(uuid.uuid4()), "created": int(time.time())}
    table.put_item(Item=item)
    return answer(201, item)


def get(event, context):
    item = table.get_item(Key={"id": event["pathParameters"]["id"]}).get("Item")
    return answer(200, item) if item else answer(404, {"error": "no such item"})


def tidy(event, context):
    """Once a day: items that were given up are removed."""
    gone = [item["id"] for item in table.scan()["Items"] if item.get("state") == "given up"]
    for item_id in gone:
        table.delete_item(Key={"id": item_id})
    print(f"removed {len(gone)} items")


def answer(status, document):
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(document, default=_number),
    }


def _number(value):
    """DynamoDB gives Decimals, which json does not know."""
    return int(value) if value == value.to_integral_value() else float(value)
