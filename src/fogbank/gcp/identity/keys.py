"""Keys as they are kept: made once, with a certificate of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from fogbank.gcp.identity.state import Key
from fogbank.primitives import web_tokens

_VALID = timedelta(days=365 * 100)


def new_key(key_id: str, common_name: str, now_ms: int) -> Key:
    """Takes a tenth of a second: not for the event loop's thread."""
    private, public = web_tokens.new_key_pair()
    return Key(key_id, public, _certificate(private, common_name, now_ms), private, now_ms)


def _certificate(private: bytes, common_name: str, now_ms: int) -> str:
    key = web_tokens.private(private)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    begins = datetime.fromtimestamp(now_ms // 1000, UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + _VALID)
        .sign(key, SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()
