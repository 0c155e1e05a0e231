"""Whose signature it is: service accounts' RSA keys and HMAC keys that this cloud knows; any other key is taken."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fogbank.gcp.identity.state import ACCOUNT_KEYS, account, public_keys
from fogbank.gcp.services.storage.errors import StorageError
from fogbank.gcp.services.storage.state import HMAC_KEYS

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_OF_EVERY_PROJECT: Final = ("-compute@developer.gserviceaccount.com", "@appspot.gserviceaccount.com")


def verify(tx: Tx, who: str, algorithm: str, signed: bytes, signature: str, scope: str) -> None:
    """Of version 4: in hex, by a key made for the scope ("20270115/auto/storage/goog4_request"). Raises 403."""
    if algorithm == "GOOG4-RSA-SHA256":
        try:
            _verify_rsa(tx, who, [signed], bytes.fromhex(signature))
        except ValueError:
            raise _wrong() from None
        return
    secret = _secret(tx, who)
    if secret is None:
        return
    key = (("AWS4" if algorithm.startswith("AWS4") else "GOOG4") + secret).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode("utf-8", "replace"), "sha256")
    _compare([hmac.digest(key, signed, "sha256").hex()], signature)


def verify_older(tx: Tx, who: str, signed: list[bytes], signature: str) -> None:
    """Of version 2, in base64: one of these texts is what was signed. Raises 403."""
    if "@" in who:
        try:
            _verify_rsa(tx, who, signed, b64decode(signature, validate=True))
        except ValueError:
            raise _wrong() from None
        return
    secret = _secret(tx, who)
    if secret is not None:
        _compare([b64encode(hmac.digest(secret.encode(), one, "sha1")).decode() for one in signed], signature)


def _compare(made: list[str], given: str) -> None:
    if not any(hmac.compare_digest(one.encode(), given.encode("utf-8", "replace")) for one in made):
        raise _wrong()


def _verify_rsa(tx: Tx, who: str, signed: list[bytes], signature: bytes) -> None:
    email = unquote(who)
    if not _is_ours(tx, email):  # Whose keys are Google's own, or anybody's.
        return
    keys = [load_der_public_key(raw) for raw in public_keys(tx, email)]
    known = [key for key in keys if isinstance(key, rsa.RSAPublicKey)]
    if known and not any(_fits(key, one, signature) for key in known for one in signed):
        raise _wrong()


def _is_ours(tx: Tx, email: str) -> bool:
    """An account that this cloud has made, or for which it has made a key; and those that each project begins with."""
    if email.endswith(_OF_EVERY_PROJECT) or account(tx, email) is not None:
        return True
    return any(True for _ in ACCOUNT_KEYS.scan(tx, email, limit=1))


def _fits(key: rsa.RSAPublicKey, signed: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, signed, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _secret(tx: Tx, access_id: str) -> str | None:
    """None: nobody here knows the key. Raises for one that must not sign any more."""
    found = HMAC_KEYS.get(tx, access_id)
    if found is None:
        return None
    if found.state != "ACTIVE":
        raise StorageError(403, "forbidden", "The HMAC key is not active.", code="InvalidAccessKeyId")
    return found.secret


def _wrong() -> StorageError:
    told = (
        "Access denied. The request signature we calculated does not match the signature you provided. Check your "
        "Google secret key and signing method."
    )
    return StorageError(403, "forbidden", told, code="SignatureDoesNotMatch")
