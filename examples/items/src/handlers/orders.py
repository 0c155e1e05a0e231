"""Orders from the queue: each names an item, which is marked as ordered. What fails comes back by itself."""

import json
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def process(event, context):
    failures = []
    for record in event["Records"]:
        try:
            order = json.loads(record["body"])
            table.update_item(
                Key={"id": order["item"]},
                UpdateExpression="ADD orders :one",
                ConditionExpression="attribute_exists(id)",
                ExpressionAttributeValues={":one": 1},
            )
        except Exception as error:
            print(f"order {record['messageId']} failed: {error}")
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}
