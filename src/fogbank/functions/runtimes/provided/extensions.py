"""The Extensions API, version 2020-01-01: who accompanies a runtime, and what each may say when.

Lambda Developer Guide, "Using the Lambda Extensions API to create extensions"; what is refused, and in which words, is
as the service's own Runtime Interface Emulator has it. States have the names that its errors use.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from fogbank.functions.runtimes.provided.answers import NOT_ALLOWED, accepted, answer, header, not_found, refused
from fogbank.functions.runtimes.provided.server import Poll
from fogbank.kernel.gateway.messages import Ready, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fogbank.functions.processes import Process
    from fogbank.functions.runtimes.provided.server import Line
    from fogbank.kernel.gateway.messages import Answer, Request

PREFIX: Final = "/2020-01-01/extension/"
MOST: Final = 10  # "Extension limit (10) reached".
_NAME, _ID = "lambda-extension-name", "lambda-extension-identifier"
_ERROR_TYPE = "Lambda-Extension-Function-Error-Type"
_FEATURES = "lambda-extension-accept-feature"
_EVENTS = ("INVOKE", "SHUTDOWN")
_BODY_BYTES_MAX = 64 * 1024


@dataclass(slots=True)
class Extension:
    name: str
    process: Process | None = None  # None: an internal one, which lives in the runtime's process.
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "Started"
    events: tuple[str, ...] = ()
    error: str = ""  # Why it will end, in its own word.
    _poll: Poll | None = None
    _event: Response | None = None  # One that came while it did not ask.

    def give(self, event: dict[str, Any]) -> None:
        """Now, or when it next asks."""
        headers = [("content-type", "application/json"), ("Lambda-Extension-Event-Identifier", str(uuid.uuid4()))]
        response = Response(200, headers, orjson.dumps(event))
        self.state = "Running"
        if self._poll is None or not self._poll.give(response):
            self._event = response
        self._poll = None

    def ask(self, line: Line) -> Answer:
        if self._event is not None:
            event, self._event = self._event, None
            return Ready(event)
        self._poll = Poll.of(line)
        return self._poll.pending

    @property
    def asks(self) -> bool:
        """Whether it waits on a connection that is open."""
        return self._poll is not None and self._poll.line.open


class Extensions:
    def __init__(self, facts: dict[str, str], progressed: Callable[[], None]) -> None:
        """`facts`: what a registration answers. `progressed` hears of each that registers, or waits for an event."""
        self._facts, self._progressed = facts, progressed
        self._by_name: dict[str, Extension] = {}
        self.closed = False  # Init is over: nobody registers any more.

    def add(self, process: Process) -> Extension:
        """One whose program is about to run; its name is the file's."""
        extension = self._by_name[process.command.name] = Extension(process.command.name, process)
        return extension

    def all(self) -> list[Extension]:
        return list(self._by_name.values())

    def external(self) -> list[Extension]:
        return [extension for extension in self._by_name.values() if extension.process is not None]

    def of(self, process: Process) -> Extension:
        return next(extension for extension in self._by_name.values() if extension.process is process)

    def for_event(self, event: str) -> Iterable[Extension]:
        return [extension for extension in self._by_name.values() if event in extension.events]

    def registered(self) -> bool:
        """All whose programs were started have said what they want."""
        return all(extension.state != "Started" for extension in self._by_name.values())

    def ready(self, *, event: str = "") -> bool:
        """All (that take part in such an event) wait for the next."""
        return all(
            extension.state == "Ready"
            for extension in self._by_name.values()
            if not event or event in extension.events
        )  # fmt: skip

    def identify(self, request: Request) -> Extension | Ready:
        """Who speaks; or what to answer to nobody."""
        given = header(request, _ID)
        if not given:
            told = "Missing Lambda-Extension-Identifier header"
            return refused(403, "Extension.MissingExtensionIdentifier", told)
        try:
            wanted = str(uuid.UUID(given))
        except ValueError:
            return refused(403, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
        for extension in self._by_name.values():
            if extension.id == wanted and extension.state != "Started":
                return extension
        return refused(403, "Extension.UnknownExtensionIdentifier", f"Unknown extension {wanted}")

    def answer(self, line: Line, request: Request) -> Answer:
        if (request.method, request.path) == ("POST", f"{PREFIX}register"):
            return self._register(request)
        match request.method, request.path.removeprefix(PREFIX):
            case "GET", "event/next":
                handle = self._next
            case "POST", "init/error":
                handle = self._init_error
            case "POST", "exit/error":
                handle = self._exit_error
            case _:
                return not_found()
        speaker = self.identify(request)
        return speaker if isinstance(speaker, Ready) else handle(speaker, line, request)

    # -- registration --

    def _register(self, request: Request) -> Ready:
        name = header(request, _NAME)
        if not name:
            return refused(403, "Extension.InvalidExtensionName", "Empty extension name")
        try:
            events = _events(bytes(request.body[:_BODY_BYTES_MAX]))
        except ValueError as error:
            return refused(403, "InvalidRequestFormat", str(error))
        known = self._by_name.get(name)
        external = known is not None and known.process is not None
        for event in events:
            if event not in _EVENTS:
                return refused(403, "Extension.InvalidEventType", f"{event}: ErrorInvalidEventType")
            if event == "SHUTDOWN" and not external:
                told = f"{event}: ShutdownEventNotSupportedForInternalExtension"
                return refused(403, "Extension.InvalidEventType", told)
        if known is None or not external:
            refusal = self._why_not_internal(known)
            if refusal is not None:
                return refusal
            known = self._by_name[name] = Extension(name)
        if known.state != "Started":
            return _not_now(known, "Registered", name)
        known.state, known.events = "Registered", tuple(events)
        self._progressed()
        return answer(200, self._described(request), ("Lambda-Extension-Identifier", known.id))

    def _why_not_internal(self, known: Extension | None) -> Ready | None:
        if self.closed:
            return refused(403, "Extension.RegistrationClosed", "Extension registration closed already")
        if known is not None:
            return refused(403, "Extension.InvalidExtensionState", "Extension with this name already registered")
        if len(self._by_name) >= MOST:
            return refused(403, "Extension.TooManyExtensions", f"Extension limit ({MOST}) reached")
        return None

    def _described(self, request: Request) -> dict[str, str]:
        """ "Register": the account only where that feature is asked for."""
        features = [feature.strip() for feature in header(request, _FEATURES).split(",")]
        return {name: fact for name, fact in self._facts.items() if name != "accountId" or "accountId" in features}

    # -- its life --

    def _next(self, extension: Extension, line: Line, request: Request) -> Answer:
        if (extension.state == "Ready" and extension.asks) or extension.state.endswith("Error"):
            return _not_now(extension, "Ready", extension.id)
        reply = extension.ask(line)
        if not isinstance(reply, Ready):
            extension.state = "Ready"
            self._progressed()
        return reply

    def _init_error(self, extension: Extension, line: Line, request: Request) -> Answer:
        return self._error(extension, request, "InitError", ("Registered",))

    def _exit_error(self, extension: Extension, line: Line, request: Request) -> Answer:
        return self._error(extension, request, "ExitError", ("Registered", "Ready", "Running"))

    def _error(self, extension: Extension, request: Request, state: str, allowed: tuple[str, ...]) -> Answer:
        if not header(request, _ERROR_TYPE.lower()):
            return refused(403, "Extension.MissingHeader", f"{_ERROR_TYPE} not found")
        if extension.state not in (*allowed, state):
            return _not_now(extension, state if state == "InitError" else "Exited", extension.id)
        extension.state, extension.error = state, f"Extension.{state}"
        return accepted()


def _events(body: bytes) -> list[str]:
    """Of a registration. Raises `ValueError`."""
    given = orjson.loads(body)
    if not isinstance(given, dict):
        raise ValueError("the body is no JSON object")
    if given.get("configurationKeys"):
        raise ValueError("configurationKeys are deprecated; use environment variables instead")
    events = [] if given.get("events") is None else given["events"]
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        raise ValueError("events is no list of strings")
    return events


def _not_now(extension: Extension, wanted: str, called: str) -> Ready:
    told = f"State transition from {extension.state} to {wanted} failed for extension {called}. Error: {NOT_ALLOWED}"
    return refused(403, "Extension.InvalidExtensionState", told)
