"""Orders: taken over HTTP and published; billed and packed by whoever listens."""

import json
import os

import boto3

topic = boto3.resource("sns").Topic(os.environ["TOPIC_ARN"]) if "TOPIC_ARN" in os.environ else None


def take(event, context):
    order = json.loads(event["body"])
    weight = {"DataType": "Number", "StringValue": str(order["weight"])}
    sent = topic.publish(Message=json.dumps(order), Subject="New order", MessageAttributes={"weight": weight})
    return {"statusCode": 202, "body": json.dumps({"message": sent["MessageId"]})}


def bill(event, context):
    for record in event["Records"]:  # Messages of the queue between; each holds a notification.
        order = json.loads(json.loads(record["body"])["Message"])
        print("billed", order["id"])


def pack(event, context):
    for record in event["Records"]:
        order = json.loads(record["Sns"]["Message"])
        print("packed by hand", order["id"])
