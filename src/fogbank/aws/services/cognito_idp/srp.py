"""Secure Remote Password (RFC 5054's group of 3072 bits) as Cognito speaks it: the password is never sent nor kept.

The client sends A, is answered with B and a salt, and proves by an HMAC that both sides came to the same key. How
Cognito hashes differs from the RFC: numbers are padded as signed ones, and the key comes of HKDF with a label.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

# RFC 5054, appendix A, "3072-bit Group" (from RFC 3526).
N = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
    "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
    "49286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D"
    "670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7D"
    "B3970F85A6E1E4C7ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
G = 2
_LABEL = b"Caldera Derived Key"
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server must remember between its two answers."""

    a: int  # The client's public value.
    secret: int  # The server's private value, b.
    public: int  # B


def padded(number: int) -> bytes:
    """As a signed number is written: with a leading zero byte where the top bit is set."""
    return number.to_bytes(number.bit_length() // 8 + 1)


def verifier(pool_short_id: str, username: str, password: str, salt: bytes) -> bytes:
    """g^x mod N: from it a password can be checked, and not be read."""
    inner = hashlib.sha256(f"{pool_short_id}{username}:{password}".encode()).digest()
    x = int.from_bytes(hashlib.sha256(padded(int.from_bytes(salt)) + inner).digest())
    return pow(G, x, N).to_bytes(384)


def challenge(a: int, user_verifier: bytes, secret: int) -> Challenge | None:
    """B for a client's A; None if A is one that would give the key away (RFC 5054, section 2.5.4)."""
    if a % N == 0:
        return None
    multiplier = int.from_bytes(hashlib.sha256(padded(N) + padded(G)).digest())
    public = (multiplier * int.from_bytes(user_verifier) + pow(G, secret, N)) % N
    return Challenge(a, secret, public)


def signature(
    asked: Challenge, user_verifier: bytes, pool_short_id: str, username: str, block: bytes, at: str
) -> bytes:
    """What the client must send, if it knows the password; `at` is the time stamp as the client wrote it."""
    scrambling = int.from_bytes(hashlib.sha256(padded(asked.a) + padded(asked.public)).digest())
    shared = pow(asked.a * pow(int.from_bytes(user_verifier), scrambling, N), asked.secret, N)
    extracted = hmac.digest(padded(scrambling), padded(shared), "sha256")
    key = hmac.digest(extracted, _LABEL + b"\x01", "sha256")[:_KEY_BYTES]
    return hmac.digest(key, pool_short_id.encode() + username.encode() + block + at.encode(), "sha256")
