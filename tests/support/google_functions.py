"""Google's functions deployed by Google's own clients, over gRPC or REST, and asked by HTTP."""

from __future__ import annotations

import io
import sys
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import functions_v1, functions_v2

from fogbank.functions.builds import BuildFailed, build
from fogbank.kernel.config import Config
from tests.support.google import PROJECT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

REGION = "us-central1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
RUNTIME = f"python3{sys.version_info.minor}"
_WITHIN_S = 60.0  # A deployment starts processes, on a machine that may be busy with others.

HELLO = """
import os
import functions_framework

@functions_framework.http
def hello(request):
    return f"{os.environ.get('GREETING', 'hello')} {request.path}?{request.query_string.decode()}"

@functions_framework.http
def headers(request):
    return dict(request.headers)
"""


def ready(folder: Path) -> None:
    """The framework is installed, once for all tests; skips where there is no network to have it from."""
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(HELLO)
    (folder / "requirements.txt").write_text("functions-framework\n")
    try:
        build(folder, RUNTIME, Config().cache_dir)
    except BuildFailed as error:
        pytest.skip(f"the packages of Google's functions cannot be installed: {error}")


def zipped(files: dict[str, str] | str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in ({"main.py": files} if isinstance(files, str) else files).items():
            archive.writestr(name, text)
    return buffer.getvalue()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]  # Names in lower case.
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(url: str, body: bytes | None = None, *, method: str | None = None, **headers: str) -> Answer:
    """`headers`: "_" for "-" in their names."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        reply: Any = urllib.request.urlopen(urllib.request.Request(url, body, named, method=method), timeout=60)
    except urllib.error.HTTPError as error:
        reply = error
    with reply:
        told = {name.lower(): value for name, value in reply.headers.items()}
        return Answer(reply.status, told, reply.read())


class Functions:
    """The client of the v2 API, and short words for what every test does."""

    def __init__(self, port: int, transport: str) -> None:
        self.port = port
        self._channel: Any = None
        if transport == "rest":
            options = ClientOptions(api_endpoint=f"http://127.0.0.1:{port}")
            made: dict[str, Any] = {"transport": "rest", "client_options": options}
            self.client = functions_v2.FunctionServiceClient(credentials=AnonymousCredentials(), **made)
            self.first = functions_v1.CloudFunctionsServiceClient(credentials=AnonymousCredentials(), **made)
        else:
            self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
            second = functions_v2.services.function_service.transports.FunctionServiceGrpcTransport
            first = functions_v1.services.cloud_functions_service.transports.CloudFunctionsServiceGrpcTransport
            self.client = functions_v2.FunctionServiceClient(transport=second(channel=self._channel))
            self.first = functions_v1.CloudFunctionsServiceClient(transport=first(channel=self._channel))

    def close(self) -> None:
        self.client.transport.close()
        self.first.transport.close()

    def upload(self, files: dict[str, str] | str | bytes) -> Any:
        """The storage source to name."""
        told = self.client.generate_upload_url(request={"parent": PARENT})
        content = files if isinstance(files, bytes) else zipped(files)
        assert ask(told.upload_url, content, method="PUT", content_type="application/zip").status == 200
        return told.storage_source

    def upload_first(self, files: dict[str, str] | str) -> str:
        """The URL to name, for a function of the 1st generation."""
        url = self.first.generate_upload_url(request={"parent": PARENT}).upload_url
        assert ask(url, zipped(files), method="PUT", content_type="application/zip").status == 200
        return str(url)

    def settings(self, files: dict[str, str] | str | bytes = HELLO, entry_point: str = "", **service: Any) -> Any:
        source = {"storage_source": self.upload(files)}
        return functions_v2.Function(
            build_config={"runtime": RUNTIME, "entry_point": entry_point, "source": source}, service_config=service
        )

    def begin(self, name: str, function: Any, parent: str = PARENT) -> Any:
        request = {"parent": parent, "function_id": name, "function": function}
        return self.client.create_function(request=request).operation

    def create(self, name: str, function: Any = None, parent: str = PARENT) -> Any:
        """Deployed, and as it is then."""
        self.finished(self.begin(name, function or self.settings(entry_point="hello"), parent))
        return self.client.get_function(name=f"{parent}/functions/{name}")

    def update(self, function: Any, *paths: str) -> Any:
        request = {"function": function, "update_mask": {"paths": paths}}
        self.finished(self.client.update_function(request=request).operation)
        return self.client.get_function(name=function.name)

    def done(self, operation: Any) -> Any:
        """The operation, of either generation, once it is over, however that was."""
        client = self.first if operation.name.startswith("operations/") else self.client

        def look() -> Any:
            found = client.get_operation(request={"name": operation.name})
            return found if found.done else None

        return eventually(look, within_s=_WITHIN_S)

    def finished(self, operation: Any) -> Any:
        over = self.done(operation)
        assert not over.HasField("error"), over.error.message
        return over

    def let_in(self, name: str, member: str = "allUsers") -> None:
        """As `gcloud functions add-invoker-policy-binding` does it."""
        service = f"{PARENT}/services/{name.lower().replace('_', '-')}"
        policy = b'{"policy": {"bindings": [{"role": "roles/run.invoker", "members": ["%s"]}]}}' % member.encode()
        url = f"http://127.0.0.1:{self.port}/v1/{service}:setIamPolicy"
        assert ask(url, policy, content_type="application/json").status == 200
