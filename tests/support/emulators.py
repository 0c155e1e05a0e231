"""Google's own emulators, of the Google Cloud CLI and with Java, to be compared with; and any request to either."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format

from fogbank.gcp.protocol.descriptors import methods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLATFORM = Path("/usr/lib/google-cloud-sdk/platform")
FIRESTORE = PLATFORM / "cloud-firestore-emulator/cloud-firestore-emulator.jar"
PUBSUB = next(iter(sorted((PLATFORM / "pubsub-emulator/lib").glob("*.jar"))), PLATFORM / "pubsub.jar")
_START_S = 60


def needs(jar: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (jar.exists() and shutil.which("java")), reason="the official emulator is not here")


@contextmanager
def running(jar: Path, *main: str) -> Iterator[str]:
    """Its address. `main`: the class, where the archive does not name it, and options."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = ["-cp", str(jar), *main] if main else ["-jar", str(jar)]
    process = subprocess.Popen(
        ["java", "-Xmx300m", "-Duser.language=en", *started, "--host=127.0.0.1", f"--port={port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        grpc.channel_ready_future(grpc.insecure_channel(f"127.0.0.1:{port}")).result(_START_S)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def asker(address: str, service: str) -> Callable[[str, dict[str, Any]], Any]:
    """Gives the answer as JSON, or (code, message) of the refusal."""
    channel = grpc.insecure_channel(address)

    def call(name: str, body: dict[str, Any]) -> Any:
        method = methods(service)[name]
        kind = channel.unary_stream if method.gives_stream else channel.unary_unary
        ask = kind(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        request = json_format.ParseDict(body, method.request())
        try:
            answer = ask(request, timeout=30, metadata=[("authorization", "Bearer owner")])
            if method.gives_stream:
                return [json_format.MessageToDict(each) for each in answer]
            return json_format.MessageToDict(answer)
        except grpc.RpcError as error:
            return error.code().name, error.details()

    return call
