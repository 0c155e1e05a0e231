"""What is remembered of identities: the key that signs tokens, service accounts, and keys that were made for those."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx


class Key(msgspec.Struct, frozen=True):
    id: str  # 40 hex digits, as Google's are.
    public: bytes  # SubjectPublicKeyInfo DER.
    certificate: str  # PEM, self-signed: how those learn the public half who read no JSON Web Keys.
    private: bytes = b""  # PKCS #8 DER; none where it was given away.
    created_ms: int = 0


class Account(msgspec.Struct, frozen=True):
    email: str
    project: str
    unique_id: str  # 21 digits.
    created_ms: int
    display_name: str = ""
    description: str = ""
    disabled: bool = False
    etag: str = ""


SIGNING = Records(Key, "identity", "signing")  # (): one, for all tokens of this cloud.
ACCOUNTS = Records(Account, "identity", "account")  # (project, email)
PROJECTS = Records(str, "identity", "project-of")  # (email,) or (unique id,) → "project/email"
ACCOUNT_KEYS = Records(Key, "identity", "account-key")  # (email, key's id)


def account(tx: Tx, email: str) -> Account | None:
    """By its address or its unique id, if somebody has made it."""
    place = PROJECTS.get(tx, email)
    return None if place is None else ACCOUNTS.get(tx, *place.split("/", 1))


def public_keys(tx: Tx, email: str) -> list[bytes]:
    """SubjectPublicKeyInfo DER of whatever may sign for that account: its own keys, and ours on its behalf."""
    signing = SIGNING.get(tx)
    ours = [] if signing is None else [signing.public]
    return ours + [key.public for key in ACCOUNT_KEYS.all(tx, email)]
