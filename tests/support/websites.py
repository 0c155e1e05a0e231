"""The functions engine by itself, with Google's functions written by the test, their packages built once a machine."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.functions.builds import BuildFailed, build
from fogbank.functions.http.messages import HttpRequest, HttpResponse
from fogbank.gcp.instances import Function, version_of
from fogbank.gcp.instances.dialect import HTTP_DIALECTS
from fogbank.kernel.config import Config
from tests.support.workshop import Workshop

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.functions.model import Version

PYTHON = f"python3{sys.version_info.minor}"
REQUIREMENTS = "functions-framework==3.*\ngoogle-cloud-firestore>=2\n"
PACKAGE = {
    "name": "shop", "main": "index.js",
    "dependencies": {"@google-cloud/functions-framework": "^3.4.0"},
}  # fmt: skip
HOLD = """
import os, time
def hold(name):
    os.makedirs(FOLDER, exist_ok=True)
    open(os.path.join(FOLDER, name + ".held"), "w").close()
    while not os.path.exists(os.path.join(FOLDER, name)):
        time.sleep(0.01)
"""


def built(code: Path, runtime: str) -> tuple[Path, ...]:
    """In the cache that all runs share; skips where there is no network to fill it from."""
    try:
        return build(code, runtime, Config().cache_dir)
    except BuildFailed as error:
        pytest.skip(f"the packages of Google's functions cannot be installed: {error}")


class Website:
    """A workshop for functions of Google's: each request is one to a version."""

    def __init__(self, folder: Path, endpoint: str = "http://127.0.0.1:4566", **engine: Any) -> None:
        self.shop = Workshop(
            folder, Config().cache_dir, dialects=HTTP_DIALECTS, http_dialects=HTTP_DIALECTS, endpoint=endpoint, **engine
        )
        self.engine, self.run, self.close = self.shop.engine, self.shop.run, self.shop.close
        self.held = folder / "held"
        self._number = 0

    def deploy(self, source: str | dict[str, str], **settings: Any) -> Version:
        self._number += 1
        runtime = settings.setdefault("runtime", PYTHON)
        is_python = runtime.startswith("python")
        files = {"main.py" if is_python else "index.js": source} if isinstance(source, str) else dict(source)
        if is_python:
            files.setdefault("requirements.txt", REQUIREMENTS)
            files["main.py"] = f"FOLDER = {str(self.held)!r}\n{HOLD}{files['main.py']}"
        else:
            files.setdefault("package.json", json.dumps(PACKAGE))
        code = self.shop.folder / f"site{self._number}"
        for name, text in files.items():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            (code / name).write_text(text)
        known = {"project": "shop", "region": "us-central1", "name": "greet", "entry_point": "greet", "timeout_s": 30}
        return version_of(Function(code=code, layers=built(code, runtime), **(known | settings)))

    async def ask(self, version: Version, method: str = "GET", target: str = "/", *, limit: int | None = None,
                  body: Any = None, headers: dict[str, str] | None = None) -> HttpResponse:  # fmt: skip
        found = {"Host": "greet.run.app", **(headers or {})}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if body is not None and not isinstance(body, bytes):
            found.setdefault("Content-Type", "application/json")
        return await self.engine.request(
            version, HttpRequest(method, target, list(found.items()), content), limit=limit
        )

    def get(self, version: Version, *asked: Any, **more: Any) -> tuple[int, str]:
        """Status and text of a whole response."""

        async def whole() -> tuple[int, str]:
            response = await self.ask(version, *asked, **more)
            return response.status, (await response.whole()).decode()

        return self.run(whole())  # type: ignore[no-any-return]  # `run` is for anything.

    def release(self, name: str) -> None:
        """Whoever holds on `name` goes on."""
        self.held.mkdir(exist_ok=True)
        (self.held / name).touch()

    async def is_held(self, name: str) -> None:
        while not (self.held / f"{name}.held").exists():
            await asyncio.sleep(0.01)

    def entries(self, **wanted: Any) -> list[dict[str, Any]]:
        """The log, as entries; `wanted`: members that they must have."""
        found = [json.loads(line) for *_, line in self.shop.lines]
        return [one for one in found if all(one.get(name) == value for name, value in wanted.items())]

    def texts(self) -> list[str]:
        return [one["textPayload"] for one in self.entries() if "textPayload" in one]
