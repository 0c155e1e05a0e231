"""`bucket`: a new one on a server that a file of tests shares; `gcs`, `http`: Google's client and a bare one, for it.

What moves the clock or restarts the server asks for `cloud`, a server of its own, and `client_of` it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.cloud import Cloud
from tests.support.google import storage_client

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count()


def client_of(cloud: Cloud) -> Any:
    return storage_client(cloud.server.port)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("shared") / "data")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gcs(shared: Cloud) -> Any:
    return client_of(shared)


@pytest.fixture
def http(shared: Cloud) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shared.url, timeout=30) as client:
        yield client


@pytest.fixture
def bucket(gcs: Any) -> Any:
    return gcs.create_bucket(f"bucket-{next(_numbers)}")


@pytest.fixture
def versioned(gcs: Any) -> Any:
    made = gcs.bucket(f"bucket-{next(_numbers)}")
    made.versioning_enabled = True
    return gcs.create_bucket(made)


def put(bucket: Any, name: str, content: bytes | str = b"content", **options: Any) -> Any:
    blob = bucket.blob(name)
    blob.upload_from_string(content, **options)
    return blob


def names(blobs: Any) -> list[str]:
    return [blob.name for blob in blobs]


def reason(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, reason and message of an error of the JSON API."""
    told = answer.json()["error"]
    assert told["code"] == answer.status_code and told["errors"][0]["message"] == told["message"]
    return answer.status_code, told["errors"][0]["reason"], told["message"]
