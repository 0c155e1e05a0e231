"""What the person who starts fogbank may choose. Every setting has a `FOGBANK_…` variable and a command-line option."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Config:
    data_dir: Path = Path(".fogbank")
    host: str = "127.0.0.1"  # The address to listen on.
    port: int = 4566  # 0: any free one.
    region: str = "us-east-1"  # Where a caller's region is not told.
    account: str = "000000000000"
    ephemeral: bool = False  # Nothing is kept: the data folder is a temporary one.
    durability: str = "process"  # "process": survives kill -9; "power": an fsync per commit.
    store_url: str = ""  # postgresql://…: the state is kept there, and other nodes may share it.
    verify_signatures: bool = False  # Off, any key pair is welcome.
    emulator_ports: bool = False  # Listen where Google's emulators do as well, as far as those ports are free.
    sandbox: Literal["auto", "require", "off"] = "auto"  # "require": no function runs without.
    log_level: str = "info"  # "error", "info", or "debug": a line for every hop of every request.
    cache_dir: Path = field(default_factory=lambda: Path("~/.cache/fogbank").expanduser())  # Shared by all projects.

    @property
    def url_host(self) -> str:
        """The host as an address of this server names it: one that can be asked, where it listens on all."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host

    @property
    def store_path(self) -> Path:
        return self.data_dir / "store.db"

    @property
    def blobs_dir(self) -> Path:
        return self.data_dir / "blobs"

    @property
    def code_dir(self) -> Path:
        return self.data_dir / "code"

    @property
    def run_dir(self) -> Path:
        """Sockets, pid file, instances' /tmp: nothing here outlives the server."""
        return self.data_dir / "run"
