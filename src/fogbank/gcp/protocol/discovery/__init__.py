"""APIs that Google describes by a discovery document and not by protos: which methods there are, at which addresses.

`make discovery` takes the documents from the package that publishes them; descriptions are left out.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = Path(__file__).parent
_VARIABLE = re.compile(r"\{\+?(\w+)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    kind: str  # string, boolean, integer.
    required: bool
    in_path: bool
    choices: tuple[str, ...]
    repeated: bool
    is_number: bool  # An integer, whether JSON has it as text or not.


@dataclass(frozen=True, slots=True)
class ApiMethod:
    id: str  # "storage.objects.insert"
    verb: str
    path: str  # "b/{bucket}/o", below the API's base.
    parameters: dict[str, Parameter]
    takes_media: bool
    gives_media: bool

    @property
    def noun(self) -> str:
        """ "objects", "projects.hmacKeys"."""
        return self.id.partition(".")[2].rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.id.rpartition(".")[2]


class Api:
    """Methods by where they are."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.methods = {method.id: method for method in _methods(document["resources"])}
        self._table: dict[str, list[tuple[re.Pattern[str], ApiMethod]]] = {}
        # What is literal is tried before what a variable takes.
        for method in sorted(self.methods.values(), key=lambda method: method.path.count("{")):
            pattern = _VARIABLE.sub(r"(?P<\1>[^/]+)", method.path)
            self._table.setdefault(method.verb, []).append((re.compile(pattern), method))

    def find(self, verb: str, path: str) -> tuple[ApiMethod, dict[str, str]] | None:
        """By "b/bucket/o/a%2Fb", as it came: the method and what the path binds, decoded."""
        for pattern, method in self._table.get(verb, ()):
            found = pattern.fullmatch(path)
            if found is not None:
                return method, {name: unquote(text) for name, text in found.groupdict().items()}
        return None


@cache
def api(name: str) -> Api:
    """ "storage.v1"."""
    return Api(orjson.loads(gzip.decompress((_FOLDER / f"{name}.json.gz").read_bytes())))


def _methods(resources: dict[str, Any]) -> Iterator[ApiMethod]:
    for resource in resources.values():
        for told in resource.get("methods", {}).values():
            parameters = {name: _parameter(one) for name, one in told.get("parameters", {}).items()}
            yield ApiMethod(
                told["id"], told["httpMethod"], told["path"], parameters, "mediaUpload" in told,
                bool(told.get("supportsMediaDownload")),
            )  # fmt: skip
        yield from _methods(resource.get("resources", {}))


def _parameter(told: dict[str, Any]) -> Parameter:
    return Parameter(
        told.get("type", "string"), bool(told.get("required")), told.get("location") == "path",
        tuple(told.get("enum", ())), bool(told.get("repeated")), "int" in f"{told.get('format')}{told.get('type')}",
    )  # fmt: skip
