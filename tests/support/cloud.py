"""A whole server in a thread of the test's own process, on a free port and a virtual clock."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config as ClientConfig

from fogbank.assembly import Server
from fogbank.kernel.clock import Clock, VirtualClock
from fogbank.kernel.config import Config
from fogbank.kernel.telemetry import Telemetry
from tests.support import postgres

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

ACCOUNT, REGION = "000000000000", "us-east-1"


class Cloud:
    def __init__(self, data_dir: Path, *, moving: bool = False, **settings: Any) -> None:
        if os.environ.get("FOGBANK_TEST_STORE") == "postgresql":  # The same promises, over the other driver.
            settings = {"store_url": postgres.server().fresh()} | settings
        self.config = Config(data_dir=data_dir, port=0, **settings)
        self._moving = moving
        self.clock = self._new_clock()
        self.log = io.StringIO()
        self._start()

    def _new_clock(self) -> Clock:
        """One that stands still until it is told to move; or the machine's, where SDKs sign by that."""
        return Clock() if self._moving else VirtualClock()

    def client(self, service: str, *, region: str = REGION, access_key: str = "test", **options: Any) -> Any:
        config = ClientConfig(retries={"total_max_attempts": 1}).merge(options.pop("config", ClientConfig()))
        return boto3.client(
            service, endpoint_url=self.url, region_name=region, aws_access_key_id=access_key,
            aws_secret_access_key="test", config=config, **options,
        )  # fmt: skip

    def resource(self, service: str) -> Any:
        return boto3.resource(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )

    @property
    def url(self) -> str:
        return self.server.url

    def advance(self, *, seconds: float) -> None:
        self.run(self.clock.advance(round(seconds * 1000)))

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it in the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def ask(self, service: str, operation: str, /, **request: Any) -> Any:
        caller = self.server.house.caller(ACCOUNT, REGION, f"arn:aws:iam::{ACCOUNT}:root")
        return self.run(caller(service, operation, **request))  # type: ignore[arg-type]  # Every Ask is a coroutine.

    def restart(self) -> None:
        """Stop the server and start another on the same data, at the same moment of the clock, on a new port."""
        self.stop()
        offset_ms = self.clock.offset_ms
        self.clock = self._new_clock()
        self.clock.offset_ms = offset_ms
        self._start()

    def stop(self) -> None:
        try:
            self.run(self.server.stop())
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        """With all that a server may have left there that could not be started, or stopped: nothing ends later, in
        another test."""

        async def cancel_all() -> None:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        self.run(cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        telemetry = Telemetry(self.clock, self.log, level=self.config.log_level)

        async def start() -> Server:
            server = Server(self.config, clock=self.clock, telemetry=telemetry)
            await server.start()
            return server

        try:
            self.server: Server = self.run(start())
        except BaseException:
            self._end_loop()
            raise
