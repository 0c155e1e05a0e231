"""Signatures of messages, and the certificate by which anybody can verify them.

Developer Guide, "Verifying the signatures of Amazon SNS messages": version 1 is SHA1withRSA, version 2 SHA256withRSA.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from fogbank.kernel.gateway.messages import Request, Response, Route
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

# The order in which members are signed, those that a message has.
_SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_PATH = re.compile(r"/SimpleNotificationService-([0-9a-f]{32})\.pem\Z")
_HOST = re.compile(r"(?!(?:.*\.)?s3[.-]).*")  # Any but those of buckets, where an object may have that name.
_HEX = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    private: bytes  # RSA, PKCS #8 DER.
    certificate: bytes  # PEM.


KEYS = Records(Key, "sns", "key")  # (): the one of this cloud


class Signer:
    """One for each server: it knows the cloud's key."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._key: Key | None = None

    async def key(self) -> Key:
        """The one that is kept; made when it is first needed."""
        if self._key is None:
            house = self._house
            found = await house.store.transact(KEYS.get)
            if found is None:
                certificates = importlib.import_module("fogbank.aws.services.sns.certificates")
                private, certificate = await asyncio.to_thread(certificates.new, house.clock.wall_ms())
                made = Key(house.ids.token(32, _HEX), private, certificate)
                found = await house.store.transact(_keep, made)
            self._key = found
        return self._key

    async def signed(self, document: Mapping[str, str], version: str) -> dict[str, str]:
        """The members that tell of a message's signature."""
        key = await self.key()
        text = "".join(f"{name}\n{document[name]}\n" for name in _SIGNED if name in document)
        url = f"{self._house.endpoint()}/SimpleNotificationService-{key.id}.pem"
        return {"SignatureVersion": version, "Signature": _signature(key.private, text, version), "SigningCertURL": url}

    def routes(self) -> list[Route]:
        """Where the certificate is published: at any host, as on AWS it is at SNS' own."""
        return [Route(self._certificate, host=_HOST, path=_PATH)]

    async def _certificate(self, request: Request) -> Response:
        found, key = _PATH.match(request.path), await self._house.store.transact(KEYS.get)
        if found is None or key is None or found[1] != key.id:
            return Response(404, [("content-type", "text/plain")], b"no such certificate\n")
        return Response(200, [("content-type", "application/x-pem-file")], key.certificate)


def _keep(tx: Tx, made: Key) -> Key:
    """Of several nodes that make one at a time the first wins."""
    found = KEYS.get(tx, lock=True)
    if found is None:
        KEYS.put(tx, row=made)
    return found or made


@lru_cache(64)
def _signature(private: bytes, text: str, version: str) -> str:
    """Of a message that goes to many it is made once."""
    algorithm = SHA256() if version == "2" else SHA1()  # Version 1 is what it is.
    return b64encode(_loaded(private).sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()


@lru_cache(4)
def _loaded(der: bytes) -> rsa.RSAPrivateKey:
    key = load_der_private_key(der, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
