"""What happens to secrets by themselves: they expire, are due for rotation, and versions are destroyed at last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.services.secretmanager import names, state, versions
from fogbank.gcp.services.secretmanager.notifications import Teller
from fogbank.kernel.tasks import Background
from fogbank.primitives import schedules

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.secretmanager.names import SecretName
    from fogbank.kernel.store import Tx
    from fogbank.primitives.schedules import Entry


class Upkeep:
    def __init__(self, house: House) -> None:
        self._house, self._teller = house, Teller(house)

    def background(self) -> Background:
        return Background("secretmanager: expire, rotate and destroy", self._run)

    async def _run(self) -> None:
        house = self._house
        await schedules.keep(house.store, house.clock, house.signals, state.KIND, self._act)

    def _act(self, tx: Tx, entry: Entry, now_ms: int) -> None:
        name = names.secret(entry.notes["name"])
        row = state.SECRETS.get(tx, name.parent.scope, name.id, lock=True)
        what, secret_id, *_ = entry.id.split(":")
        if row is None or row.id != secret_id:
            return
        match what:
            case "expire":
                state.forget(tx, name, row)
                self._teller.secret(tx, "SECRET_DELETE", row.settings, now_ms, deleteType="EXPIRED")
            case "rotate":
                self._rotate(tx, name, row, now_ms)
            case _:
                self._destroy(tx, name, row, entry.notes["version"], now_ms)

    def _rotate(self, tx: Tx, name: SecretName, row: state.Secret, now_ms: int) -> None:
        """ "`next_rotation_time` will be advanced by this period when the service automatically sends rotation
        notifications"; once, however many have been missed."""
        secret = row.settings
        rotation = secret.rotation
        if rotation.HasField("rotation_period"):
            period_ms, due_ms = milliseconds(rotation.rotation_period), milliseconds(rotation.next_rotation_time)
            rotation.next_rotation_time.FromMilliseconds(due_ms + ((now_ms - due_ms) // period_ms + 1) * period_ms)
        else:
            secret.ClearField("rotation")
        secret.etag = state.etag(self._house.ids.new)
        state.put(tx, name, replace(row, told=secret.SerializeToString()))
        self._teller.secret(tx, "SECRET_ROTATE", secret, now_ms)

    def _destroy(self, tx: Tx, name: SecretName, row: state.Secret, number: int, now_ms: int) -> None:
        told = state.version(tx, row, name, number).settings
        versions.destroy(tx, row, name, number, told, now_ms, self._house.ids.new)
        self._teller.version(tx, "SECRET_VERSION_DESTROY", row.settings, told, now_ms)
