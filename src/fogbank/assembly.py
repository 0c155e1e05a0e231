"""The composition root: the only file that knows everybody. It builds the parts, in order, once, and takes them down.

Services, links and resource types are found by where they stand (`aws/services/*/operations`, `aws/links/*`), so adding
one changes nothing here.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import fogbank.aws.links
import fogbank.aws.services
import fogbank.gcp.links
import fogbank.gcp.services
from fogbank import __version__, control
from fogbank.aws.protocol import models
from fogbank.aws.protocol.door import Asker, Door
from fogbank.aws.protocol.names import method_name
from fogbank.aws.service import House, Operations
from fogbank.aws.services.lambda_.debugging import Debugging
from fogbank.aws.services.lambda_.dialect import DIALECTS
from fogbank.aws.services.lambda_.feeding import Feeder
from fogbank.aws.services.lambda_.state import CHANGED, FUNCTIONS, Named
from fogbank.aws.stacks.deployer import Deployer
from fogbank.functions.dispatch import InstanceEngine
from fogbank.functions.engine import NoRuntimeError
from fogbank.functions.sandbox.places import is_open
from fogbank.functions.triggers import Triggers
from fogbank.gcp.identity.issuer import Issuer
from fogbank.gcp.instances.dialect import HTTP_DIALECTS
from fogbank.gcp.protocol import descriptors
from fogbank.gcp.protocol.door import Door as GoogleDoor
from fogbank.gcp.protocol.rest import Rest
from fogbank.gcp.service import House as GoogleHouse
from fogbank.gcp.service import Service as GoogleService
from fogbank.kernel.clock import Clock
from fogbank.kernel.ephemeral import Ephemeral
from fogbank.kernel.errors import StartError, unusable
from fogbank.kernel.gateway import Gateway, Limits, Routes
from fogbank.kernel.gateway.messages import Pending, Ready
from fogbank.kernel.ids import Ids
from fogbank.kernel.signals import Signals
from fogbank.kernel.store.opening import open_store
from fogbank.kernel.tasks import Supervisor
from fogbank.kernel.telemetry import Telemetry
from fogbank.primitives.blobs import Blobs
from fogbank.primitives.logs import LogWriter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from types import ModuleType

    from fogbank.aws.service import Ask
    from fogbank.kernel.config import Config
    from fogbank.kernel.gateway.handing_over import Speaker
    from fogbank.kernel.gateway.messages import Answer, Request, Response

    Answering = Callable[[Request], Answer]

S = TypeVar("S")
_EMULATOR_PORTS = (8080, 8085)  # Firestore's and Pub/Sub's, where `gcloud emulators` starts them.
_USUAL_RUNTIME = "python3.12"


class Server:
    """One node: after `await start()` it answers at `url`; `await stop()` ends it with nothing half done."""

    def __init__(
        self, config: Config, *, clock: Clock | None = None, telemetry: Telemetry | None = None, seed: int | None = None
    ) -> None:
        self._ephemeral = _ephemeral(config) if config.ephemeral else None
        self.config = replace(config, data_dir=self._ephemeral.folder) if self._ephemeral else config
        self.clock = clock or Clock()
        self.telemetry = telemetry or Telemetry(self.clock, level=config.log_level)
        self.ids = Ids(self.clock, seed=seed)
        self.supervisor = Supervisor(self.telemetry)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{self.config.url_host}:{self.port}"

    async def start(self) -> None:
        config = self.config
        try:
            for folder in (config.data_dir, config.blobs_dir, config.code_dir, config.run_dir):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(unusable(config.data_dir, error)) from error
        self.signals = Signals(self.clock)
        self.store = await open_store(config, self.signals, self.clock)
        await control.restore_clock(self.store, self.clock)
        self.logs = logs = LogWriter(self.store, self.clock)
        self.engine = InstanceEngine(
            config.run_dir, config.cache_dir, self.clock, self.telemetry, logs, self.ids,
            endpoint=lambda: self.url, dialects={**DIALECTS, **HTTP_DIALECTS}, sandbox=config.sandbox,
            http_dialects=HTTP_DIALECTS,
        )  # fmt: skip
        self.door = Door(config, self.clock, self.ids, self.telemetry, self.store)
        self.house = House(
            config, self.store, self.clock, self.ids, self.signals, Blobs(config.blobs_dir), self.engine,
            self.telemetry, self.caller, self.door.signer, lambda: self.url, self.door.serves, links=_links(),
            resource_types=_resource_types(),
        )  # fmt: skip
        self.services = [cls(self.house) for cls in _operations()]
        self.door.attach(self.services)
        self._make_google(self.house.blobs)
        services: list[Operations | GoogleService] = [*self.services, *self.google_services]
        routes = [*control.routes(self), *(route for service in services for route in service.routes())]
        routes += Rest(self.google).routes()
        answer: Answering = Routes(routes, self.door.answer).answer
        if self.telemetry.debugging:
            answer = _telling(answer, self.telemetry)
        self.gateway = Gateway(
            answer, Limits(), self.telemetry, self.ids, run_dir=config.run_dir, speaker=self._speak_http2
        )
        self.port = self.door.port = await self.gateway.start(config.host, config.port)
        for port in _EMULATOR_PORTS if config.emulator_ports else ():
            if not await self.gateway.listen_also(config.host, port):
                self.telemetry.info("a port of Google's emulators cannot be had", host=config.host, port=port)
        self.supervisor.start("logs: write behind", logs.run)
        feeding = self.house.share(Feeder)
        triggers = Triggers(
            self.store, self.clock, self.signals, self.supervisor, self.house.links, feeding.invoke,
            feeding.is_debugged, feeding.deliver,
        )  # fmt: skip
        self.supervisor.start("triggers", triggers.run)
        for service in services:
            for background in service.backgrounds():
                self.supervisor.start(background.name, background.run)

    def _make_google(self, blobs: Blobs) -> None:
        self.google = GoogleDoor(self.clock, self.ids, self.telemetry, self.store)
        house = GoogleHouse(
            self.config, self.store, self.clock, self.ids, self.signals, blobs, self.engine, self.telemetry,
            self.google.ask, Issuer(self.store, self.clock, self.ids), lambda: self.url,
            _named_links("gcp", fogbank.gcp.links),
        )  # fmt: skip
        self.google_services = [cls(house) for cls in _found(fogbank.gcp.services, GoogleService)]
        self.google.attach(self.google_services)

    def _speak_http2(self) -> Speaker:
        """Loaded with the first connection that needs it: most servers see none."""
        spoken: Speaker = importlib.import_module("fogbank.gcp.protocol.grpc").Spoken(self.google)
        return spoken

    def make_ready(self) -> None:
        """Start behind everything else what the first function will need, so that it need not wait for it."""
        self.supervisor.start("functions: make ready", self._warm)

    async def _warm(self) -> None:
        """Without functions what takes longest of the usual runtime; then whatever there are functions of."""
        warm: set[str] = set()
        with self.signals.watch(CHANGED) as watch:
            while True:
                functions = await self.store.transact(FUNCTIONS.all)
                if not functions and not warm:
                    await self.engine.warm(_USUAL_RUNTIME, wholly=False)
                runtimes = {str(function.latest.settings["Runtime"]) for function in functions}
                for runtime in sorted(runtimes - warm):
                    with suppress(NoRuntimeError):  # The function's own log will say so.
                        await self.engine.warm(runtime)
                warm |= runtimes
                await watch.wait()

    async def stop(self) -> None:
        """In the reverse order of `start`: no new requests, loops ended, instances ended, then the store."""
        await self.gateway.close()
        await self.house.share(Deployer).stop()
        await self.supervisor.stop_all()
        await self.engine.close()
        await self.logs.flush()
        await self.store.close()
        if self._ephemeral is not None:
            self._ephemeral.remove()

    async def debug(
        self, account: str, region: str, function: str, qualifier: str, port: int
    ) -> AsyncGenerator[dict[str, Any], None]:
        return await self.house.share(Debugging).begin(Named(account, region, function, qualifier), port)

    def health(self) -> dict[str, Any]:
        services = sorted({service.service for service in self.services})
        rooms = (
            type(service).__module__.removeprefix(f"{fogbank.gcp.services.__name__}.")
            for service in self.google_services
        )
        google = sorted({room.partition(".")[0] for room in rooms})
        return {"version": __version__, "pid": os.getpid(), "services": services, "google_services": google}

    def caller(self, account: str, region: str, principal: str, *, source_arn: str = "") -> Ask:
        who = Asker(account, region, principal, source_arn)

        async def ask(service: str, operation: str, /, **request: Any) -> dict[str, Any]:
            return await self.door.ask(who, service, operation, **request)

        return ask


def _ephemeral(config: Config) -> Ephemeral:
    """Where no instance can read it, even one that has no root folder of its own. Raises `StartError`."""
    usual = Path(tempfile.gettempdir())
    hidden = [place for place in (usual, Path("/var/tmp"), config.cache_dir) if not is_open(place)]
    for place in hidden:
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            return Ephemeral(place)
    try:
        return Ephemeral(usual)  # `status` says what that means.
    except OSError as error:
        raise StartError(unusable(usual, error)) from error


def _telling(answer: Answering, telemetry: Telemetry) -> Answering:
    """The same, with a line for each request."""

    async def answer_and_tell(request: Request) -> Response:
        began = time.perf_counter()
        given = answer(request)
        response = await given.whole() if isinstance(given, Ready | Pending) else await given
        took_ms = round((time.perf_counter() - began) * 1000, 2)
        telemetry.debug(
            "request", method=request.method, host=request.host, path=request.path, status=response.status,
            took_ms=took_ms,
        )  # fmt: skip
        return response

    return answer_and_tell


def served() -> tuple[dict[str, list[str]], list[str]]:
    """What is written: operations by service, each by its name on the wire, and CloudFormation's types."""
    methods: dict[str, set[str]] = {}
    for cls in _operations():
        methods.setdefault(cls.service, set()).update(name for name in vars(cls) if not name.startswith("_"))
    operations = {
        service: sorted(name for name in models.load(service).operations if method_name(name) in names)
        for service, names in sorted(methods.items())
    }
    return operations, sorted(_resource_types())


