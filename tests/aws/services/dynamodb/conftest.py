"""One server for all tests that need neither its clock nor its restart; each makes tables of its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.support.cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = itertools.count()


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("dynamodb"))
    yield running
    running.stop()


@pytest.fixture(scope="package")
def dynamodb(shared: Cloud) -> Any:
    return shared.client("dynamodb")


def make_table(client: Any, key: str = "id:S", **settings: Any) -> str:
    """`key`: "id:S" or "id:S sk:N", and further attributes for indexes behind a comma: "id:S, colour:S"."""
    own, _, others = key.partition(",")
    attributes = [name.split(":") for name in (*own.split(), *others.replace(",", " ").split())]
    name = f"table-{next(_numbers)}"
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": kind} for each, kind in attributes],
        KeySchema=key_schema(*[name.split(":")[0] for name in own.split()]),
        **{"BillingMode": "PAY_PER_REQUEST", **settings},
    )
    return name


def key_schema(hash_name: str, range_name: str = "") -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_name, "KeyType": "HASH"}]
    return [*schema, {"AttributeName": range_name, "KeyType": "RANGE"}] if range_name else schema


def index(name: str, *key: str, projection: str = "ALL", extra: list[str] | None = None) -> dict[str, Any]:
    projected: dict[str, Any] = {"ProjectionType": projection, **({"NonKeyAttributes": extra} if extra else {})}
    return {"IndexName": name, "KeySchema": key_schema(*key), "Projection": projected}


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """Code and message of the error that the call must end with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def reason(call: Callable[..., Any], **request: Any) -> str:
    """The message of the ValidationException that the call must end with."""
    code, message = refusal(call, **request)
    assert code == "ValidationException", message
    return message
