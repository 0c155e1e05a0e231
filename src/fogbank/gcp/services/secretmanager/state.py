"""What Secret Manager remembers: secrets by name and by age, their versions, and apart from these the payloads.

Settings are kept as the messages of the API that tell them. A payload is read by AccessSecretVersion only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Code, RpcError
from fogbank.kernel.store.records import Records
from fogbank.primitives import schedules

if TYPE_CHECKING:
    from collections.abc import Callable

    from fogbank.gcp.services.secretmanager.names import SecretName, VersionName
    from fogbank.kernel.store import Tx

SECRETMANAGER = Package("google.cloud.secretmanager.v1")
KIND = "secretmanager"  # Of its entries in `primitives.schedules`.
ENABLED, DISABLED, DESTROYED = 1, 2, 3  # SecretVersion.State.


class Secret(msgspec.Struct, frozen=True):
    id: str  # A new one each time the name is used again; sorts by age.
    told: bytes  # A google.cloud.secretmanager.v1.Secret.
    versions: int = 0  # The number of the last one.

    @property
    def settings(self) -> Any:
        return SECRETMANAGER.Secret.FromString(self.told)


class Version(msgspec.Struct, frozen=True):
    told: bytes  # A google.cloud.secretmanager.v1.SecretVersion.

    @property
    def settings(self) -> Any:
        return SECRETMANAGER.SecretVersion.FromString(self.told)


class Payload(msgspec.Struct, frozen=True):
    data: bytes
    crc32c: int


SECRETS = Records(Secret, "secretmanager", "secret")  # (scope, secret's id in its name)
AGES = Records(str, "secretmanager", "age")  # (scope, secret's id) → its id in its name
VERSIONS = Records(Version, "secretmanager", "version")  # (secret's id, number)
PAYLOADS = Records(Payload, "secretmanager", "payload")  # (secret's id, number)


def find(tx: Tx, name: SecretName, now_ms: int) -> Secret:
    """Raises `RpcError`. One that has expired is gone, whether that has been seen to or not."""
    row = SECRETS.get(tx, name.parent.scope, name.id, lock=True)
    if row is None or _is_over(row.settings, now_ms):
        raise RpcError(Code.NOT_FOUND, f"Secret [{name}] not found.")
    return row


def _is_over(settings: Any, now_ms: int) -> bool:
    return bool(settings.HasField("expire_time")) and milliseconds(settings.expire_time) <= now_ms


def put(tx: Tx, name: SecretName, row: Secret) -> None:
    """With what is to happen to it by itself."""
    SECRETS.put(tx, name.parent.scope, name.id, row=row)
    AGES.put(tx, name.parent.scope, row.id, row=name.id)
    settings, place = row.settings, {"name": str(name)}
    expires_ms = milliseconds(settings.expire_time) if settings.HasField("expire_time") else None
    _plan(tx, f"expire:{row.id}", expires_ms, place)
    rotates = settings.rotation.HasField("next_rotation_time")
    _plan(tx, f"rotate:{row.id}", milliseconds(settings.rotation.next_rotation_time) if rotates else None, place)


def _plan(tx: Tx, entry_id: str, due_ms: int | None, notes: dict[str, Any]) -> None:
    if due_ms is None:
        schedules.drop(tx, KIND, entry_id)
    else:
        schedules.put(tx, KIND, schedules.Entry(entry_id, due_ms, notes))


def forget(tx: Tx, name: SecretName, row: Secret) -> None:
    for key, _ in list(VERSIONS.scan(tx, row.id)):
        schedules.drop(tx, KIND, f"destroy:{row.id}:{key[-1]!s}")
    VERSIONS.clear(tx, row.id)
    PAYLOADS.clear(tx, row.id)
    SECRETS.delete(tx, name.parent.scope, name.id)
    AGES.delete(tx, name.parent.scope, row.id)
    for what in ("expire", "rotate"):
        schedules.drop(tx, KIND, f"{what}:{row.id}")


def number(row: Secret, name: VersionName) -> int:
    """Which version is meant: a number, the newest, or one that an alias leads to. Raises `RpcError`."""
    if name.version == "latest":
        if row.versions == 0:
            raise RpcError(Code.NOT_FOUND, f"Secret [{name.secret}] not found or has no versions.")
        return row.versions
    if name.version.isascii() and name.version.isdigit():
        return int(name.version[:18])
    found = row.settings.version_aliases.get(name.version)
    if found is None:
        raise RpcError(Code.NOT_FOUND, f"Secret [{name.secret}] has no alias [{name.version[:64]}]")
    return int(found)


def version(tx: Tx, row: Secret, name: SecretName, wanted: int) -> Version:
    found = VERSIONS.get(tx, row.id, wanted, lock=True)
    if found is None:
        raise RpcError(Code.NOT_FOUND, f"Secret Version [{name}/versions/{wanted}] not found.")
    return found


def put_version(tx: Tx, row: Secret, wanted: int, told: Any, name: SecretName) -> None:
    VERSIONS.put(tx, row.id, wanted, row=Version(told.SerializeToString()))
    due_ms = milliseconds(told.scheduled_destroy_time) if told.HasField("scheduled_destroy_time") else None
    _plan(tx, f"destroy:{row.id}:{wanted}", due_ms, {"name": str(name), "version": wanted})


def etag(new_id: Callable[[], str]) -> str:
    """As Secret Manager's look: a hexadecimal number in quotes."""
    digits = new_id().replace("-", "")[:16]
    return f'"{int(digits[:12] + digits[13:16], 16):x}"'


def check_etag(given: str, kept: str) -> None:
    if given and given != kept:
        raise RpcError(
            Code.FAILED_PRECONDITION,
            "The etag provided in the request does not match the resource's current etag. Please retry the whole "
            "read-modify-write with exponential backoff.",
        )
