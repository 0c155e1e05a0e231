"""`fogbank start`: run the cloud of a folder, here or in the background."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
import uvloop

from fogbank.assembly import Server
from fogbank.cli.support import options, running
from fogbank.cli.support.problems import Problem
from fogbank.cli.support.progress import Progress
from fogbank.kernel.config import Config
from fogbank.kernel.errors import PortInUseError, StartError, unusable

if TYPE_CHECKING:
    from pathlib import Path

app = options.application()


@app.command()
def start(
    *,
    data: options.Data = options.DATA,
    port: options.Port = options.PORT,
    host: options.Host = options.HOST,
    region: options.Region = "",
    ephemeral: options.Ephemeral = False,
    durability: options.Durability = "process",
    store_url: options.StoreUrl = "",
    verify_signatures: options.VerifySignatures = False,
    emulator_ports: options.EmulatorPorts = False,
    log_level: options.LogLevel = "info",
    sandbox: options.Sandbox = "auto",
    detach: Annotated[bool, typer.Option("--detach", envvar="FOGBANK_DETACH", help="Run in the background.")] = False,
    json: options.Json = False,
) -> None:
    """Run the cloud whose state is in --data."""
    already = running.find(data)
    if already is not None and not ephemeral:
        raise Problem(f"fogbank is running on {data.absolute()} already (process {already.pid}): {already.url}")
    config = Config(
        data_dir=data, host=host, port=port, region=region or options.REGION, ephemeral=ephemeral,
        durability=durability, store_url=store_url, verify_signatures=verify_signatures, emulator_ports=emulator_ports,
        log_level=log_level,
        sandbox=sandbox,
    )  # fmt: skip
    if detach:
        with Progress(quiet=json).waiting("starting the cloud"):
            found = running.start_detached(data, config)
        told = f"fogbank runs in the background at {found.url} (process {found.pid}); state in {data}/"
        typer.echo(orjson.dumps({"url": found.url, "pid": found.pid}).decode() if json else told)
        return
    gc.disable()  # While services are loaded: nearly nothing is garbage.
    try:
        uvloop.run(_serve(config, data, json=json))
    except PortInUseError as error:
        raise Problem(_whose(config) or str(error)) from error
    except StartError as error:
        raise Problem(str(error)) from error
    except OSError as error:
        raise Problem(unusable(data, error)) from error


def _whose(config: Config) -> str:
    """Why the port cannot be had, if a fogbank has it."""
    holder = running.holder(f"http://{config.url_host}:{config.port}")
    if holder is None:
        return ""
    folder = holder["data_dir"]
    return (
        f"port {config.port} on {config.host} is in use by the fogbank whose state is in {folder}; end it with "
        f"`fogbank stop --data {folder}`, or choose another port with --port, or 0 for any free one"
    )


_GARBAGE_THRESHOLDS = (20_000, 20, 50)


async def _serve(config: Config, data: Path, *, json: bool) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(config)
    await server.start()
    server.make_ready()
    gc.collect()
    gc.freeze()  # What is loaded by now stays; looking through it again and again would stop every request.
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    gc.enable()
    running.write_note(data, server.url, config.region)
    if json:
        typer.echo(orjson.dumps({"url": server.url, "pid": os.getpid()}).decode())
    else:
        typer.echo(f"fogbank is ready at {server.url}; state in {server.config.data_dir}/", err=True)
    try:
        await stopping.wait()
    finally:
        running.note_path(data).unlink(missing_ok=True)
        await server.stop()
