"""The server is killed at random moments under load; whatever it acknowledged is there afterwards."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import Fogbank

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 50
WRITERS = 4


class Writer(threading.Thread):
    """Puts items and sends messages until the connection breaks; remembers what was acknowledged."""

    def __init__(self, port: int, queue: str, name: str) -> None:
        super().__init__(daemon=True)
        self.port, self.queue, self.prefix = port, queue, name
        self.items: list[str] = []
        self.messages: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        number = 0
        try:
            while True:
                key = f"{self.prefix}-{number}"
                number += 1
                item = {"TableName": "things", "Item": {"id": {"S": key}}}
                if ask(connection, "DynamoDB_20120810.PutItem", item) == 200:
                    self.items.append(key)
                message = {"QueueUrl": self.queue, "MessageBody": key}
                if ask(connection, "AmazonSQS.SendMessage", message) == 200:
                    self.messages.append(key)
        except (OSError, http.client.HTTPException):
            return


def ask(connection: http.client.HTTPConnection, target: str, body: Any) -> int:
    connection.request("POST", "/", json.dumps(body), {"X-Amz-Target": target})
    answer = connection.getresponse()
    answer.read()
    return answer.status


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_no_acknowledged_write_is_lost_by_kill_9(tmp_path: Path) -> None:
    program, chance = Fogbank(tmp_path), random.Random(7)
    program.run("start", "--detach")
    program.client("dynamodb").create_table(
        TableName="things", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    queue = program.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    items: set[str] = set()
    messages: set[str] = set()
    for kill in range(KILLS):
        status = program.json("status")
        port = int(status["url"].rpartition(":")[2])
        writers = [Writer(port, queue, f"{kill}-{one}") for one in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(chance.uniform(0.02, 0.15))  # The moment of the kill is what varies.
        os.kill(status["pid"], signal.SIGKILL)
        for writer in writers:
            writer.join(10)
            items.update(writer.items)
            messages.update(writer.messages)
        program.run("start", "--detach")
    try:
        assert len(items) > KILLS and len(messages) > KILLS
        pages = program.client("dynamodb").get_paginator("scan").paginate(TableName="things")
        found = {item["id"]["S"] for page in pages for item in page["Items"]}
        assert items - found == set()
        sqs = program.client("sqs")
        kept: set[str] = set()
        while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            kept.update(message["Body"] for message in batch)
        assert messages - kept == set()
    finally:
        program.stop()
