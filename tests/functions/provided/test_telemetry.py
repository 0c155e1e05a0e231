"""The Telemetry API: Developer Guide, "Lambda Telemetry API reference" and its "Event schema reference"."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re

import pytest

from fogbank.functions.runtimes.provided import subscribers
from fogbank.functions.runtimes.provided.telemetry import Telemetry
from fogbank.functions.sandbox.peers import Peers
from tests.functions.provided.test_extensions import ECHO, retire
from tests.support.waiting import until
from tests.support.workshop import REQUEST_ID

# Listens on a free port, subscribes, and writes each batch into a file beside the code.
LISTEN = """
import http.server, socketserver, threading
OUT = os.environ["OUT"]
def keep(body):
    with open(OUT, "ab") as file: file.write(body + b"\\n")
class Batches(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        keep(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: keep(b"[" + line.strip() + b"]")
def listen(handler):
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
def subscribe(me, destination, types=("platform", "function", "extension"), **more):
    wanted = {"schemaVersion": "2022-07-01", "types": types, "destination": destination, **more}
    return told(ask("PUT", "/2022-07-01/telemetry", json.dumps(wanted).encode(), Lambda_Extension_Identifier=me))
_, me = register("telemetry", "INVOKE", "SHUTDOWN")
"""
FOLLOW = """
while next_of(me)["eventType"] != "SHUTDOWN": print("from the extension", flush=True)
import time; time.sleep(0.2)  # What is on its way comes before it ends.
"""
SOON = 'buffering={"timeoutMs": 25, "maxItems": 1000, "maxBytes": 262144}'


@pytest.fixture
def subscribed(provided, extension, tmp_path):
    """A version with a subscriber, and what that has got so far."""
    out = tmp_path / "got"

    def make(subscribe, source=ECHO, **settings):
        layer = extension("telemetry", LISTEN + subscribe + FOLLOW)
        version = provided(source, layers=(layer,), environment={"OUT": str(out)}, **settings)

        def got():
            lines = out.read_bytes().splitlines() if out.exists() else []
            return [event for line in lines for event in json.loads(line)]

        return version, got

    return make


HTTP = f'assert subscribe(me, {{"protocol": "HTTP", "URI": "http://sandbox.localdomain:%d" % listen(Batches)}}, {SOON}) == [200, "OK"]\n'  # noqa: E501
TCP = f'assert subscribe(me, {{"protocol": "TCP", "port": listen(Lines)}}, {SOON}) == [200, "OK"]\n'


@pytest.mark.parametrize("subscribe", [HTTP, TCP])
def test_a_subscriber_gets_every_event_of_the_documented_schema(workshop, subscribed, subscribe):
    version, got = subscribed(subscribe, "print('in init', flush=True)\nserve(lambda e: print('said', flush=True))")
    workshop.invoke(version, trace_header="Root=1-2", )  # fmt: skip
    retire(workshop, version)
    events = got()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]) for event in events)
    records = {event["type"]: event["record"] for event in events}
    assert set(records) == {
        "platform.initStart", "platform.telemetrySubscription", "function", "platform.initRuntimeDone",
        "platform.extension", "platform.initReport", "platform.start", "extension", "platform.runtimeDone",
        "platform.report",
    }  # fmt: skip
    order = [event["type"] for event in events if event["type"].startswith("platform.")]
    assert order[0] == "platform.initStart" and order[-3:] == [
        "platform.start", "platform.runtimeDone", "platform.report",
    ]  # fmt: skip
    init = {"initializationType": "on-demand", "phase": "init"}
    assert records["platform.initStart"].items() >= {**init, "functionName": "shop"}.items()
    assert records["platform.telemetrySubscription"] == {
        "name": "telemetry", "state": "Subscribed", "types": ["platform", "function", "extension"],
    }  # fmt: skip
    assert records["platform.initRuntimeDone"] == {**init, "status": "success"}
    assert records["platform.extension"]["events"] == ["INVOKE", "SHUTDOWN"]
    assert records["platform.initReport"]["metrics"]["durationMs"] > 0
    assert records["platform.start"] == {
        "requestId": REQUEST_ID, "version": "$LATEST", "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1-2"},
    }  # fmt: skip
    done = records["platform.runtimeDone"]
    assert (done["requestId"], done["status"], done["metrics"]["producedBytes"]) == (REQUEST_ID, "success", 4)
    metrics = records["platform.report"]["metrics"]
    assert metrics["memorySizeMB"] == 128 and metrics["maxMemoryUsedMB"] > 0
    assert metrics["billedDurationMs"] >= metrics["initDurationMs"] + metrics["durationMs"]
    assert [event["record"] for event in events if event["type"] == "function"] == ["in init", "said"]
    assert records["extension"] == "from the extension"


def test_what_fails_or_takes_too_long_is_reported_so(workshop, subscribed):
    version, got = subscribed(
        HTTP, "import time\nserve(lambda e: time.sleep(9) if e else os._exit(3))", timeout_ms=2000
    )
    for number, (status, error) in enumerate((("error", "Runtime.ExitError"), ("timeout", None))):
        workshop.failure(version, number)
        workshop.run(until(lambda wanted=2 * number + 2: len(endings(got())) == wanted))
        assert endings(got())[-2:] == [(status, error)] * 2


def endings(events):
    ends = [one["record"] for one in events if one["type"] in ("platform.report", "platform.runtimeDone")]
    return [(record["status"], record.get("errorType")) for record in ends]


def test_only_the_types_that_were_asked_for_come(workshop, subscribed):
    port = '{"protocol": "HTTP", "URI": "http://sandbox:%d/x" % listen(Batches)}'
    version, got = subscribed(f"subscribe(me, {port}, types=['function'], {SOON})\n", "serve(lambda e: print(e, flush=True))")  # fmt: skip  # noqa: E501
    workshop.invoke(version, "only this")
    retire(workshop, version)
    assert [event["record"] for event in got()] == ["only this"]


def test_many_events_come_in_batches_and_none_is_lost(workshop, subscribed):
    source = "def talk(e):\n    for n in range(2500): print(n)\n    sys.stdout.flush()\nimport sys\nserve(talk)"
    version, got = subscribed(HTTP, source)
    workshop.invoke(version)
    retire(workshop, version)
    assert [event["record"] for event in got() if event["type"] == "function"] == [str(n) for n in range(2500)]


def test_a_subscriber_that_is_not_there_loses_its_events_and_hears_how_many(workshop, subscribed):
    late = f"""
import socket
place = socket.socket(); place.bind(("127.0.0.1", 0)); port = place.getsockname()[1]; place.close()
subscribe(me, {{"protocol": "HTTP", "URI": "http://sandbox.localdomain:%d" % port}}, {SOON})
import time; time.sleep(0.2)
server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Batches)
threading.Thread(target=server.serve_forever, daemon=True).start()
time.sleep(0.2)
"""
    version, got = subscribed(late)
    workshop.invoke(version)
    retire(workshop, version)
    dropped = [event["record"] for event in got() if event["type"] == "platform.logsDropped"]
    assert dropped and dropped[0]["droppedRecords"] > 0 and dropped[0]["droppedBytes"] > 0 and dropped[0]["reason"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain"}, "types": []},
         "types should not be empty; URI port is not provided"),
        ({"destination": {"protocol": "HTTP", "URI": "http://example.com:80"}},
         "URI host should be sandbox.localdomain"),
        ({"destination": {"protocol": "UDP", "port": 1}}, "destination protocol should be HTTP or TCP"),
        ({"schemaVersion": "2020-08-15"}, "schemaVersion should be one of 2022-07-01, 2022-12-13, 2025-01-29"),
        ({"types": ["all"]}, "types should be among platform, function, extension"),
        ({"buffering": {"maxItems": 1, "timeoutMs": 10**9}},
         "maxItems should be between 1000 and 10000; timeoutMs should be between 25 and 30000"),
    ],
)  # fmt: skip
def test_a_subscription_that_cannot_be_is_refused(workshop, provided, wanted, told):
    given = {"schemaVersion": "2022-07-01", "types": ["platform"],
             "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080"}} | wanted  # fmt: skip
    version = provided(f"""
_, me = register("inside")
subscribe = lambda: told(ask("PUT", "/2022-07-01/telemetry", {json.dumps(given).encode()!r}, Lambda_Extension_Identifier=me))
seen = subscribe()
import threading
threading.Thread(target=next_of, args=(me,), daemon=True)
line = http.client.HTTPConnection(HOST)
line.request("GET", EXTENSION + "event/next", headers={{"Lambda-Extension-Identifier": me}})
serve(lambda event: [seen, subscribe()])
""")  # noqa: E501
    seen, late = workshop.answer(version)
    assert seen == [400, {"errorType": "ValidationError", "errorMessage": told}]
    told = "Telemetry API subscription is closed"
    assert late == [403, {"errorType": "Telemetry.SubscriptionClosed", "errorMessage": told}]


def test_the_logs_api_says_that_it_is_not_there(workshop, provided):
    version = provided("""
_, me = register("inside")
seen = told(ask("PUT", "/2020-08-15/logs", b"{}", Lambda_Extension_Identifier=me))
nobody = told(ask("PUT", "/2020-08-15/logs", b"{}"))
line = http.client.HTTPConnection(HOST)
line.request("GET", EXTENSION + "event/next", headers={"Lambda-Extension-Identifier": me})
serve(lambda event: [seen, nobody])
""")
    seen, nobody = workshop.answer(version)
    assert seen == [202, {"errorType": "Logs.NotSupported", "errorMessage": "Logs API is not supported"}]
    assert nobody[1]["errorType"] == "Extension.MissingExtensionIdentifier"


@pytest.mark.parametrize("protocol", ["TCP", "HTTP"])
def test_what_a_subscriber_does_not_read_is_given_up_with_its_connection(protocol, monkeypatch):
    """Else the server would keep it, and each batch behind it, for as long as the subscriber likes."""
    monkeypatch.setattr(subscribers, "_DELIVERY_S", 0.1)
    batch = b"x" * 16_000_000  # More than the kernel takes for one that does not read.

    async def rest_of(reader):
        with contextlib.suppress(ConnectionResetError):
            return len(await reader.read())
        return 0

    async def deliver():
        readers, lost = [], []
        listening = await asyncio.start_server(lambda reader, _: readers.append(reader), "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        batching, anybody = subscribers.Batching(1, 1, 1.0), Peers(None, lambda _: True)
        subscriber = subscribers.Subscriber(protocol, port, "/", batching, lambda *told: lost.append(told), anybody)
        for count in (1, 2, 3):
            subscriber.add(batch)
            await until(lambda count=count: len(lost) == count)
        subscriber.close()
        got = [await rest_of(reader) for reader in readers]
        listening.close()
        return [told[:2] for told in lost], got

    lost, got = asyncio.run(deliver())
    assert lost == [(1, len(batch))] * 3
    assert len(got) == 3 and max(got) < len(batch)


def test_what_is_said_before_anybody_subscribes_is_kept_within_bounds():
    """A function may write lines of 256 KB for all of its initialisation."""
    telemetry = Telemetry(Peers(None, lambda _: True))
    for number in range(2000):
        telemetry.say("function", f"{number} " + "x" * (256 * 1024 if number > 10 else 10))
    kept = [json.loads(line)["record"].split()[0] for _, line in telemetry._early]
    assert kept[:11] == [str(number) for number in range(11)]
    assert sum(len(line) for _, line in telemetry._early) <= 4 * 1024 * 1024
