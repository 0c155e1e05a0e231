"""Whether a bundle holds the handler that a function names: told before the first event finds out."""

from __future__ import annotations

import ast
import io
import sys
import zipfile

_NODE_ENDINGS = (".js", ".mjs", ".cjs")
_UNKNOWN = ("eval", "exec", "globals", "setattr")  # A module that uses one may define anything.


def problem(bundle: bytes, runtime: str, handler: str) -> str:
    """What is wrong, in a sentence without its end; empty where nothing is, or nothing can be said."""
    if runtime.startswith("provided"):
        return _bootstrap(bundle)
    folder, _, last = handler.rpartition("/")
    if not last.partition(".")[0] or not last.partition(".")[2]:
        return f"the handler {handler!r} is not of the form FILE.FUNCTION"
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        if runtime.startswith("nodejs"):
            return _node(archive, f"{folder}/{last.partition('.')[0]}".lstrip("/"), handler)
        return _python(archive, runtime, handler)


def _bootstrap(bundle: bytes) -> str:
    """A custom runtime's handler is its own affair; its program is not."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        if "bootstrap" not in archive.namelist():
            return "a custom runtime needs a program named bootstrap, and there is none"
        runs = archive.getinfo("bootstrap").external_attr >> 16 & 0o111
    return "" if runs else "bootstrap is not executable (chmod +x)"


def _node(archive: zipfile.ZipFile, module: str, handler: str) -> str:
    found = any(module + ending in archive.namelist() for ending in _NODE_ENDINGS)
    return "" if found else f"the handler {handler!r} needs a file {module}.js, and there is none"


def _python(archive: zipfile.ZipFile, runtime: str, handler: str) -> str:
    module, _, name = handler.rpartition(".")
    path = module.replace(".", "/")
    for candidate in (f"{path}.py", f"{path}/__init__.py"):
        if candidate in archive.namelist():
            return _in_source(candidate, archive.read(candidate), name, runtime)
    return f"the handler {handler!r} needs a file {path}.py, and there is none"


def _in_source(path: str, source: bytes, name: str, runtime: str) -> str:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        newer = runtime.removeprefix("python3.") > str(sys.version_info.minor)  # It may know more than this Python.
        read_by = f" (as Python 3.{sys.version_info.minor} reads it)" if newer else ""
        return f"{path}, line {error.lineno}: {error.msg}{read_by}"
    except ValueError:  # Null bytes: no text at all. Python itself will tell.
        return ""
    defined = _defined(tree)
    return "" if defined is None or name in defined else f"{path} defines no {name!r}"


def _defined(tree: ast.Module) -> set[str] | None:
    """The names that a module may have once it is imported; None where that cannot be told by reading it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            if node.id in _UNKNOWN:
                return None
            names.add(node.id)
        elif isinstance(node, ast.alias):
            if node.name == "*":
                return None
            names.add((node.asname or node.name).partition(".")[0])
    return names
