"""`python take.py PACKAGE_FOLDER storage.v1 …`: documents of these APIs, without their prose, beside this file."""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

_UNWANTED = ("description", "enumDescriptions", "annotations", "scopes", "auth", "icons", "documentationLink")


def _bare(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _bare(value) for name, value in told.items() if not _is_prose(name, value)}
    return [_bare(value) for value in told] if isinstance(told, list) else told


def _is_prose(name: str, value: Any) -> bool:
    """A field may be called "description" too: then it is an object."""
    return name in _UNWANTED and not (isinstance(value, dict) and "type" in value)


def main(package: str, *names: str) -> None:
    for name in names:
        source = Path(package) / "googleapiclient/discovery_cache/documents" / f"{name}.json"
        content = json.dumps(_bare(json.loads(source.read_text())), separators=(",", ":")).encode()
        (Path(__file__).parent / f"{name}.json.gz").write_bytes(gzip.compress(content, 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
