"""The options that commands share. Each has its `FOGBANK_…` variable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def application(**settings: Any) -> typer.Typer:
    """One command's program: plain help, and a bug shown as Python shows it."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **settings)


Data = Annotated[
    Path, typer.Option("--data", envvar="FOGBANK_DATA", help="Folder of the state.", show_default=True, file_okay=False)
]
Port = Annotated[
    int, typer.Option("--port", envvar="FOGBANK_PORT", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
]
Host = Annotated[str, typer.Option("--host", envvar="FOGBANK_HOST", help="Address to listen on.")]
Region = Annotated[
    str,
    typer.Option(
        "--region",
        envvar="FOGBANK_REGION",
        help="Region where a caller names none. Default: the running cloud's, or us-east-1.",
    ),
]
Ephemeral = Annotated[bool, typer.Option("--ephemeral", envvar="FOGBANK_EPHEMERAL", help="Keep nothing.")]
Durability = Annotated[
    Literal["process", "power"],
    typer.Option(
        "--durability", envvar="FOGBANK_DURABILITY", help="process: survives kill -9. power: an fsync per commit."
    ),
]
StoreUrl = Annotated[
    str,
    typer.Option("--store-url", envvar="FOGBANK_STORE_URL", help="postgresql://…: keep the state in this database."),
]
VerifySignatures = Annotated[
    bool,
    typer.Option(
        "--verify-signatures", envvar="FOGBANK_VERIFY_SIGNATURES",
        help="Let only requests in that are signed with a key this cloud issued, or with test/test.",
    ),
]  # fmt: skip
EmulatorPorts = Annotated[
    bool,
    typer.Option(
        "--emulator-ports", envvar="FOGBANK_EMULATOR_PORTS",
        help="Listen on the ports of Google's emulators as well (Firestore 8080, Pub/Sub 8085), where they are free.",
    ),
]  # fmt: skip
Sandbox = Annotated[
    Literal["auto", "require", "off"],
    typer.Option(
        "--sandbox", envvar="FOGBANK_SANDBOX",
        help="What holds functions: the strongest that this machine gives (see `fogbank doctor`); the same, and no "
        "function runs where that is not all; or nothing.",
    ),
]  # fmt: skip
LogLevel = Annotated[
    Literal["error", "info", "debug"],
    typer.Option(
        "--log-level", envvar="FOGBANK_LOG_LEVEL",
        help="What the server's own log tells; debug: a line for every hop of every request, with its trace.",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", envvar="FOGBANK_JSON", help="Print JSON for programs.")]

DATA = Path(".fogbank")
PORT = 4566
HOST = "127.0.0.1"
REGION = "us-east-1"
