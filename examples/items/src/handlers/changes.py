"""What happened to the table, one line for each change."""


def announce(event, context):
    for record in event["Records"]:
        print(record["eventName"], record["dynamodb"]["Keys"]["id"]["S"])
