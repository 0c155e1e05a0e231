"""A topic with its listeners, as a person deploys and uses it; killed between a publication and its deliveries."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from tests.scenarios.test_items_app import http
from tests.support.command import Fogbank
from tests.support.waiting import eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "fanout"


def order(number: int, weight: int = 1, country: str = "NO") -> dict[str, Any]:
    return {"id": f"o-{number}", "weight": weight, "customer": {"country": country}}


class App:
    def __init__(self, fogbank: Fogbank) -> None:
        self.fogbank = fogbank
        shutil.copytree(EXAMPLE, fogbank.folder, dirs_exist_ok=True)
        told = fogbank.json("up", "--no-watch")
        self.outputs, self.api = told["outputs"], next(iter(told["apis"].values()))

    def lines(self, function: str, text: str) -> list[str]:
        """What comes behind the text in the function's log."""
        found = self.fogbank.run("logs", function).stdout.splitlines()
        return sorted(line.partition(text)[2].strip() for line in found if text in line)

    def taken(self, queue: str) -> list[dict[str, Any]]:
        sqs = self.fogbank.client("sqs")
        asked = {"QueueUrl": self.outputs[queue], "MaxNumberOfMessages": 10}
        return list(sqs.receive_message(**asked).get("Messages", []))


def test_each_listener_gets_what_it_asks_for(fogbank: Fogbank) -> None:
    app = App(fogbank)
    for one in (order(1), order(2, weight=50), order(3, country="XX")):
        assert http(f"{app.api}/orders", one)[0] == 202
    eventually(lambda: app.lines("Bill", "billed") == ["o-1", "o-2", "o-3"])
    eventually(lambda: app.lines("PackByHand", "packed by hand") == ["o-2"])
    kept: set[str] = set()
    eventually(lambda: kept.update(json.loads(one["Body"])["id"] for one in app.taken("ArchiveUrl")) or len(kept) == 2)
    assert kept == {"o-1", "o-2"}

    # Nobody packs by hand any more: what was for them is kept.
    stack = fogbank.client("cloudformation").describe_stack_resources(StackName="app")["StackResources"]
    [packer] = [one["PhysicalResourceId"] for one in stack if one["LogicalResourceId"] == "PackByHand"]
    fogbank.client("lambda").delete_function(FunctionName=packer)
    http(f"{app.api}/orders", order(4, weight=50))
    [lost] = eventually(lambda: app.taken("LostUrl"))
    told = json.loads(lost["Body"])
    assert (told["Subject"], json.loads(told["Message"])["id"]) == ("New order", "o-4")


def test_what_was_published_before_a_kill_is_delivered_after_it(fogbank: Fogbank) -> None:
    app = App(fogbank)
    sns, status = fogbank.client("sns"), fogbank.json("status")
    for number in range(30):
        sns.publish(TopicArn=app.outputs["Topic"], Message=json.dumps(order(number)))
    os.kill(status["pid"], signal.SIGKILL)
    fogbank.run("start", "--detach", "--port", status["url"].rpartition(":")[2])
    wanted, kept = {f"o-{number}" for number in range(30)}, set[str]()
    eventually(lambda: kept.update(json.loads(one["Body"])["id"] for one in app.taken("ArchiveUrl")) or kept == wanted)
