"""PutItem, and a message sent, received and deleted: durable here, against peers that keep both in memory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bench import servers
from bench.measuring import Told, in_turns, post, scratch, show, wrk
from bench.servers import Absent, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONNECTIONS, _SECONDS, _ROUNDS = 16, 4, 3
_WAITING = (0, 1_000, 10_000)  # A queue is there for the time when its readers do not keep up.
_SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
_ITEM = (
    '\'{"TableName":"items","Item":{"id":{"S":"\' .. math.random(100000) .. \'"},"body":{"S":"' + "x" * 200 + "\"}}}'"
)
_PUT = post(
    _ITEM,
    {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.PutItem",
        "Authorization": _SIGNED.format("dynamodb"),
    },
)


@contextlib.contextmanager
def _ministack(folder: Path) -> Iterator[Served]:
    port = servers.free_port()
    environment = {"GATEWAY_PORT": str(port), "EDGE_PORT": str(port), "LOG_LEVEL": "ERROR"}
    with serving([str(servers.peers() / "ministack")], port, folder=folder, ready="/_ministack/health",
                 **environment) as one:  # fmt: skip
        yield one


@contextlib.contextmanager
def _moto(folder: Path) -> Iterator[Served]:
    port = servers.free_port()
    with serving(
        [str(servers.peers() / "moto_server"), "-p", str(port)], port, folder=folder, ready="/moto-api"
    ) as one:
        yield one


_TARGETS = {"fogbank": servers.fogbank, "ministack": _ministack, "moto": _moto}


def _prepare(one: Served) -> None:
    one.client("dynamodb").create_table(
        TableName="items", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip
    one.facts["queue"] = one.client("sqs").create_queue(QueueName="orders")["QueueUrl"]


# One message at a time for each connection: whoever is free deletes what was received, else receives what was sent,
# else sends.
_MESSAGES = """
local threads = {}
local receipts, sent, asked = {}, 0, 0
deleted = 0
function setup(thread) table.insert(threads, thread) end
local function call(operation, body)
  return wrk.format("POST", "/", {
    ["Content-Type"] = "application/x-amz-json-1.0", ["X-Amz-Target"] = "AmazonSQS." .. operation,
    ["Authorization"] = "%s" }, body)
end
function request()
  local receipt = table.remove(receipts)
  if receipt then
    deleted = deleted + 1
    return call("DeleteMessage", '{"QueueUrl":"%s","ReceiptHandle":"' .. receipt .. '"}')
  end
  if sent > 0 then
    sent = sent - 1
    return call("ReceiveMessage", '{"QueueUrl":"%s"}')
  end
  return call("SendMessage", '{"QueueUrl":"%s","MessageBody":"%s"}')
end
function response(status, headers, body)
  local receipt = body:match('"ReceiptHandle": ?"([^"]+)"')
  if receipt then table.insert(receipts, receipt)
  elseif body:find('"MD5OfMessageBody"', 1, true) then sent = sent + 1 end
end
function done(summary, latency, requests)
  local total = 0
  for _, thread in ipairs(threads) do total = total + thread:get("deleted") end
  io.write("deleted " .. total .. "\\n")
end
"""


def _fill(one: Served, waiting: int) -> None:
    """Let so many more messages wait in the queue."""
    sqs = one.client("sqs")
    for start in range(0, waiting, 10):
        entries = [{"Id": str(number), "MessageBody": "x" * 200} for number in range(start, start + 10)]
        sqs.send_message_batch(QueueUrl=one.facts["queue"], Entries=entries)


def _messages(one: Served) -> tuple[float, float]:
    """(messages a second that were sent, received and deleted, p99 of one of these requests in ms)."""
    queue = one.facts["queue"]
    script = _MESSAGES % (_SIGNED.format("sqs"), queue, queue, queue, "x" * 200)
    told = Told()
    _, p99_ms = wrk(one.url, script, connections=_CONNECTIONS, seconds=_SECONDS, told=told)
    return int(told.text.partition("deleted ")[2].split()[0]) / _SECONDS, p99_ms


def _rows(found: dict, goals: dict[str, str]) -> list[tuple[str, str, str]]:
    ours = found["fogbank"]
    rows = [("fogbank", f"{ours.rate:,.0f}/s", f"p99 {ours.p99_ms:.2f} ms")]
    for name, figures in found.items():
        if name != "fogbank":
            goal = f" (goal: {goals[name]})" if name in goals else ""
            times = f"fogbank does {ours.rate / figures.rate:,.1f} times that{goal}"
            rows.append((name, f"{figures.rate:,.0f}/s", f"{times}; p99 {figures.p99_ms:.2f} ms"))
    return rows


def main() -> None:
    with contextlib.ExitStack() as stack:
        running: dict[str, Served] = {}
        for name, start in _TARGETS.items():
            try:
                running[name] = stack.enter_context(start(scratch()))
                _prepare(running[name])
            except Absent as why:
                print(f"  {name} is left out: {why}")
        puts = {
            name: (lambda one=one: wrk(one.url, _PUT, connections=_CONNECTIONS, seconds=_SECONDS))
            for name, one in running.items()
        }
        found = in_turns(puts, _ROUNDS)
        show(f"PutItem, {_CONNECTIONS} connections", _rows(found, {"ministack": "over 5", "moto": "over 20"}))
        messages = {name: (lambda one=one: _messages(one)) for name, one in running.items() if name != "moto"}
        before = 0
        for waiting in _WAITING:
            for name in messages:
                _fill(running[name], waiting - before)
            before = waiting
            found = in_turns(messages, _ROUNDS)
            title = f"SQS: messages sent, received and deleted, {_CONNECTIONS} connections, {waiting:,} waiting"
            show(title, _rows(found, {"ministack": "over 10"}))


if __name__ == "__main__":
    main()
