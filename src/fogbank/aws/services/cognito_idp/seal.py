"""What a client carries for us between two steps: sealed, so that it cannot be read or changed, and dated.

Nothing of a sign-in under way is kept on this side, so it survives a restart between two steps.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class Broken(Exception):
    """Not sealed by this key, changed, or out of date."""


def close(key: bytes, content: dict[str, Any], expires_ms: int) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    plain = orjson.dumps({"until": expires_ms, "content": content})
    return b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None)).decode()


def open_(key: bytes, sealed: str, now_ms: int) -> dict[str, Any]:
    try:
        raw = b64decode(sealed, validate=True)
        plain = orjson.loads(AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None))
    except (ValueError, InvalidTag) as error:
        raise Broken("not ours") from error
    if plain["until"] < now_ms:
        raise Broken("out of date")
    return dict(plain["content"])
