"""Keys of service accounts: the private half is given away once, and is not kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import orjson
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec.structs import replace

from fogbank.gcp.identity import keys
from fogbank.gcp.identity.state import ACCOUNT_KEYS, Account, Key
from fogbank.gcp.protocol.descriptors import Package, message
from fogbank.gcp.service import Code, RpcError, Service
from fogbank.gcp.services.serviceaccounts import names
from fogbank.primitives import web_tokens

if TYPE_CHECKING:
    from fogbank.gcp.service import Call
    from fogbank.kernel.store import Tx

_ADMIN = Package("google.iam.admin.v1")
_KEYS_MAX: Final = 10  # "Quotas and limits": keys of a service account.
_JSON_FILE, _RSA_1024 = 2, 1
_HEX: Final = "0123456789abcdef"


class Keys(Service):
    service = "google.iam.admin.v1.IAM"

    async def create_service_account_key(self, call: Call, request: Any) -> Any:
        if request.private_key_type not in (0, _JSON_FILE) or request.key_algorithm == _RSA_1024:
            raise RpcError(Code.UNIMPLEMENTED, "fogbank makes keys of 2048 bits, as credentials files (JSON), only.")
        account = await self.house.store.transact(names.find, request.name)
        made = await asyncio.to_thread(keys.new_key, self.house.ids.token(40, _HEX), account.unique_id, call.now_ms)
        await self.house.store.transact(_keep, request.name, replace(made, private=b""))
        shown = _shown(account, made)
        shown.private_key_type, shown.private_key_data = _JSON_FILE, self._credentials(account, made)
        return shown

    def get_service_account_key(self, tx: Tx, call: Call, request: Any) -> Any:
        account, key = _find(tx, request.name)
        shown = _shown(account, key)
        if request.public_key_type:
            shown.public_key_data = key.certificate.encode()
        return shown

    def list_service_account_keys(self, tx: Tx, call: Call, request: Any) -> Any:
        account = names.find(tx, request.name)
        found = [_shown(account, key) for key in ACCOUNT_KEYS.all(tx, account.email)]
        return _ADMIN.ListServiceAccountKeysResponse(keys=found)

    def delete_service_account_key(self, tx: Tx, call: Call, request: Any) -> Any:
        account, key = _find(tx, request.name)
        ACCOUNT_KEYS.delete(tx, account.email, key.id)
        return message("google.protobuf.Empty")()

    def _credentials(self, account: Account, key: Key) -> bytes:
        """The file that clients read. Its tokens are to be had from this server."""
        private = web_tokens.private(key.private).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        here = self.house.endpoint()
        content = {
            "type": "service_account", "project_id": account.project, "private_key_id": key.id,
            "private_key": private.decode(), "client_email": account.email, "client_id": account.unique_id,
            "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": f"{here}/oauth2/v4/token",
            "auth_provider_x509_cert_url": f"{here}/oauth2/v1/certs",
            "client_x509_cert_url": f"{here}/robot/v1/metadata/x509/{account.email.replace('@', '%40')}",
            "universe_domain": "googleapis.com",
        }  # fmt: skip
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _keep(tx: Tx, name: str, key: Key) -> None:
    account = names.find(tx, name)
    if len(ACCOUNT_KEYS.all(tx, account.email)) >= _KEYS_MAX:
        raise RpcError(Code.RESOURCE_EXHAUSTED, f"A service account has at most {_KEYS_MAX} keys.")
    ACCOUNT_KEYS.put(tx, account.email, key.id, row=key)


def _find(tx: Tx, name: str) -> tuple[Account, Key]:
    account_name, key_id = names.read_key(name)
    account = names.find(tx, account_name)
    key = ACCOUNT_KEYS.get(tx, account.email, key_id)
    if key is None:
        raise RpcError(Code.NOT_FOUND, f"Service account key {key_id} does not exist.")
    return account, key


def _shown(account: Account, key: Key) -> Any:
    shown = _ADMIN.ServiceAccountKey(
        name=f"projects/{account.project}/serviceAccounts/{account.email}/keys/{key.id}",
        key_algorithm="KEY_ALG_RSA_2048", key_origin="GOOGLE_PROVIDED", key_type="USER_MANAGED",
    )  # fmt: skip
    shown.valid_after_time.seconds = key.created_ms // 1000
    shown.valid_before_time.seconds = 253_402_300_799  # The year 9999: such a key does not expire.
    return shown
