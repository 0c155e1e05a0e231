"""JSON Web Tokens signed RS256 (RFC 7519), the keys that sign them, and how their public halves are told (RFC 7517).

Whose key it is, what the claims mean and whether their times hold is for the caller to say.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY_BITS = 2048


class BadToken(Exception):
    """Not a token of this key: malformed, wrongly signed, or signed by another key."""


def new_key_pair() -> tuple[bytes, bytes]:
    """Private and public key as DER. Takes a tenth of a second: not for the event loop's thread."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign(private_key: bytes, header: Mapping[str, Any], claims: bytes) -> str:
    """A token of these claims, which are JSON. `header` names the algorithm and the key as its readers expect them."""
    signed = f"{_encode(orjson.dumps(header))}.{_encode(claims)}"
    return f"{signed}.{_encode(signature(private_key, signed.encode()))}"


def signature(private_key: bytes, content: bytes) -> bytes:
    """RSASSA-PKCS1-v1_5 with SHA-256."""
    return private(private_key).sign(content, padding.PKCS1v15(), SHA256())


def unverified_header(token: str) -> dict[str, Any]:
    """What a token says of the key that has signed it."""
    return _part(token, 0)


def unverified_claims(token: str) -> dict[str, Any]:
    """What a token says of itself, to find the key that must have signed it."""
    return _part(token, 1)


def verify(token: str, key_id: str, public_key: bytes) -> dict[str, Any]:
    """The claims of a token signed by this key. Times are for the caller to check."""
    try:
        head, claims, signed = token.split(".")
        header = orjson.loads(_decode(head))
        if header.get("alg") != "RS256" or header.get("kid") != key_id:  # `none` and HMAC are refused here.
            raise BadToken("signed by another key")
        public(public_key).verify(_decode(signed), f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256())
        return dict(orjson.loads(_decode(claims)))
    except (ValueError, TypeError, AttributeError) as error:
        raise BadToken("malformed") from error
    except InvalidSignature as error:
        raise BadToken("wrongly signed") from error


def json_web_key(key_id: str, public_key: bytes) -> dict[str, str]:
    """As it stands among the `keys` of a JSON Web Key Set."""
    numbers = public(public_key).public_numbers()
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)
    exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)
    key = {"alg": "RS256", "kid": key_id, "kty": "RSA", "use": "sig"}
    return {**key, "e": _encode(exponent), "n": _encode(modulus)}


@lru_cache(maxsize=64)
def private(der: bytes) -> rsa.RSAPrivateKey:
    key = load_der_private_key(der, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@lru_cache(maxsize=64)
def public(der: bytes) -> rsa.RSAPublicKey:
    key = load_der_public_key(der)
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def _part(token: str, at: int) -> dict[str, Any]:
    try:
        return dict(orjson.loads(_decode(token.split(".")[at])))
    except (ValueError, IndexError, TypeError) as error:
        raise BadToken("malformed") from error


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
