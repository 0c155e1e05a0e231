"""Entries: written, listed, deleted."""

from __future__ import annotations

import asyncio
import datetime
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import logging as google_logging
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2AsyncClient

from fogbank.gcp.identity import projects
from fogbank.primitives import logs
from tests.support.google_services import PROJECT, Logging, client
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud

_START = datetime.datetime(2027, 1, 15, 8, tzinfo=datetime.UTC)
_PARENT = f"projects/{PROJECT}"


def _after(seconds: float) -> datetime.datetime:
    return _START + datetime.timedelta(seconds=seconds)


def test_an_entry_has_what_the_request_says_for_all_and_what_follows_by_itself(logging: Logging) -> None:
    logging.write({"text_payload": "hello", "labels": {"a": "own"}}, labels={"a": "all", "b": "all"})
    (entry,) = logging.list()
    assert entry.log_name == f"{_PARENT}/logs/app" and entry.text_payload == "hello"
    assert dict(entry.labels) == {"a": "own", "b": "all"}
    assert entry.resource.type == "global" and dict(entry.resource.labels) == {"project_id": PROJECT}
    assert entry.timestamp == entry.receive_timestamp == _START and entry.insert_id


def test_everything_of_an_entry_is_kept(logging: Logging) -> None:
    logging.write(
        {
            "json_payload": {"message": "hi", "n": 1.5, "deep": {"list": [1, None, True]}},
            "severity": "ERROR",
            "insert_id": "mine",
            "trace": f"{_PARENT}/traces/abc",
            "span_id": "000000000000004a",
            "trace_sampled": True,
            "http_request": {"request_method": "GET", "status": 404, "latency": datetime.timedelta(seconds=1.5)},
            "source_location": {"file": "main.py", "line": 7},
            "operation": {"id": "o", "first": True},
            "timestamp": _after(-60.25),
        }
    )
    (entry,) = logging.list()
    assert entry.json_payload["deep"]["list"][2] is True and entry.severity == 500 and entry.insert_id == "mine"
    assert entry.http_request.latency.ToMilliseconds() == 1500 and entry.source_location.line == 7
    assert entry.trace_sampled and entry.operation.first and entry.timestamp == _after(-60.25)


def test_entries_are_in_the_order_of_time_either_way_and_in_pages(logging: Logging) -> None:
    for second in (3, 1, 2):
        logging.write({"text_payload": f"s{second}", "timestamp": _after(second)}, log=f"log{second % 2}")
    assert logging.texts() == ["s1", "s2", "s3"]
    assert logging.texts(order_by="timestamp desc") == ["s3", "s2", "s1"]
    for order in ("timestamp asc", "timestamp desc"):
        request = {"resource_names": [_PARENT], "page_size": 1, "order_by": order}
        pages = [len(page.entries) for page in logging.client.list_log_entries(request=request).pages]
        assert pages == [1, 1, 1]


def test_entries_of_one_moment_are_in_the_order_of_their_insert_ids_and_those_with_the_same_one_come_once(
    logging: Logging,
) -> None:
    for insert_id in ("b", "a", "b"):
        logging.write({"text_payload": insert_id, "insert_id": insert_id})
    assert logging.texts() == ["a", "b"]
    request = {"resource_names": [_PARENT], "page_size": 1, "order_by": "timestamp desc"}
    assert [entry.text_payload for entry in logging.client.list_log_entries(request=request)] == ["b", "a"]


def test_entries_written_together_stay_in_their_order(logging: Logging) -> None:
    logging.write(*({"text_payload": f"line {number:02}"} for number in range(30)))
    assert logging.texts() == [f"line {number:02}" for number in range(30)]


def test_many_entries_are_all_found_in_order_however_they_were_written(logging: Logging) -> None:
    """Batches overlap in time, and pages end within them."""
    for part in range(8):
        rows = [{"text_payload": f"{n:04}", "timestamp": _after(n / 10)} for n in range(part, 400, 8)]
        logging.write(*rows, log=f"log{part % 3}")
    expected = [f"{n:04}" for n in range(400)]
    assert logging.texts(page_size=70) == expected
    assert logging.texts(page_size=70, order_by="timestamp desc") == expected[::-1]
    assert logging.texts('timestamp>="2027-01-15T08:00:10Z" AND timestamp<"2027-01-15T08:00:20Z"') == expected[100:200]


