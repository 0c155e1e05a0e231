"""Apps as a person deploys and uses them: HTTP, queue, stream, schedule; killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.support import postgres
from tests.support.command import Fogbank
from tests.support.waiting import eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "items"


def http(url: str, body: Any = None) -> tuple[int, Any]:
    host = url.split("/")[2]
    at = url.replace(host, f"127.0.0.1:{host.rpartition(':')[2]}")
    data = json.dumps(body).encode() if body is not None else None
    try:
        with urllib.request.urlopen(urllib.request.Request(at, data, {"Host": host})) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_example_app_runs_and_survives_a_kill(fogbank: Fogbank) -> None:
    shutil.copytree(EXAMPLE, fogbank.folder, dirs_exist_ok=True)
    told = fogbank.run("up", "--no-watch").stdout
    assert "Url = https://" in told and "here: http://" in told
    api = next(iter(fogbank.json("up", "--no-watch")["apis"].values()))

    status, made = http(f"{api}/items", {"name": "lamp"})
    assert (status, made["name"]) == (201, "lamp")
    assert http(f"{api}/items/{made['id']}")[1] == made
    assert http(f"{api}/items", {"price": 1})[0] == 400
    assert http(f"{api}/items/none")[0] == 404

    # A queue: the good order is done, the bad one is tried three times and put aside.
    sqs = fogbank.client("sqs")
    urls = sqs.list_queues()["QueueUrls"]
    [orders] = [url for url in urls if "-Orders-" in url]
    [lost] = [url for url in urls if "-LostOrders-" in url]
    sqs.send_message(QueueUrl=orders, MessageBody=json.dumps({"item": made["id"]}))
    eventually(lambda: http(f"{api}/items/{made['id']}")[1].get("orders") == 1)
    sqs.send_message(QueueUrl=orders, MessageBody=json.dumps({"item": "nobody's"}))
    for count in (1, 2, 3):
        eventually(lambda count=count: fogbank.run("logs", "ProcessOrders").stdout.count("failed: ") == count)
        fogbank.run("clock", "advance", "31s")
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=lost).get("Messages"))
    assert json.loads(message["Body"]) == {"item": "nobody's"}

    # The table's stream, and the clock.
    eventually(lambda: f"INSERT {made['id']}" in fogbank.run("logs", "Announce").stdout)
    fogbank.run("clock", "advance", "1d")
    eventually(lambda: "removed 0 items" in fogbank.run("logs", "Tidy").stdout)

    # Kill -9, and everything is still there.
    port = fogbank.url.rpartition(":")[2]
    os.kill(fogbank.json("status")["pid"], signal.SIGKILL)
    fogbank.run("start", "--detach", "--port", port)
    assert http(f"{api}/items/{made['id']}")[1]["orders"] == 1
    assert fogbank.json("up", "--no-watch")["changed"] is False


def test_the_example_app_keeps_its_state_in_a_database(fogbank: Fogbank) -> None:
    shutil.copytree(EXAMPLE, fogbank.folder, dirs_exist_ok=True)
    database = {"FOGBANK_STORE_URL": postgres.server().fresh()}
    fogbank.run("up", "--no-watch", **database)
    api = next(iter(fogbank.json("up", "--no-watch")["apis"].values()))
    _, made = http(f"{api}/items", {"name": "lamp"})
    port = fogbank.url.rpartition(":")[2]
    assert not (fogbank.folder / ".fogbank/store.db").exists()
    os.kill(fogbank.json("status")["pid"], signal.SIGKILL)
    fogbank.run("start", "--detach", "--port", port, **database)
    assert http(f"{api}/items/{made['id']}")[1]["name"] == "lamp"
    told = fogbank.run(
        "start", "--port", "0", "--data", "other", FOGBANK_STORE_URL="postgresql://me:hidden@127.0.0.1:1/x", ok=False
    )
    assert "cannot use the database postgresql://me:***@127.0.0.1:1/x" in told.stderr
    assert "hidden" not in told.stderr and "Traceback" not in told.stderr


def test_a_change_of_code_is_deployed_and_nothing_else_is_touched(fogbank: Fogbank) -> None:
    shutil.copytree(EXAMPLE, fogbank.folder, dirs_exist_ok=True)
    api = next(iter(fogbank.json("up", "--no-watch")["apis"].values()))
    handler = fogbank.folder / "src/handlers/items.py"
    handler.write_text(handler.read_text().replace("no such item", "gone"))
    assert fogbank.json("up", "--no-watch")["changed"] is True
    assert http(f"{api}/items/none") == (404, {"error": "gone"})


def test_tools_find_the_cloud_through_exec(fogbank: Fogbank) -> None:
    fogbank.run("start", "--detach")
    aws = str(Path(sys.executable).parent / "aws")
    told = fogbank.run("exec", "--port", "1", "--", aws, "sqs", "list-queues", ok=False).stderr
    assert "exec has no option '--port'" in told
    fogbank.run("exec", "--", aws, "sqs", "create-queue", "--queue-name", "jobs")
    assert "/jobs" in fogbank.run("exec", "--", aws, "sqs", "list-queues").stdout
    fogbank.run("exec", "--", aws, "s3", "mb", "s3://shelf")
    (fogbank.folder / "note.txt").write_text("hello")
    fogbank.run("exec", "--", aws, "s3", "cp", "note.txt", "s3://shelf/note.txt")
    assert "note.txt" in fogbank.run("exec", "--", aws, "s3", "ls", "s3://shelf").stdout
    assert fogbank.run("exec", "--", aws, "s3", "cp", "s3://shelf/note.txt", "-").stdout == "hello"


def test_what_cannot_be_done_is_said_in_one_line(fogbank: Fogbank) -> None:
    for arguments, told in (
        (("up", "--no-watch"), "no app in"),
        (("status",), "no fogbank is running"),
        (("invoke", "X"), "start one with `fogbank start --detach`"),
        (("clock", "advance", "1d"), "start one with"),
    ):
        result = fogbank.run(*arguments, ok=False)
        assert told in result.stdout + result.stderr
        assert "Traceback" not in result.stderr
    (fogbank.folder / "template.yaml").write_text("Resources: {Q: {Type: 'AWS::EC2::Instance'}}")
    told = fogbank.run("up", "--no-watch", ok=False).stderr
    assert "Unrecognized resource types: [AWS::EC2::Instance]" in told


def test_a_port_in_use_and_a_second_server_on_the_same_state_are_told(fogbank: Fogbank, tmp_path: Path) -> None:
    fogbank.run("start", "--detach")
    port = fogbank.url.rpartition(":")[2]
    other = Fogbank(tmp_path)
    told = other.run("start", "--data", str(tmp_path / "other"), "--port", port, ok=False).stderr
    assert f"port {port} on 127.0.0.1 is in use" in told and "--port" in told
    assert "is running on" in fogbank.run("start", ok=False).stderr


def test_provisioned_concurrency_without_an_alias_is_explained_and_goes_on(fogbank: Fogbank) -> None:
    (fogbank.folder / "src").mkdir()
    (fogbank.folder / "src/app.py").write_text("def handler(event, context):\n    return 'ready'\n")
    (fogbank.folder / "template.yaml").write_text(
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources:\n"
        "  Ready:\n"
        "    Type: AWS::Serverless::Function\n"
        "    Properties: {Handler: app.handler, Runtime: python3.12, CodeUri: src/,"
        " ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 5}}\n"
    )
    assert "AutoPublishAlias: live" in fogbank.run("up", "--no-watch").stderr
    assert [one["state"] for one in fogbank.json("status")["instances"]] == ["idle"] * 5
    assert fogbank.run("invoke", "Ready").stdout == '"ready"\n'


NODE = """
const AWS = require('aws-sdk');
const table = new AWS.DynamoDB.DocumentClient();
exports.handler = async (event) => {
  await table.put({ TableName: process.env.TABLE_NAME, Item: { id: event.id, by: 'node' } }).promise();
  return { id: event.id };
};
"""


def test_a_node_function_writes_with_the_old_sdk_as_it_stands(fogbank: Fogbank) -> None:
    (fogbank.folder / "handler.js").write_text(NODE)
    (fogbank.folder / "template.json").write_text(json.dumps({
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Write": {"Type": "AWS::Serverless::Function", "Properties": {
                "Handler": "handler.handler", "Runtime": "nodejs20.x", "CodeUri": ".", "Timeout": 20,
                "Environment": {"Variables": {"TABLE_NAME": {"Ref": "Items"}}}}},
            "Items": {"Type": "AWS::Serverless::SimpleTable"},
        },
    }))  # fmt: skip
    fogbank.run("up", "--no-watch")
    (fogbank.folder / "event.json").write_text('{"id": "7"}')
    assert json.loads(fogbank.run("invoke", "Write", "--event", "event.json").stdout) == {"id": "7"}
    dynamodb = fogbank.client("dynamodb")
    [name] = dynamodb.list_tables()["TableNames"]
    assert dynamodb.get_item(TableName=name, Key={"id": {"S": "7"}})["Item"]["by"] == {"S": "node"}
