"""A disk without room: every write that cannot be kept is refused in the service's own words, none that was is lost."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fogbank.aws.stacks import deployer
from tests.support.cloud import Cloud
from tests.support.code import ROLE
from tests.support.command import Fogbank
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_MB_MAX = 4  # The kernel refuses to write beyond it, in any file of the server's: as a full disk would.

ONCE = {"config": Config(retries={"total_max_attempts": 1})}


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Fogbank]:
    """A server whose files cannot grow, and whose own log has no room left at all."""
    program = Fogbank(tmp_path)
    (tmp_path / ".fogbank").mkdir()
    limited = f'ulimit -f {FILE_MB_MAX * 1024}; exec "$@"'
    command = ["bash", "-c", limited, "-", sys.executable, "-m", "fogbank", "start", "--detach", "--port", "0"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    with (tmp_path / ".fogbank/fogbank.log").open("ab") as log:
        log.truncate(FILE_MB_MAX * 1024 * 1024)
    yield program
    program.stop()


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return f"{caught.value.response['ResponseMetadata']['HTTPStatusCode']} {caught.value}"


def test_what_cannot_be_kept_is_refused_and_what_was_kept_is_there_after_a_kill(crowded: Fogbank) -> None:
    dynamodb, s3 = crowded.client("dynamodb", **ONCE), crowded.client("s3", **ONCE)
    dynamodb.create_table(
        TableName="things", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    s3.create_bucket(Bucket="shelf")
    kept: set[str] = set()
    told: set[str] = set()
    for size in (200_000, 20_000, 10):  # Until not even a small one fits.
        while True:
            number = str(len(kept))
            try:
                dynamodb.put_item(TableName="things", Item={"id": {"S": number}, "v": {"S": "x" * size}})
            except ClientError as error:
                told.add(str(error))
                break
            kept.add(number)
    assert kept and len(told) == 1 and "ServiceUnavailable" in told.pop()
    assert "503" in refused(s3.put_object, Bucket="shelf", Key="large", Body=b"x" * (FILE_MB_MAX + 1) * 1024 * 1024)
    code = {"ZipFile": _large_zip()}
    made = {"FunctionName": "f", "Runtime": "python3.12", "Role": ROLE, "Handler": "app.handler"}
    assert "503" in refused(crowded.client("lambda", **ONCE).create_function, Code=code, **made)
    assert dynamodb.list_tables()["TableNames"] == ["things"]  # It goes on, for all that needs no room.
    (crowded.folder / "template.yaml").write_text("Resources: {Q: {Type: AWS::SQS::Queue}}")
    said = crowded.run("up", "--no-watch", ok=False).stderr.splitlines()[-1]
    assert said.startswith("fogbank: template.yaml: the store in ") and "cannot keep this" in said

    os.kill(crowded.json("status")["pid"], signal.SIGKILL)
    crowded.run("start", "--detach")
    pages = crowded.client("dynamodb").get_paginator("scan").paginate(TableName="things")
    assert {item["id"]["S"] for page in pages for item in page["Items"]} == kept


def _large_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", "#" * (FILE_MB_MAX + 1) * 1024 * 1024)
    return buffer.getvalue()


def test_a_deploy_that_meets_a_full_disk_goes_back_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployer, "_AGAIN_S", 0.05)
    cloud = Cloud(tmp_path / "data")
    try:
        store, full = cloud.server.store, threading.Event()
        keep = store._keep  # type: ignore[attr-defined]  # Of the SQLite driver: where a full disk is met.

        def keep_if_there_is_room(rows: dict[bytes, bytes | None]) -> None:
            if full.is_set() and rows:
                raise sqlite3.OperationalError("database or disk is full")
            keep(rows)

        monkeypatch.setattr(store, "_keep", keep_if_there_is_room)
        stacks = cloud.client("cloudformation", **ONCE)
        slow = "import time\ntime.sleep(1)\ndef handler(event, context): return 1\n"
        function = {"Code": {"ZipFile": slow}, "Handler": "index.handler", "Runtime": "python3.11", "Role": ROLE}
        ready = {"FunctionName": {"Ref": "F"}, "ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 1}}
        resources = {
            "F": {"Type": "AWS::Lambda::Function", "Properties": function},
            "V": {"Type": "AWS::Lambda::Version", "Properties": ready},
        }
        stacks.create_stack(StackName="app", TemplateBody=json.dumps({"Resources": resources}))

        def status() -> str:
            return str(stacks.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"])

        def is_there(name: str) -> bool:
            rows = stacks.describe_stack_resources(StackName="app")["StackResources"]
            return name in {row["LogicalResourceId"] for row in rows}

        eventually(lambda: is_there("V"))
        full.set()
        eventually(lambda: "deploy interrupted" in cloud.log.getvalue())
        assert status() == "CREATE_IN_PROGRESS"
        full.clear()
        eventually(lambda: status() == "ROLLBACK_COMPLETE")
        assert cloud.client("lambda").list_functions()["Functions"] == []
    finally:
        cloud.stop()