@pytest.mark.parametrize(
    ("entry", "request_", "text"),
    [
        ({"text_payload": "x"}, {"log_name": ""}, "LogEntry.log_name is required."),
        ({"text_payload": "x"}, {"log_name": f"{_PARENT}/logs/a/b"}, "Invalid log name"),
        ({"text_payload": "x"}, {"log_name": f"{_PARENT}/logs/a%00b"}, "Invalid log name"),
        ({"text_payload": "x"}, {"resource": None}, "LogEntry.resource is required."),
        ({"text_payload": "x" * 300_000}, {}, "Log entry with size 29.*K exceeds maximum size of 256.0K"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(
    logging: Logging, entry: dict[str, Any], request_: dict[str, Any], text: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        logging.write({"text_payload": "good"}, entry, **request_)
    assert logging.texts() == []


def test_with_partial_success_the_good_ones_are_kept_and_the_others_told(logging: Logging) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="exceeds maximum size") as refused:
        logging.write({"text_payload": "good"}, {"text_payload": "x" * 300_000}, partial_success=True)
    assert "WriteLogEntriesPartialErrors" in str(refused.value.errors[0].trailing_metadata())
    assert logging.texts() == ["good"]


def test_a_dry_run_keeps_nothing(logging: Logging) -> None:
    logging.write({"text_payload": "good"}, dry_run=True)
    assert logging.texts() == []


def test_what_is_too_old_or_of_the_future_is_not_taken_in(logging: Logging) -> None:
    day = 86_400
    for seconds in (-31 * day, -29 * day, day, 2 * day):
        logging.write({"text_payload": str(seconds // day), "timestamp": _after(seconds)})
    assert logging.texts() == ["-29", "1"]


def test_entries_are_forgotten_after_thirty_days(cloud: Cloud, logging: Logging) -> None:
    logging.write({"text_payload": "old"})
    cloud.advance(seconds=30 * 86_400 + 1)
    logging.write({"text_payload": "new"})
    assert logging.texts() == ["new"]


def test_a_project_is_meant_by_its_number_too(logging: Logging) -> None:
    logging.write({"text_payload": "here"})
    assert logging.texts(resource_names=[f"projects/{projects.number(PROJECT)}"]) == ["here"]
    logging.write({"text_payload": "there"}, log_name="projects/other/logs/app")
    assert logging.texts(resource_names=["projects/other", _PARENT]) == ["here", "there"]
    view = f"{_PARENT}/locations/global/buckets/_Default/views/_AllLogs"
    assert logging.texts(resource_names=[view]) == ["here"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"resource_names": []}, "between 1 and 100"),
        ({"resource_names": ["nonsense"]}, "Invalid resource name"),
        ({"order_by": "severity"}, "order_by must be"),
        ({"page_size": 1001}, "page_size must be between 0 and 1000"),
        ({"page_token": "!"}, "Invalid page token"),
        ({"page_token": "e30="}, "page_token is not valid"),
    ],
)
def test_a_list_that_cannot_be_is_refused(logging: Logging, asked: dict[str, Any], text: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        logging.list(**asked)


def test_logs_are_listed_and_deleted(logging: Logging) -> None:
    for log in ("b", "a%2Fc"):
        logging.write({"text_payload": log}, log=log)
    assert list(logging.client.list_logs(parent=_PARENT)) == [f"{_PARENT}/logs/a%2Fc", f"{_PARENT}/logs/b"]
    logging.client.delete_log(log_name=f"{_PARENT}/logs/a%2Fc")
    assert list(logging.client.list_logs(parent=_PARENT)) == [f"{_PARENT}/logs/b"] and logging.texts() == ["b"]
    with pytest.raises(exceptions.NotFound):
        logging.client.delete_log(log_name=f"{_PARENT}/logs/none")


def test_resources_that_functions_log_with_are_described(logging: Logging) -> None:
    found = {told.type: told for told in logging.client.list_monitored_resource_descriptors()}
    assert {label.key for label in found["cloud_function"].labels} == {"project_id", "function_name", "region"}
    assert "cloud_run_revision" in found and "global" in found


def test_what_a_function_has_written_is_found_as_its_logs(cloud: Cloud, logging: Logging) -> None:
    """A line of the engine's, as instances write them: without a moment and a name of its own."""
    resource = {"type": "cloud_run_revision", "labels": {"service_name": "hello", "location": "us-central1"}}
    entry = {"resource": resource, "severity": "WARNING", "jsonPayload": {"message": "hot"},
             "labels": {"goog-managed-by": "cloudfunctions"}}  # fmt: skip
    place = (PROJECT, "cloud.google.com/logging", "run.googleapis.com/stdout")
    lines = [(1_800_000_000_123, json.dumps(entry)), (1_800_000_000_124, "not JSON at all")]
    cloud.run(cloud.server.store.transact(logs.append, *place, lines, 1_800_000_000_200))
    text = 'resource.type="cloud_run_revision" logName:"run.googleapis.com" labels."goog-managed-by"="cloudfunctions"'
    (found,) = logging.list(f'{text} resource.labels.service_name="hello" severity>=WARNING')
    assert found.json_payload["message"] == "hot" and found.timestamp == _after(0.123) and found.insert_id
    assert found.log_name == f"{_PARENT}/logs/run.googleapis.com%2Fstdout"
    assert logging.texts()[1] == "not JSON at all"


def test_whoever_listens_is_told_what_comes(logging: Logging) -> None:
    logging.write({"text_payload": "before"})
    told: list[str] = []
    done = threading.Event()

    def requests() -> Iterator[Any]:
        yield {"resource_names": [_PARENT], "filter": "severity>=ERROR", "buffer_window": datetime.timedelta()}
        done.wait(60)

    def listen() -> None:
        for response in logging.client.tail_log_entries(requests=requests()):
            told.extend(entry.text_payload for entry in response.entries)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    # It listens from some moment on; the first that it hears shows that it does.
    eventually(lambda: logging.write({"text_payload": "begun", "severity": "ERROR"}) or told)
    logging.write({"text_payload": "fine", "severity": "INFO"}, {"text_payload": "bad", "severity": "ERROR"})
    eventually(lambda: "bad" in told)
    assert set(told) == {"begun", "bad"} and told.count("bad") == 1
    done.set()
    listener.join(20)
    assert not listener.is_alive()


def test_the_high_level_client_writes_and_lists_over_rest(cloud: Cloud) -> None:
    made = google_logging.Client(
        project=PROJECT, credentials=AnonymousCredentials(), _use_grpc=False,
        client_options={"api_endpoint": cloud.url},
    )  # fmt: skip
    logger = made.logger("app")
    logger.log_text("hello", severity="NOTICE")
    logger.log_struct({"message": "hi", "n": 3}, labels={"a": "b"})
    entries = list(made.list_entries(filter_="jsonPayload.n>2 OR textPayload:hell"))
    assert [entry.payload for entry in entries] == ["hello", {"message": "hi", "n": 3}]
    logger.delete()
    assert list(made.list_entries()) == []


def test_the_asyncio_client_writes_an_entry(cloud: Cloud, logging: Logging) -> None:
    async def write() -> None:
        asking = client(LoggingServiceV2AsyncClient, cloud.server.port, "grpc_asyncio")
        entry = {"log_name": f"{_PARENT}/logs/app", "resource": {"type": "global"}, "text_payload": "hello"}
        await asking.write_log_entries(request={"entries": [entry]})
        await asking.transport.close()

    asyncio.run(write())
    assert logging.texts() == ["hello"]


def test_entries_outlive_a_restart(cloud: Cloud, logging: Logging) -> None:
    logging.write({"text_payload": "kept"})
    cloud.restart()
    assert Logging(cloud.server.port).texts() == ["kept"]


def test_buckets_and_sinks_are_those_that_each_project_has(cloud: Cloud) -> None:
    base = f"{cloud.url}/v2/{_PARENT}"
    buckets = httpx.get(f"{base}/locations/global/buckets").json()["buckets"]
    assert [bucket["name"].rpartition("/")[2] for bucket in buckets] == ["_Default", "_Required"]
    assert [sink["name"] for sink in httpx.get(f"{base}/sinks").json()["sinks"]] == ["_Default", "_Required"]
    refused = httpx.post(f"{base}/sinks", json={"name": "mine", "destination": "storage.googleapis.com/b"})
    assert refused.status_code == 501 and "ConfigServiceV2.CreateSink" in refused.text
    metrics = httpx.get(f"{base}/metrics")
    assert metrics.status_code == 501 and "MetricsServiceV2.ListLogMetrics" in metrics.text
