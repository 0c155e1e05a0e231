"""Versions: added, read, enabled, disabled, destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol import filters
from fogbank.gcp.protocol.paging import filtered
from fogbank.gcp.protocol.times import milliseconds
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.secretmanager import names, state, versions
from fogbank.gcp.services.secretmanager.notifications import Teller
from fogbank.gcp.services.secretmanager.state import DESTROYED, DISABLED, ENABLED, SECRETMANAGER, VERSIONS

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx

_PAGE_MAX = 25_000


class Versions(Service):
    service = "google.cloud.secretmanager.v1.SecretManagerService"

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._teller = Teller(house)

    def add_secret_version(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.secret(request.parent)
        payload = versions.payload(request)
        row = state.find(tx, name, call.now_ms)
        number = row.versions + 1
        secret = row.settings
        told = versions.made(
            secret, number, checked=request.payload.HasField("data_crc32c"), now_ms=call.now_ms,
            etag=state.etag(call.new_id),
        )  # fmt: skip
        state.put(tx, name, replace(row, versions=number))
        state.put_version(tx, row, number, told, name)
        state.PAYLOADS.put(tx, row.id, number, row=payload)
        self._teller.version(tx, "SECRET_VERSION_ADD", secret, told, call.now_ms)
        return told

    def get_secret_version(self, tx: Tx, call: Call, request: Any) -> Any:
        return self._resolved(tx, call, request.name)[3]

    def access_secret_version(self, tx: Tx, call: Call, request: Any) -> Any:
        _, row, number, told = self._resolved(tx, call, request.name)
        payload = state.PAYLOADS.get(tx, row.id, number)
        if told.state != ENABLED or payload is None:
            what = SECRETMANAGER.SecretVersion.State.Name(told.state)
            raise RpcError(Code.FAILED_PRECONDITION, f"Secret Version [{told.name}] is in {what} state.")
        answer = SECRETMANAGER.AccessSecretVersionResponse(name=told.name)
        answer.payload.data, answer.payload.data_crc32c = payload.data, payload.crc32c
        return answer

    def list_secret_versions(self, tx: Tx, call: Call, request: Any) -> Any:
        row = state.find(tx, names.secret(request.parent), call.now_ms)
        found, token = filtered(
            tx, VERSIONS, row.id, size=request.page_size, token=request.page_token, largest=_PAGE_MAX,
            told=lambda _, version: version.settings, reverse=True,
            matches=filters.compiled(request.filter, SECRETMANAGER.SecretVersion.DESCRIPTOR),
        )  # fmt: skip
        total = 0 if request.filter else row.versions
        return SECRETMANAGER.ListSecretVersionsResponse(versions=found, next_page_token=token, total_size=total)

    def enable_secret_version(self, tx: Tx, call: Call, request: Any) -> Any:
        return self._set(tx, call, request, ENABLED, "SECRET_VERSION_ENABLE")

    def disable_secret_version(self, tx: Tx, call: Call, request: Any) -> Any:
        return self._set(tx, call, request, DISABLED, "SECRET_VERSION_DISABLE")

    def destroy_secret_version(self, tx: Tx, call: Call, request: Any) -> Any:
        """At once; or, where the secret has a `version_destroy_ttl`, disabled now and destroyed after that."""
        name, row, number, told = self._changeable(tx, call, request)
        secret = row.settings
        if told.HasField("scheduled_destroy_time"):
            raise RpcError(Code.FAILED_PRECONDITION, "SecretVersion is already scheduled for DESTRUCTION.")
        delay_ms = milliseconds(secret.version_destroy_ttl)
        if not delay_ms:
            versions.destroy(tx, row, name, number, told, call.now_ms, call.new_id)
            self._teller.version(tx, "SECRET_VERSION_DESTROY", secret, told, call.now_ms)
            return told
        told.state = DISABLED
        told.scheduled_destroy_time.FromMilliseconds(call.now_ms + delay_ms)
        told.etag = state.etag(call.new_id)
        state.put_version(tx, row, number, told, name)
        self._teller.version(tx, "SECRET_VERSION_DESTROY_SCHEDULED", secret, told, call.now_ms)
        return told

    def _set(self, tx: Tx, call: Call, request: Any, wanted: int, event: str) -> Any:
        """It is not going to be destroyed any more, either."""
        name, row, number, told = self._changeable(tx, call, request)
        told.state = wanted
        told.ClearField("scheduled_destroy_time")
        told.etag = state.etag(call.new_id)
        state.put_version(tx, row, number, told, name)
        self._teller.version(tx, event, row.settings, told, call.now_ms)
        return told

    def _resolved(self, tx: Tx, call: Call, text: str) -> tuple[names.SecretName, state.Secret, int, Any]:
        name = names.version(text)
        row = state.find(tx, name.secret, call.now_ms)
        number = state.number(row, name)
        return name.secret, row, number, state.version(tx, row, name.secret, number).settings

    def _changeable(self, tx: Tx, call: Call, request: Any) -> tuple[names.SecretName, state.Secret, int, Any]:
        """Aliases only read ("Access by alias is only be supported on GetSecretVersion and AccessSecretVersion")."""
        name = names.version(request.name)
        if not (name.version.isascii() and name.version.isdigit()):
            raise RpcError(
                Code.INVALID_ARGUMENT,
                f"The provided Secret Version ID [{name}] does not match the expected format "
                "[projects/*/secrets/*/versions*]",
            )
        found = self._resolved(tx, call, request.name)
        state.check_etag(request.etag, found[3].etag)
        if found[3].state == DESTROYED:
            raise RpcError(Code.FAILED_PRECONDITION, "SecretVersion.state is already DESTROYED")
        return found
