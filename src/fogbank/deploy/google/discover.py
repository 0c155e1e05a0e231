"""Which functions a source registers with the Functions Framework: told by reading it, nothing is imported."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PYTHON, _FRAMEWORK = "main.py", "functions_framework"
_PACKAGE, _NODE_FRAMEWORK = "package.json", "@google-cloud/functions-framework"
# By what the framework calls them, how a function is called up: "http", "cloudevent" or "typed".
_KINDS = {"http": "http", "cloud_event": "cloudevent", "cloudEvent": "cloudevent", "typed": "typed"}
_REGISTERED = re.compile(r"\.\s*(http|cloudEvent|typed)\s*\(\s*(['\"`])([A-Za-z][\w-]{0,62})\2")
_SOURCE_BYTES_MAX = 5_000_000


@dataclass(frozen=True, slots=True)
class Found:
    name: str
    kind: str  # "http", "cloudevent" or "typed".


class UnreadableError(Exception):
    """The source cannot be read as what it is; the message says where."""


def is_app(folder: Path) -> bool:
    return bool(language(folder))


def language(folder: Path) -> str:
    """ "python", "nodejs"; "" where there is no app of Google's."""
    if _is_python(folder / _PYTHON):
        return "python"
    return "nodejs" if _NODE_FRAMEWORK in _package(folder).get("dependencies", {}) else ""


def functions(folder: Path) -> list[Found]:
    """In the order in which they stand there. Raises `UnreadableError`."""
    if language(folder) == "python":
        return list(_in_python(folder / _PYTHON))
    return list(_in_node(_node_main(folder)))


def node_engine(folder: Path) -> str:
    """The version of Node that the app asks for: "20", or ""."""
    engines = _package(folder).get("engines")
    asked = engines.get("node", "") if isinstance(engines, dict) else ""
    found = re.search(r"\d+", str(asked))
    return found[0] if found else ""


def _is_python(file: Path) -> bool:
    try:
        return file.stat().st_size <= _SOURCE_BYTES_MAX and _FRAMEWORK.encode() in file.read_bytes()
    except OSError:
        return False


def _in_python(file: Path) -> Iterator[Found]:
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise UnreadableError(f"{file}, line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{file} cannot be read as Python: {error}") from error
    modules, names = _imported(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kinds = [_kind(decorator, modules, names) for decorator in node.decorator_list]
            kind = next((kind for kind in kinds if kind), "")
            if kind:
                yield Found(node.name, kind)


def _imported(tree: ast.Module) -> tuple[set[str], dict[str, str]]:
    """What the framework is called here, and each of its decorators."""
    modules: set[str] = set()
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name == _FRAMEWORK}
        elif isinstance(node, ast.ImportFrom) and node.module == _FRAMEWORK:
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
    return modules, names


def _kind(decorator: ast.expr, modules: set[str], names: dict[str, str]) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id in modules:
        return _KINDS.get(called.attr, "")
    return _KINDS.get(names.get(called.id, ""), "") if isinstance(called, ast.Name) else ""


def _in_node(file: Path) -> Iterator[Found]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{file} cannot be read: {error}") from error
    seen = set()
    for found in _REGISTERED.finditer(text):
        if found[3] not in seen:
            seen.add(found[3])
            yield Found(found[3], _KINDS[found[1]])


def _node_main(folder: Path) -> Path:
    """ "The main field of package.json; else function.js or index.js"."""
    main = _package(folder).get("main")
    named = [main] if isinstance(main, str) else []
    for name in (*named, "function.js", "index.js"):
        if (folder / name).is_file():
            return folder / name
    raise UnreadableError(f"{folder} has neither function.js nor index.js, and package.json names no other file")


def _package(folder: Path) -> dict[str, Any]:
    try:
        told = orjson.loads((folder / _PACKAGE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return told if isinstance(told, dict) and isinstance(told.get("dependencies", {}), dict) else {}
