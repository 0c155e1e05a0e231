"""What is wrong with a function as it was asked for, all of it at once: "The request has errors", field by field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fogbank.gcp.instances import is_runnable
from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ENTRY_POINT = re.compile(r"[A-Za-z_$][\w.$]{0,127}", re.ASCII)
# "Configure environment variables", "Reserved names".
_RESERVED = frozenset(
    ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "K_SERVICE", "K_REVISION", "K_CONFIGURATION", "PORT")
)
_VARIABLE = re.compile(r"[^=\x00]+")
_LABEL = re.compile(r"[\w-]{1,63}"), re.compile(r"[\w-]{0,63}")
_LABELS_MAX = 64
_SECRET = re.compile(r"[\w-]{1,255}", re.ASCII)


class Violations:
    """Gathers them; `raise_any` raises `RpcError` where there is one."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []

    def add(self, field: str, text: str) -> None:
        self._found.append((field, text))

    def raise_any(self) -> None:
        if not self._found:
            return
        told: Any = message("google.rpc.BadRequest")()
        for field, text in self._found:
            told.field_violations.add(field=field, description=text)
        raise RpcError(Code.INVALID_ARGUMENT, "The request has errors", [told])

    def check_runtime(self, field: str, runtime: str) -> None:
        if not runtime:
            self.add(field, "Runtime field cannot be empty.")
        elif not is_runnable(runtime):
            self.add(field, f"fogbank does not run the runtime {runtime[:64]}.")

    def check_entry_point(self, field: str, entry_point: str) -> None:
        if entry_point and not _ENTRY_POINT.fullmatch(entry_point):
            self.add(field, f"Entry point {entry_point[:128]!r} is not the name of a function.")

    def check_variables(self, field: str, variables: Mapping[str, str]) -> None:
        for name in variables:
            if not _VARIABLE.fullmatch(name):
                self.add(field, "Environment variable keys may not be empty, nor contain '=' or NUL.")
            elif name in _RESERVED or name.startswith("X_GOOGLE_"):
                self.add(field, f"Environment variable name {name[:128]} is reserved by the system: it cannot be set.")

    def check_labels(self, labels: Mapping[str, str]) -> None:
        if len(labels) > _LABELS_MAX:
            self.add("labels", f"A function may have at most {_LABELS_MAX} labels.")
        for name, value in labels.items():
            if not _LABEL[0].fullmatch(name) or name != name.lower():
                self.add("labels", f"Label key {name[:64]!r} is not valid.")
            if not _LABEL[1].fullmatch(value) or value != value.lower():
                self.add("labels", f"Label value {value[:64]!r} is not valid.")

    def check_secrets(
        self, prefix: str, variables: Iterable[Any], volumes: Iterable[Any], plain: Mapping[str, str]
    ) -> None:
        for variable in variables:
            if not variable.key or not _SECRET.fullmatch(variable.secret):
                self.add(f"{prefix}secret_environment_variables", "A secret needs a key and the name of a secret.")
            elif variable.key in plain:
                told = f"Secret environment variable overlaps non secret environment variable: {variable.key[:128]}"
                self.add(f"{prefix}secret_environment_variables", told)
        for volume in volumes:
            if not volume.mount_path.startswith("/") or ".." in volume.mount_path.split("/"):
                self.add(f"{prefix}secret_volumes", f"Mount path {volume.mount_path[:128]!r} is not an absolute path.")
            if not _SECRET.fullmatch(volume.secret):
                self.add(f"{prefix}secret_volumes", "A volume needs the name of a secret.")
            if any(".." in one.path.split("/") or one.path.startswith("/") for one in volume.versions):
                self.add(f"{prefix}secret_volumes", "The path of a version is relative to the volume.")

    def check_range(self, field: str, value: int, least: int, most: int) -> None:
        if not least <= value <= most:
            self.add(field, f"The value {value} is not between {least} and {most}.")
