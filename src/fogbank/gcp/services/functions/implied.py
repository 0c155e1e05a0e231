"""What a Python source needs of PyPI that comes without a requirements.txt: Google's own clients, by what it imports.

On Google such a source runs only if it imports nothing else; here it runs, and the build's log says what was added.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REQUIREMENTS = "requirements.txt"
FRAMEWORK = "functions-framework"
_SOURCE_BYTES_MAX = 5_000_000
# Packages by the modules that they bring.
_PACKAGES = {
    "functions_framework": FRAMEWORK, "flask": FRAMEWORK, "cloudevents": FRAMEWORK,
    "google.cloud.firestore": "google-cloud-firestore", "google.cloud.firestore_v1": "google-cloud-firestore",
    "google.cloud.pubsub": "google-cloud-pubsub", "google.cloud.pubsub_v1": "google-cloud-pubsub",
    "google.cloud.storage": "google-cloud-storage",
    "google.cloud.secretmanager": "google-cloud-secret-manager",
    "google.cloud.secretmanager_v1": "google-cloud-secret-manager",
    "google.cloud.tasks": "google-cloud-tasks", "google.cloud.tasks_v2": "google-cloud-tasks",
    "google.cloud.scheduler": "google-cloud-scheduler", "google.cloud.scheduler_v1": "google-cloud-scheduler",
    "google.cloud.logging": "google-cloud-logging", "google.cloud.error_reporting": "google-cloud-error-reporting",
    "google.cloud.functions_v1": "google-cloud-functions", "google.cloud.functions_v2": "google-cloud-functions",
    "google.events": "google-events", "google.auth": "google-auth", "google.oauth2": "google-auth",
    "firebase_admin": "firebase-admin", "firebase_functions": "firebase-functions", "requests": "requests",
}  # fmt: skip


def requirements(folder: Path) -> list[str]:
    """Sorted, the framework first; empty where the source says itself what it needs."""
    if (folder / REQUIREMENTS).exists():
        return []
    found = {package for file in sorted(folder.glob("*.py")) for package in _of_file(file)}
    return [FRAMEWORK, *sorted(found - {FRAMEWORK})]


def add(folder: Path) -> list[str]:
    """Write them down where a build looks for them; the answer is what they are."""
    found = requirements(folder)
    if found:
        (folder / REQUIREMENTS).write_text("".join(f"{package}\n" for package in found))
    return found


def _of_file(file: Path) -> Iterator[str]:
    if file.is_symlink() or file.stat().st_size > _SOURCE_BYTES_MAX:
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # Whoever imports it is told.
        return
    for node in ast.walk(tree):
        for module in _modules(node):
            package = _package(module)
            if package:
                yield package


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _package(module: str) -> str:
    """The longest beginning of its name that is known."""
    parts = module.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((_PACKAGES[name] for name in names if name in _PACKAGES), "")
