"""Secrets: made, changed, listed, deleted, and who may do so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fogbank.gcp.protocol import filters, policies
from fogbank.gcp.protocol.descriptors import message
from fogbank.gcp.protocol.paging import filtered
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.secretmanager import names, settings, state
from fogbank.gcp.services.secretmanager.notifications import Teller
from fogbank.gcp.services.secretmanager.state import AGES, SECRETMANAGER, SECRETS, Secret
from fogbank.gcp.services.secretmanager.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.service import House
    from fogbank.kernel.store import Tx
    from fogbank.kernel.tasks import Background

_PAGE_MAX = 25_000


class Secrets(Service):
    service = "google.cloud.secretmanager.v1.SecretManagerService"

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._teller = Teller(house)

    def backgrounds(self) -> Iterable[Background]:
        yield Upkeep(self.house).background()

    def create_secret(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.new_secret(request.parent, request.secret_id)
        if SECRETS.get(tx, name.parent.scope, name.id, lock=True) is not None:
            raise RpcError(Code.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        secret = settings.new(request, regional=bool(name.parent.location), now_ms=call.now_ms)
        secret.name, secret.etag = str(name), state.etag(call.new_id)
        secret.create_time.FromMilliseconds(call.now_ms)
        state.put(tx, name, Secret(call.new_id(), secret.SerializeToString()))
        self._teller.configured(tx, secret, call.now_ms)
        self._teller.secret(tx, "SECRET_CREATE", secret, call.now_ms)
        return secret

    def get_secret(self, tx: Tx, call: Call, request: Any) -> Any:
        return state.find(tx, names.secret(request.name), call.now_ms).settings

    def list_secrets(self, tx: Tx, call: Call, request: Any) -> Any:
        parent = names.parent(request.parent)
        matches = filters.compiled(request.filter, SECRETMANAGER.Secret.DESCRIPTOR)

        def told(_: str, secret_id: str) -> Any:
            row = SECRETS.get(tx, parent.scope, secret_id)
            return row.settings if row is not None else None

        secrets, token = filtered(
            tx, AGES, parent.scope, size=request.page_size, token=request.page_token, largest=_PAGE_MAX, told=told,
            matches=matches, reverse=True,
        )  # fmt: skip
        total = 0 if request.filter else len(AGES.all(tx, parent.scope))
        return SECRETMANAGER.ListSecretsResponse(secrets=secrets, next_page_token=token, total_size=total)

    def update_secret(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.secret(request.secret.name)
        row = state.find(tx, name, call.now_ms)
        old = row.settings
        state.check_etag(request.secret.etag, old.etag)
        secret = settings.changed(old, request, versions=row.versions, now_ms=call.now_ms)
        secret.etag = state.etag(call.new_id)
        state.put(tx, name, replace(row, told=secret.SerializeToString()))
        if "topics" in request.update_mask.paths:
            self._teller.configured(tx, secret, call.now_ms)
        self._teller.secret(tx, "SECRET_UPDATE", secret, call.now_ms)
        return secret

    def delete_secret(self, tx: Tx, call: Call, request: Any) -> Any:
        name = names.secret(request.name)
        row = state.find(tx, name, call.now_ms)
        secret = row.settings
        state.check_etag(request.etag, secret.etag)
        state.forget(tx, name, row)
        self._teller.secret(tx, "SECRET_DELETE", secret, call.now_ms, deleteType="REQUESTED")
        return message("google.protobuf.Empty")()

    # -- IAM keeps the policies; here each name of a secret is made the one that it knows ------------------------------

    async def set_iam_policy(self, call: Call, request: Any) -> Any:
        return await policies.set_iam_policy(self, call, _known(request))

    async def get_iam_policy(self, call: Call, request: Any) -> Any:
        return await policies.get_iam_policy(self, call, _known(request))

    async def test_iam_permissions(self, call: Call, request: Any) -> Any:
        return await policies.test_iam_permissions(self, call, _known(request))


def _known(request: Any) -> Any:
    request.resource = str(names.secret(request.resource))
    return request