def google_served() -> dict[str, list[str]]:
    """The rpcs that are written, by service, and the methods of APIs that have none."""
    found = list(_found(fogbank.gcp.services, GoogleService))
    classes = [cls for cls in found if not cls.methods]
    return {cls.service: list(cls.methods) for cls in found if cls.methods} | {
        service: [
            name
            for name in descriptors.methods(service)
            if any(cls.service == service and hasattr(cls, descriptors.method_name(name)) for cls in classes)
        ]
        for service in sorted({cls.service for cls in classes})
    }


def _operations() -> Iterator[type[Operations]]:
    return _found(fogbank.aws.services, Operations)


def _found(services: ModuleType, base: type[S]) -> Iterator[type[S]]:
    """Every class of operations of every service of a skin, in the order of the folders."""
    for service in _modules(services):
        if importlib.util.find_spec(f"{service}.operations") is None:
            continue
        for module in _modules_below(f"{service}.operations"):
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__:
                    yield value


def _links() -> dict[str, Any]:
    return _named_links("aws", fogbank.aws.links)


def _named_links(skin: str, links: ModuleType) -> dict[str, Any]:
    return {f"{skin}.{name.rpartition('.')[2]}": importlib.import_module(name) for name in _modules(links)}


def _resource_types() -> dict[str, Any]:
    """Every class with a `type` in any service's `resources`, made once."""
    found: dict[str, Any] = {}
    for service in _modules(fogbank.aws.services):
        if importlib.util.find_spec(f"{service}.resources") is None:
            continue
        for value in vars(importlib.import_module(f"{service}.resources")).values():
            if isinstance(value, type) and isinstance(vars(value).get("type"), str):
                found[vars(value)["type"]] = value()
    return found


def _modules(package: ModuleType) -> list[str]:
    return sorted(found.name for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."))


def _modules_below(name: str) -> Iterator[ModuleType]:
    """The module itself and, if it is a folder, those in it."""
    module = importlib.import_module(name)
    yield module
    if hasattr(module, "__path__"):
        yield from (importlib.import_module(below) for below in _modules(module))
