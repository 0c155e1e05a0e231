"""Python: what requirements.txt asks for, and functions-framework, which the cloud adds where it is not listed."""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from fogbank.functions.builds.failures import BuildFailed
from fogbank.functions.runtimes.python import frameworks, interpreters

_FRAMEWORK: Final = "functions-framework"
_NAMED: Final = re.compile(r"^\s*functions[-_.]framework\b", re.MULTILINE | re.IGNORECASE)
# After an option or as it stands; what has "://" is an address.
_PATH: Final = re.compile(r"file:|^(?:-{1,2}[\w-]+[ =]*)?(?:\.|(?!.*://).*/)")
_NO_MAIN: Final = (
    "missing main.py and GOOGLE_FUNCTION_SOURCE not specified. Either create the function in main.py or specify "
    "GOOGLE_FUNCTION_SOURCE to point to the file that contains the function"
)


def build(code: Path, runtime: str, cache_dir: Path, environment: dict[str, str]) -> tuple[Path, ...]:
    source = environment.get("GOOGLE_FUNCTION_SOURCE", "")
    if source and not (code / source).is_file():
        raise BuildFailed(f"GOOGLE_FUNCTION_SOURCE specified file '{source}' but it does not exist")
    if not source and not (code / "main.py").is_file():
        raise BuildFailed(_NO_MAIN)
    interpreter = interpreters.find(runtime)
    asked = code / "requirements.txt"
    adds = not asked.is_file() or not _NAMED.search(asked.read_text(encoding="utf-8", errors="replace"))
    home = cache_dir / "builds" / f"python{interpreter.version}-{_key(code, adds=adds)}"
    packages = home / "python"
    try:
        if not packages.is_dir():
            wanted = [*(["-r", "requirements.txt"] if asked.is_file() else []), *([_FRAMEWORK] if adds else [])]
            _install(interpreter, packages, wanted, code)
    except frameworks.InstallError as error:
        raise BuildFailed(f"pip could not install the function's dependencies:\n{error}") from error
    with suppress(frameworks.InstallError):  # Without it the first instance of a version takes longer, and that is all.
        frameworks.install(cache_dir, interpreter, packages)
    return (home,)


def _install(interpreter: interpreters.Interpreter, packages: Path, wanted: list[str], code: Path) -> None:
    """With the versions that are at hand wherever the function leaves the choice; if that cannot be, with any."""
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch, "constraints.txt")
        pins.write_text(frameworks.constraints(), encoding="utf-8")
        try:
            frameworks.run_pip(interpreter, packages, [*wanted, "--constraint", str(pins)], cwd=code)
        except frameworks.InstallError:
            frameworks.run_pip(interpreter, packages, wanted, cwd=code)


def _key(code: Path, *, adds: bool) -> str:
    """Of all that pip may read: requirements name each other, and folders with packages."""
    found = hashlib.sha256(frameworks.constraints().encode() + bytes([adds]))
    texts = [path for path in sorted(code.glob("*.txt")) if path.is_file()]
    if any(_names_a_path(path.read_text(encoding="utf-8", errors="replace")) for path in texts):
        texts = [path for path in sorted(code.rglob("*")) if path.is_file()]
    for path in texts:
        name = path.relative_to(code).as_posix().encode()
        found.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:32]


def _names_a_path(text: str) -> bool:
    """Whether requirements ask for what lies beside them: "./shared", "-e .", "-r of/others.txt", "a @ file:b"."""
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return any(_PATH.search(line) for line in lines if not line.startswith("#"))
