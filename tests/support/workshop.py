"""The functions engine by itself, with handlers written by the test and every log line kept."""

from __future__ import annotations

import asyncio
import io
import json
import os
import uuid
from typing import TYPE_CHECKING, Any

import uvloop

from fogbank.aws.services.lambda_.dialect import DIALECTS
from fogbank.functions.dispatch import InstanceEngine
from fogbank.functions.model import Invocation, Outcome, Version
from fogbank.kernel.clock import Clock
from fogbank.kernel.ids import Ids
from fogbank.kernel.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

REQUEST_ID = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"
ENDPOINT = "http://127.0.0.1:4566"


class Workshop:
    """An engine in a loop of its own that runs whenever a test waits for something."""

    def __init__(self, folder: Path, cache_dir: Path, **engine: Any) -> None:
        self.folder, self.lines = folder, []  # type: ignore[var-annotated]  # Declared below.
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._number = 0
        engine.setdefault("sandbox", os.environ.get("FOGBANK_TEST_SANDBOX", "off"))
        engine.setdefault("dialects", DIALECTS)
        endpoint = engine.pop("endpoint", ENDPOINT)
        self.clock = Clock()
        self.said = io.StringIO()
        telemetry = Telemetry(self.clock, self.said)

        async def make() -> InstanceEngine:
            return InstanceEngine(
                folder / "run", cache_dir, self.clock, telemetry, self, Ids(self.clock),
                endpoint=lambda: endpoint, **engine,
            )  # fmt: skip

        self.engine = self.run(make())

    lines: list[tuple[str, str, str, str]]

    def write(self, place: tuple[str, str, str], events: list[tuple[int, str]]) -> None:
        self.lines += [(*place, line) for _, line in events]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(asyncio.wait_for(work, 60))

    def function(self, source: str | dict[str, str], **settings: Any) -> Version:
        """A version made of files: one text is its main module."""
        self._number += 1
        runtime = settings.setdefault("runtime", "python3.11")
        main = "app.py" if runtime.startswith("python") else "app.js"
        files = {main: source} if isinstance(source, str) else source
        code = self.folder / f"code{self._number}"
        for name, text in files.items():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            (code / name).write_text(text)
        known = {"handler": "app.handler", "log_group": "/aws/lambda/shop", "log_stream_prefix": "[$LATEST]",
                 "log_owner": "000000000000/us-east-1", "timeout_ms": 10_000}  # fmt: skip
        return Version(id=uuid.uuid4().hex, name="shop:$LATEST", code=code, **(known | settings))

    async def ask(self, version: Version, event: Any = None, *, limit: int | None = None, **facts: Any) -> Outcome:
        invocation = Invocation(facts.pop("request_id", REQUEST_ID), json.dumps(event).encode(), tail=True, **facts)
        return await self.engine.invoke(version, invocation, limit=limit)

    def invoke(self, version: Version, event: Any = None, **facts: Any) -> Outcome:
        return self.run(self.ask(version, event, **facts))  # type: ignore[no-any-return]  # `run` is for anything.

    def answer(self, version: Version, event: Any = None, **facts: Any) -> Any:
        """The reply of an event that must not fail."""
        outcome = self.invoke(version, event, **facts)
        assert outcome.error is None, outcome.payload.decode()
        return json.loads(outcome.payload)

    def failure(self, version: Version, event: Any = None, **facts: Any) -> dict[str, Any]:
        """The error document of an event that must fail."""
        outcome = self.invoke(version, event, **facts)
        assert outcome.error == "Unhandled", outcome.payload.decode()
        return json.loads(outcome.payload)  # type: ignore[no-any-return]  # It is an object.

    def text(self) -> str:
        return "".join(line for *_, line in self.lines)

    def close(self) -> None:
        self.run(self.engine.close())
        self._runner.close()
