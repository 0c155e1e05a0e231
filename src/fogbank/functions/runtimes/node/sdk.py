"""The SDK packages that Node functions find beside their own, installed once with npm and kept for all projects."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Pinned: what runs today runs next year. v2 is what Lambda gave up to nodejs16.x; v3's clients since nodejs18.x.
V2 = ("aws-sdk@2.1693.0",)
_V3_CLIENTS = ("client-dynamodb", "lib-dynamodb", "client-lambda", "client-s3", "client-secrets-manager", "client-sqs",
               "client-sts", "util-dynamodb", "client-eventbridge", "client-cognito-identity-provider")  # fmt: skip
_V3_VERSION = "3.900.0"
V3 = tuple(f"@aws-sdk/{name}@{_V3_VERSION}" for name in _V3_CLIENTS)
_INSTALL_S = 600


class SdkError(Exception):
    """The packages cannot be installed; the message says why and what to do."""


def folder(cache_dir: Path, generation: str) -> Path:
    """The node_modules of "v2" or "v3". Takes a minute on first need: not for the event loop's thread."""
    packages = V2 if generation == "v2" else V3
    version = packages[0].rpartition("@")[2]
    home = cache_dir / "node" / f"sdk-{generation}-{version}"
    if (home / "node_modules").is_dir():
        return home / "node_modules"
    building = home.with_name(f"{home.name}.{os.getpid()}")
    building.mkdir(parents=True, exist_ok=True)
    try:
        _install(building, packages)
        building.rename(home)
    except OSError:  # Another fogbank was quicker.
        if not home.is_dir():
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return home / "node_modules"


def _install(into: Path, packages: tuple[str, ...]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise SdkError(f"npm is not on the PATH: install it, or bundle {packages[0]} with the function")
    (into / "package.json").write_text('{"name": "fogbank-sdk", "private": true}')
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", *packages]
    result = subprocess.run(command, cwd=into, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    if result.returncode:
        reason = result.stderr.strip()[-800:]
        raise SdkError(f"npm could not install {packages[0]} (network?): {reason}; or bundle it with the function")
