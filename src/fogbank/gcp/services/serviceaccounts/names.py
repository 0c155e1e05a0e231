"""Names of service accounts: "projects/PROJECT/serviceAccounts/ADDRESS", where "-" stands for the address's project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fogbank.gcp.identity import projects, state
from fogbank.gcp.identity.issuer import unique_id
from fogbank.gcp.identity.state import Account
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PROJECT: Final = re.compile(rf"projects/({projects.ANY})")
_NAME: Final = re.compile(r"projects/([^/]+)/serviceAccounts/([^/]{1,320})")
_KEY: Final = re.compile(r"(projects/[^/]+/serviceAccounts/[^/]+)/keys/([0-9a-f]{1,64})")


@dataclass(frozen=True, slots=True)
class Named:
    project: str
    account: str  # Its address or its unique id.


def read_project(name: str) -> str:
    found = _PROJECT.fullmatch(name)
    if found is None:
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid resource name {name[:256]}: it must be projects/PROJECT_ID.")
    return found[1]


def read(name: str) -> Named:
    found = _NAME.fullmatch(name)
    if found is None:
        text = f"Invalid form of account ID {name[:256]}. Should be [Gaia ID |Email |Unique ID |] of the account"
        raise RpcError(Code.INVALID_ARGUMENT, text)
    return Named(found[1], found[2])


def read_key(name: str) -> tuple[str, str]:
    """(the account's name, the key's id)."""
    found = _KEY.fullmatch(name)
    if found is None:
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid key name {name[:256]}.")
    return found[1], found[2]


def find(tx: Tx, name: str) -> Account:
    """Raises `RpcError`. The default accounts are there in every project."""
    named = read(name)
    kept = state.account(tx, named.account)
    if kept is not None and named.project in ("-", kept.project):
        return kept
    for email, shown in _defaults(named.project):
        if named.account in (email, unique_id(email)):
            return Account(email, named.project, unique_id(email), 0, shown)
    raise missing(name)


def defaults(project: str) -> list[Account]:
    return [Account(email, project, unique_id(email), 0, shown) for email, shown in _defaults(project)]


def _defaults(project: str) -> list[tuple[str, str]]:
    return [
        (projects.appspot_account(project), "App Engine default service account"),
        (projects.compute_account(project), "Default compute service account"),
    ]


def missing(name: str) -> RpcError:
    return RpcError(Code.NOT_FOUND, f"Unknown service account: {name[:512]}")
