"""What an app says of its functions beside its source: fogbank.toml, and the `gcloud functions deploy` in its scripts.

Both speak one language, that of gcloud's options: "--trigger-topic news" is `trigger-topic = "news"`.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOML = "fogbank.toml"
_SCRIPTS = ("*.sh", "Makefile", "justfile")
_DEPLOY = ("gcloud", "functions", "deploy")
_TRACKS = ("alpha", "beta")
_SWITCHES = frozenset(
    ("trigger-http", "allow-unauthenticated", "no-allow-unauthenticated", "gen2", "no-gen2", "retry", "no-retry",
     "quiet", "serve-all-traffic-latest-revision", "async")
)  # fmt: skip
# What is honoured; of the others a note says that they are passed over.
KNOWN = _SWITCHES | {
    "runtime", "entry-point", "source", "memory", "timeout", "region", "project", "min-instances", "max-instances",
    "concurrency", "cpu", "set-env-vars", "update-env-vars", "set-secrets", "service-account", "run-service-account",
    "trigger-topic", "trigger-bucket", "trigger-event-filters", "trigger-event-filters-path-pattern",
    "trigger-location", "update-labels", "ingress-settings",
}  # fmt: skip
_REPEATED = ("trigger-event-filters", "trigger-event-filters-path-pattern")
_SCRIPT_BYTES_MAX = 1_000_000

Options = dict[str, Any]  # By an option's name without "--": its value, or True for a switch.


class DeclaredError(Exception):
    """What is declared cannot be understood; the message says where."""


def read(folder: Path) -> dict[str, Options]:
    """By function. What fogbank.toml says goes before what a script says. Raises `DeclaredError`."""
    found: dict[str, Options] = {}
    for name, options in _in_scripts(folder):
        found.setdefault(name, {}).update(options)
    for name, options in _in_toml(folder / TOML).items():
        found.setdefault(name, {}).update(options)
    return found


def files(folder: Path) -> list[Path]:
    """Those that it would be read from."""
    return [folder / TOML, *(file for pattern in _SCRIPTS for file in sorted(folder.glob(pattern)))]


def _in_toml(file: Path) -> dict[str, Options]:
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DeclaredError(f"{file}: {error}") from error
    functions = told.get("functions", {})
    if not isinstance(functions, dict) or not all(isinstance(one, dict) for one in functions.values()):
        raise DeclaredError(f"{file}: below [functions] stands a table for each function: [functions.NAME]")
    for name, options in functions.items():
        unknown = sorted(options.keys() - KNOWN)
        if unknown:
            raise DeclaredError(f"{file}: [functions.{name}] has {unknown[0]!r}, which is no option that is served")
    return functions


def _in_scripts(folder: Path) -> Iterator[tuple[str, Options]]:
    for pattern in _SCRIPTS:
        for file in sorted(folder.glob(pattern)):
            if file.is_file() and file.stat().st_size <= _SCRIPT_BYTES_MAX:
                text = file.read_text(encoding="utf-8", errors="replace")
                yield from commands(text)


def commands(text: str) -> Iterator[tuple[str, Options]]:
    """Each `gcloud functions deploy` of a script: the function, and its options. One with a variable in its name is
    none that can be read."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # Quotes that go on in the next line: no command of this kind.
            continue
        words = [word.lstrip("@") if index == 0 else word for index, word in enumerate(words)]
        rest = _after_deploy(words)
        if rest:
            name, options = _options(rest)
            if name and "$" not in name:
                yield name, options


def _after_deploy(words: list[str]) -> list[str]:
    for start in range(len(words)):
        plain = [word for word in words[start : start + 4] if word not in _TRACKS]
        if tuple(plain[:3]) == _DEPLOY and words[start] == "gcloud":
            return words[words.index("deploy", start) + 1 :]
    return []


def _options(words: list[str]) -> tuple[str, Options]:
    name, options = "", Options()
    at = 0
    while at < len(words) and words[at] not in ("&&", "||", ";", "|", "&"):
        word = words[at]
        at += 1
        if not word.startswith("--"):
            name = name or word
            continue
        option, equals, value = word[2:].partition("=")
        if option in _SWITCHES:
            options[option] = value.lower() != "false"
        else:
            if not equals and at < len(words):
                value, at = words[at], at + 1
            options[option] = f"{options[option]},{value}" if option in _REPEATED and option in options else value
    return name, options
