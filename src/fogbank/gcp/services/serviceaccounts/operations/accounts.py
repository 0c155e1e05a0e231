"""Service accounts: made, described, listed, set otherwise, deleted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from fogbank.gcp.identity import state
from fogbank.gcp.identity.issuer import unique_id
from fogbank.gcp.identity.state import ACCOUNT_KEYS, ACCOUNTS, PROJECTS, Account
from fogbank.gcp.protocol.descriptors import Package, message
from fogbank.gcp.protocol.paging import page
from fogbank.gcp.service import Code, RpcError, Service
from fogbank.gcp.services.serviceaccounts import names

if TYPE_CHECKING:
    from fogbank.gcp.service import Call
    from fogbank.kernel.store import Tx

_ADMIN = Package("google.iam.admin.v1")
# "account_id" of CreateServiceAccountRequest: "unique within a project, must be 6-30 characters long".
_ID: Final = re.compile(r"[a-z](?=.{5,29}$)[a-z0-9-]*[a-z0-9]")
_DISPLAY_MAX, _DESCRIPTION_MAX, _PAGE_MAX = 100, 256, 100
_PATCHED: Final = ("display_name", "description")


class Accounts(Service):
    service = "google.iam.admin.v1.IAM"

    def create_service_account(self, tx: Tx, call: Call, request: Any) -> Any:
        project = names.read_project(request.name)
        if not _ID.fullmatch(request.account_id):
            raise RpcError(Code.INVALID_ARGUMENT, f'Invalid service account ID "{request.account_id[:256]}".')
        email = f"{request.account_id}@{project}.iam.gserviceaccount.com"
        if ACCOUNTS.get(tx, project, email, lock=True) is not None:
            text = f"Service account {request.account_id} already exists within project projects/{project}."
            raise RpcError(Code.ALREADY_EXISTS, text)
        given = request.service_account
        row = Account(
            email, project, unique_id(f"{email}/{call.new_id()}"), call.now_ms, given.display_name, given.description,
            etag=call.new_id(),
        )  # fmt: skip
        _check(row)
        ACCOUNTS.put(tx, project, email, row=row)
        for name in (email, row.unique_id):
            PROJECTS.put(tx, name, row=f"{project}/{email}")
        return _shown(row)

    def get_service_account(self, tx: Tx, call: Call, request: Any) -> Any:
        return _shown(names.find(tx, request.name))

    def list_service_accounts(self, tx: Tx, call: Call, request: Any) -> Any:
        project = names.read_project(request.name)
        rows, token = page(tx, ACCOUNTS, project, size=request.page_size, token=request.page_token, largest=_PAGE_MAX)
        first = [] if request.page_token else names.defaults(project)
        accounts = [_shown(row) for row in (*first, *(row for _, row in rows))]
        return _ADMIN.ListServiceAccountsResponse(accounts=accounts, next_page_token=token)

    def patch_service_account(self, tx: Tx, call: Call, request: Any) -> Any:
        row = _made(tx, request.service_account.name)
        paths = list(request.update_mask.paths)
        if not paths or not set(paths) <= set(_PATCHED):
            raise RpcError(Code.INVALID_ARGUMENT, "The update_mask must name display_name or description.")
        changed = replace(
            row, **{path: getattr(request.service_account, path) for path in paths}, etag=call.new_id()
        )  # fmt: skip
        _check(changed)
        ACCOUNTS.put(tx, row.project, row.email, row=changed)
        return _shown(changed)

    def enable_service_account(self, tx: Tx, call: Call, request: Any) -> Any:
        return _set_disabled(tx, request.name, disabled=False)

    def disable_service_account(self, tx: Tx, call: Call, request: Any) -> Any:
        return _set_disabled(tx, request.name, disabled=True)

    def delete_service_account(self, tx: Tx, call: Call, request: Any) -> Any:
        row = _made(tx, request.name)
        ACCOUNTS.delete(tx, row.project, row.email)
        for name in (row.email, row.unique_id):
            PROJECTS.delete(tx, name)
        ACCOUNT_KEYS.clear(tx, row.email)
        return message("google.protobuf.Empty")()


def _made(tx: Tx, name: str) -> Account:
    """One that somebody has made. Raises `RpcError`."""
    row = names.find(tx, name)
    if state.account(tx, row.email) is None:
        raise RpcError(Code.FAILED_PRECONDITION, f"fogbank does not change the default service account {row.email}.")
    return row


def _set_disabled(tx: Tx, name: str, *, disabled: bool) -> Any:
    row = _made(tx, name)
    ACCOUNTS.put(tx, row.project, row.email, row=replace(row, disabled=disabled))
    return message("google.protobuf.Empty")()


def _check(row: Account) -> None:
    if len(row.display_name.encode()) > _DISPLAY_MAX:
        raise RpcError(Code.INVALID_ARGUMENT, f"The display name is longer than {_DISPLAY_MAX} bytes.")
    if len(row.description.encode()) > _DESCRIPTION_MAX:
        raise RpcError(Code.INVALID_ARGUMENT, f"The description is longer than {_DESCRIPTION_MAX} bytes.")


def _shown(row: Account) -> Any:
    return _ADMIN.ServiceAccount(
        name=f"projects/{row.project}/serviceAccounts/{row.email}", project_id=row.project, unique_id=row.unique_id,
        email=row.email, display_name=row.display_name, description=row.description, etag=row.etag.encode()[:16],
        oauth2_client_id=row.unique_id, disabled=row.disabled,
    )  # fmt: skip
