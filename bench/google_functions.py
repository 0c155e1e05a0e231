"""How fast Google's functions are: from nothing to a document in Firestore, against the framework's own program.

Run: .venv/bin/python -m bench.google_functions
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from fogbank.assembly import Server
from fogbank.functions.builds import build
from fogbank.functions.http.messages import HttpRequest
from fogbank.functions.model import Version
from fogbank.gcp.instances import Function, version_of
from fogbank.kernel.config import Config

_COLD, _WARM, _SAVES, _PLAIN = 20, 300, 5, 3
_PORT = 18_099
_RUNTIME = f"python3{sys.version_info.minor}"
_SOURCE = """
import functions_framework
from flask import jsonify
from google.cloud import firestore

db = firestore.Client()

@functions_framework.http
def create_item(request):
    reference = db.collection("items").document()
    reference.set({"name": request.get_json()["name"], "created_at": firestore.SERVER_TIMESTAMP})
    return jsonify({"id": reference.id}), 201
"""
_HEADERS = [("Host", "create-item.run.app"), ("Content-Type", "application/json")]


def _deploy(folder: Path, number: int) -> Version:
    code = folder / f"code{number}"
    code.mkdir(parents=True)
    (code / "main.py").write_text(_SOURCE)
    (code / "requirements.txt").write_text("functions-framework==3.*\ngoogle-cloud-firestore>=2\n")
    layers = build(code, _RUNTIME, Config().cache_dir)
    function = Function("bench", "us-central1", "create_item", _RUNTIME, "create_item", code, layers, memory_mb=512)
    return version_of(function)


async def _answer(server: Server, version: Version) -> float:
    """Milliseconds to the whole response, which must be a 201."""
    began = time.perf_counter()
    response = await server.engine.request(version, HttpRequest("POST", "/", _HEADERS, b'{"name": "tea"}'))
    await response.whole()
    assert response.status == 201, response
    return (time.perf_counter() - began) * 1000


async def _measure(folder: Path) -> None:
    server = Server(Config(data_dir=folder / "data", port=0, emulator_ports=False))
    await server.start()
    try:
        version = _deploy(folder, 0)
        await _answer(server, version)
        warm = [await _answer(server, version) for _ in range(_WARM)]
        server.engine.idle_s = -1.0
        cold = []
        for _ in range(_COLD):
            server.engine.reap()
            await asyncio.sleep(0.2)
            cold.append(await _answer(server, version))
        saves = []
        for number in range(1, _SAVES + 1):
            began = time.perf_counter()
            await _answer(server, _deploy(folder, number))
            saves.append((time.perf_counter() - began) * 1000)
        plain = [await asyncio.to_thread(_plain, server, version) for _ in range(_PLAIN)]
    finally:
        await server.stop()
    for name, took in (
        ("warm", warm),
        ("cold, from a snapshot", cold),
        ("a save of code", saves),
        ("functions-framework", plain),
    ):
        print(f"  {name:24} {statistics.median(took):8.1f} ms, at best {min(took):.1f}")
    ratio = statistics.median(plain) / statistics.median(cold)
    print(f"  the framework's own program takes {ratio:.1f} times a cold start")


def _plain(server: Server, version: Version) -> float:
    """The framework's own program, from its start to its first 201."""
    environment = {
        **os.environ, "PYTHONPATH": str(version.layers[0] / "python"), "FUNCTION_TARGET": "create_item",
        "FIRESTORE_EMULATOR_HOST": f"127.0.0.1:{server.port}", "GOOGLE_CLOUD_PROJECT": "bench", "PORT": str(_PORT),
    }  # fmt: skip
    began = time.perf_counter()
    command = [sys.executable, "-m", "functions_framework"]
    process = subprocess.Popen(command, cwd=version.code, env=environment, stderr=subprocess.DEVNULL)
    try:
        request = urllib.request.Request(f"http://127.0.0.1:{_PORT}/", b'{"name": "tea"}', dict(_HEADERS))
        while process.poll() is None:
            try:
                with urllib.request.urlopen(request) as response:
                    assert response.status == 201
                    return (time.perf_counter() - began) * 1000
            except OSError:
                time.sleep(0.005)
        raise AssertionError("functions-framework could not be started")
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="fogbank-bench-"))
    print("Google's functions in Python, each request a document in Firestore:")
    try:
        uvloop.run(_measure(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
