"""`functions`: deployed over REST as gcloud does it; `firestore`: Google's own client of a database."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore as google_firestore

from tests.support.google import PROJECT, emulator
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud

PARENT = f"projects/{PROJECT}/locations/us-central1"


class Functions:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._client = httpx.Client(timeout=120)

    def close(self) -> None:
        self._client.close()

    def deploy(self, name: str, code: str, trigger: dict[str, Any] | None, *, retry: bool = False) -> None:
        """2nd gen; without a trigger it answers to HTTP."""
        upload = self._post(f"v2/{PARENT}/functions:generateUploadUrl", {})
        self._put(upload["uploadUrl"], code)
        policy = "RETRY_POLICY_RETRY" if retry else "RETRY_POLICY_DO_NOT_RETRY"
        source = {"storageSource": upload["storageSource"]}
        body: dict[str, Any] = {
            "buildConfig": {"runtime": "python311", "entryPoint": name, "source": source},
        }
        if trigger is not None:
            body["eventTrigger"] = {"retryPolicy": policy, "triggerRegion": "us-central1", **trigger}
        operation = self._post(f"v2/{PARENT}/functions?functionId={name.replace('_', '-')}", body)
        self._finished("v2", operation)

    def deploy_first(self, name: str, code: str, trigger: dict[str, Any]) -> None:
        """1st gen."""
        upload = self._post(f"v1/{PARENT}/functions:generateUploadUrl", {})
        self._put(upload["uploadUrl"], code)
        body = {
            "name": f"{PARENT}/functions/{name}", "runtime": "python311", "entryPoint": name,
            "sourceUploadUrl": upload["uploadUrl"], "eventTrigger": trigger,
        }  # fmt: skip
        self._finished("v1", self._post(f"v1/{PARENT}/functions", body))

    def delete_first(self, name: str) -> None:
        answer = self._client.delete(f"{self._cloud.url}/v1/{PARENT}/functions/{name}")
        self._finished("v1", answer.raise_for_status().json())

    def _finished(self, version: str, operation: dict[str, Any]) -> None:
        url = f"{self._cloud.url}/{version}/{operation['name']}"

        def done() -> Any:
            told = self._client.get(url).raise_for_status().json()
            return told if told.get("done") else None

        assert "error" not in (told := eventually(done, within_s=120)), told["error"]

    def _post(self, path: str, body: Any) -> dict[str, Any]:
        answer = self._client.post(f"{self._cloud.url}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def _put(self, url: str, code: str) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("main.py", code)
        headers = {"content-type": "application/zip", "x-goog-content-length-range": "0,104857600"}
        assert self._client.put(url, content=packed.getvalue(), headers=headers).status_code == 200


@pytest.fixture
def functions(cloud: Cloud) -> Iterator[Functions]:
    running = Functions(cloud)
    yield running
    running.close()


@pytest.fixture
def firestore(cloud: Cloud) -> Iterator[google_firestore.Client]:
    with emulator("FIRESTORE_EMULATOR_HOST", cloud.server.port):
        client = google_firestore.Client(project=PROJECT, credentials=AnonymousCredentials())
    yield client
    client.close()
