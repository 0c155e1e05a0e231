"""Functions for tests: source in, zip out, deployed and called in a line."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

ROLE = "arn:aws:iam::000000000000:role/any"


def zipped(files: dict[str, str], mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def deploy(functions: Any, name: str, source: str, **settings: Any) -> str:
    """A Python function whose handler is `app.handler`; the answer is its ARN."""
    given = {"Runtime": "python3.11", "Role": ROLE, "Handler": "app.handler", **settings}
    code = {"ZipFile": zipped({"app.py": source})}
    return str(functions.create_function(FunctionName=name, Code=code, **given)["FunctionArn"])


def call(functions: Any, name: str, event: Any = None, **options: Any) -> Any:
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event or {}), **options)
    return json.loads(answer["Payload"].read())
