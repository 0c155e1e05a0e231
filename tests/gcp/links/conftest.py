"""`functions`: deployed, with the triggers that a test gives them, by Google's own clients."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import functions_v1, functions_v2

from tests.support import google_functions
from tests.support.google_functions import PARENT, RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud


class Functions:
    """Triggers are as the API's JSON has them."""

    def __init__(self, port: int) -> None:
        self._clients = google_functions.Functions(port, "grpc")
        self.close = self._clients.close

    def deploy(self, name: str, code: str, trigger: dict[str, Any] | None, *, retry: bool = False) -> None:
        """2nd gen; without a trigger it answers to HTTP."""
        function = self._clients.settings(code, name)
        if trigger is not None:
            policy = "RETRY_POLICY_RETRY" if retry else "RETRY_POLICY_DO_NOT_RETRY"
            told = {"retryPolicy": policy, "triggerRegion": google_functions.REGION, **trigger}
            function.event_trigger = functions_v2.EventTrigger.from_json(json.dumps(told))
        self._clients.create(name.replace("_", "-"), function)

    def deploy_first(self, name: str, code: str, trigger: dict[str, Any]) -> None:
        """1st gen."""
        function = functions_v1.CloudFunction(
            name=f"{PARENT}/functions/{name}", runtime=RUNTIME, entry_point=name,
            source_upload_url=self._clients.upload_first(code),
            event_trigger=functions_v1.EventTrigger.from_json(json.dumps(trigger)),
        )  # fmt: skip
        request = {"location": PARENT, "function": function}
        self._clients.finished(self._clients.first.create_function(request=request).operation)

    def delete_first(self, name: str) -> None:
        deleting = self._clients.first.delete_function(name=f"{PARENT}/functions/{name}")
        self._clients.finished(deleting.operation)


@pytest.fixture
def functions(cloud: Cloud) -> Iterator[Functions]:
    running = Functions(cloud.server.port)
    yield running
    running.close()
