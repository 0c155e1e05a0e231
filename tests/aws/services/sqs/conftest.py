"""A client of SQS, and a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


@pytest.fixture
def sqs(cloud: Cloud) -> Any:
    return cloud.client("sqs")


@pytest.fixture
def orders(sqs: Any) -> str:
    return str(sqs.create_queue(QueueName="orders")["QueueUrl"])
