"""`db`: the published client, at a whole server on a virtual clock; `rpc`: any request, as JSON, valid or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.cloud import firestore_admin_v1
from google.cloud.firestore_admin_v1.services.firestore_admin.transports import FirestoreAdminGrpcTransport

from tests.support import emulators
from tests.support.google import firestore_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.cloud import Cloud

DATABASE = "projects/p/databases/(default)"
ROOT = f"{DATABASE}/documents"


def client(cloud: Cloud, database: str = "(default)") -> Any:
    return firestore_client(cloud.server.port, "p", database)


@pytest.fixture
def db(cloud: Cloud) -> Any:
    return client(cloud)


@pytest.fixture
def admin(cloud: Cloud) -> Any:
    channel = grpc.insecure_channel(cloud.url.removeprefix("http://"))
    return firestore_admin_v1.FirestoreAdminClient(transport=FirestoreAdminGrpcTransport(channel=channel))


@pytest.fixture
def rpc(cloud: Cloud) -> Callable[[str, dict[str, Any]], Any]:
    return asker(cloud)


def asker(cloud: Cloud) -> Callable[[str, dict[str, Any]], Any]:
    """Gives the answer as JSON, or (code, message) of the refusal."""
    return asker_of(cloud.url.removeprefix("http://"))


def asker_of(address: str) -> Callable[[str, dict[str, Any]], Any]:
    return emulators.asker(address, "google.firestore.v1.Firestore")
