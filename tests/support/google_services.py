"""Google's clients of services that have no emulator variable, pointed at a server of ours as their options allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import scheduler_v1, secretmanager, tasks_v2
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = "fog-project"
LOCATION = f"projects/{PROJECT}/locations/us-central1"
WIRES = ("grpc", "rest")


def client(kind: type[Any], port: int, wire: str = "grpc") -> Any:
    """A client of a generated class, over gRPC without TLS or over REST."""
    transport = kind.get_transport_class(wire)
    if wire == "rest":
        made = transport(host=f"127.0.0.1:{port}", url_scheme="http", credentials=AnonymousCredentials())
        return kind(transport=made)
    channel: Callable[[str], Any] = grpc.aio.insecure_channel if wire == "grpc_asyncio" else grpc.insecure_channel
    return kind(transport=transport(channel=channel(f"127.0.0.1:{port}")))


class Secrets:
    """Secret Manager's client, and short words for what every test does."""

    def __init__(self, port: int, wire: str = "grpc") -> None:
        self.client = client(secretmanager.SecretManagerServiceClient, port, wire)

    def create(self, secret_id: str = "password", parent: str = f"projects/{PROJECT}", **settings: Any) -> Any:
        replication = {} if "/locations/" in parent else {"replication": {"automatic": {}}}
        request = {"parent": parent, "secret_id": secret_id, "secret": {**replication, **settings}}
        return self.client.create_secret(request=request)

    def add(self, secret: Any, value: bytes = b"hunter2", **more: Any) -> Any:
        request = {"parent": secret.name, "payload": {"data": value, **more}}
        return self.client.add_secret_version(request=request)

    def value(self, secret: Any, version: str | int = "latest") -> bytes:
        answer = self.client.access_secret_version(request={"name": f"{secret.name}/versions/{version}"})
        return bytes(answer.payload.data)

    def update(self, secret: Any, **settings: Any) -> Any:
        changed = {"name": secret.name, **settings}
        paths = [path for path in settings if path != "etag"]
        return self.client.update_secret(request={"secret": changed, "update_mask": {"paths": paths}})


class Tasks:
    """Cloud Tasks' client, and short words for what every test does."""

    def __init__(self, port: int, wire: str = "grpc") -> None:
        self.client = client(tasks_v2.CloudTasksClient, port, wire)

    def queue(self, queue_id: str = "mail", **settings: Any) -> str:
        """Its name."""
        request = {"parent": LOCATION, "queue": {"name": f"{LOCATION}/queues/{queue_id}", **settings}}
        return str(self.client.create_queue(request=request).name)

    def create(self, queue: str, url: str, name: str = "", **settings: Any) -> Any:
        http = {"url": url, **settings.pop("http", {})}
        task = {"http_request": http, **settings} | ({"name": f"{queue}/tasks/{name}"} if name else {})
        return self.client.create_task(request={"parent": queue, "task": task})

    def ids(self, queue: str) -> list[str]:
        """Of the tasks that are in it."""
        return [task.name.rpartition("/")[2] for task in self.client.list_tasks(parent=queue)]


class Scheduler:
    """Cloud Scheduler's client, and short words for what every test does."""

    def __init__(self, port: int, wire: str = "grpc") -> None:
        self.client = client(scheduler_v1.CloudSchedulerClient, port, wire)

    def create(self, job_id: str = "nightly", **settings: Any) -> Any:
        job = {"name": f"{LOCATION}/jobs/{job_id}", "schedule": "0 * * * *", **settings}
        return self.client.create_job(request={"parent": LOCATION, "job": job})

    def get(self, job: Any) -> Any:
        return self.client.get_job(name=job.name)

    def update(self, job: Any, **settings: Any) -> Any:
        changed = {"name": job.name, **settings}
        return self.client.update_job(request={"job": changed, "update_mask": {"paths": list(settings)}})


class Logging:
    """Cloud Logging's client, and short words for what every test does. It has no REST transport."""

    def __init__(self, port: int) -> None:
        self.client = client(LoggingServiceV2Client, port)

    def write(self, *entries: dict[str, Any], log: str = "app", **more: Any) -> None:
        request = {"log_name": f"projects/{PROJECT}/logs/{log}", "resource": {"type": "global"}, "entries": entries}
        self.client.write_log_entries(request={**request, **more})

    def list(self, text: str = "", **more: Any) -> list[Any]:
        request = {"resource_names": [f"projects/{PROJECT}"], "filter": text, **more}
        return list(self.client.list_log_entries(request=request))

    def texts(self, text: str = "", **more: Any) -> list[str]:
        return [entry.text_payload for entry in self.list(text, **more)]
