"""The service: where it answers, its nouns, and what it does by itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from fogbank.gcp.service import Service
from fogbank.gcp.services.storage import json_api
from fogbank.gcp.services.storage.batch import Batches
from fogbank.gcp.services.storage.json_api import JsonApi
from fogbank.gcp.services.storage.nouns.acls import (
    BucketAccessControls,
    DefaultObjectAccessControls,
    ObjectAccessControls,
)  # fmt: skip
from fogbank.gcp.services.storage.nouns.buckets import Buckets
from fogbank.gcp.services.storage.nouns.copies import Copies
from fogbank.gcp.services.storage.nouns.keys import HmacKeys, ServiceAccounts
from fogbank.gcp.services.storage.nouns.notifications import Notifications
from fogbank.gcp.services.storage.nouns.objects import Objects
from fogbank.gcp.services.storage.nouns.policies import Policies
from fogbank.gcp.services.storage.objects import Objects as Made
from fogbank.gcp.services.storage.upkeep import Upkeep
from fogbank.gcp.services.storage.xml_api import XmlApi
from fogbank.kernel.gateway.messages import Route
from fogbank.kernel.tasks import Background

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.service import House
    from fogbank.kernel.gateway.messages import Request

_NOUNS: Final = (
    Buckets, Policies, BucketAccessControls, DefaultObjectAccessControls, Objects, Copies, ObjectAccessControls,
    Notifications, HmacKeys, ServiceAccounts,
)  # fmt: skip
_HERE: Final = re.compile(r"[^.]*|[\d.]+|\[.*")  # This machine, by any name: no bucket is in it.
_GOOGLE: Final = re.compile(r"(storage|www)\.googleapis\.com")
_JSON: Final = re.compile(r"/((resumable/)?upload/|download/)?storage/v1/(b|projects)(/|$)")
_BATCH: Final = re.compile(r"/batch(/storage/v1)?$")
# Without "/storage/v1", as clients for Node ask an emulator; no bucket of S3's has a name of one letter.
_SHORT: Final = re.compile(r"/b(/|$)|/projects/[^/]+/(hmacKeys|serviceAccount)(/|$)")
# What may be a bucket's name, but for what the other APIs' addresses begin with.
_BUCKET: Final = re.compile(
    r"/(?!v\d\w*/(projects|operations|folders|organizations)(/|$))([a-z0-9][a-z0-9._-]{2,221}(/|$)|$)"
)
_OF_S3: Final = re.compile(r"(^|&)(X-Amz-|AWSAccessKeyId=)", re.IGNORECASE)
_OF_GOOGLE: Final = re.compile(r"(^|&)(X-Goog-|GoogleAccessId=|upload_id=)", re.IGNORECASE)
_HEADERS_OF_GOOGLE: Final = re.compile(
    r"x-goog-(date|resumable|copy-source|acl|project-id|if-.*|meta-.*|encryption-.*|hash|content-sha256|storage-class)"
)
_FORM_OF_GOOGLE: Final = re.compile(rb'name="?(x-goog-|GoogleAccessId)', re.IGNORECASE)
_FORM_BYTES: Final = 16 * 1024  # In which a form's fields begin to tell whose it is.


class Storage(Service):
    service = json_api.API
    methods: ClassVar = tuple(json_api.served(_NOUNS))

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._made = Made(house)
        nouns = [noun(house, self._made) for noun in _NOUNS]
        self._json, self._xml = JsonApi(house, nouns), XmlApi(house, self._made)
        self._batches = Batches(self._json.answer)

    def routes(self) -> Iterable[Route]:
        """By Google's hosts; and by path where the host is this machine, unless S3's signature says otherwise."""
        json, batch, xml = self._json.answer, self._batches.answer, self._xml.answer
        return [
            Route(json, host=_GOOGLE, path=_JSON),
            Route(batch, host=_GOOGLE, path=_BATCH),
            Route(xml, host=re.compile(r"(.+\.)?storage\.googleapis\.com")),
            Route(json, host=_HERE, path=_JSON, only=_is_not_s3),
            Route(batch, host=_HERE, path=_BATCH, only=_is_not_s3),
            Route(json, host=_HERE, path=_SHORT, only=_is_not_s3),
            Route(xml, host=_HERE, path=_BUCKET, only=_is_google),
        ]

    def backgrounds(self) -> Iterable[Background]:
        return [Background("storage: lifecycle and expiry", Upkeep(self.house, self._made).run)]


def _is_not_s3(request: Request) -> bool:
    headers = request.headers
    if headers.get("authorization", "").startswith("AWS") or _OF_S3.search(request.query):
        return False
    return not any(name.startswith("x-amz-") for name in headers)


def _is_google(request: Request) -> bool:
    """What S3's clients never send: Google's signatures, tokens, headers and forms."""
    headers = request.headers
    if headers.get("authorization", "").startswith(("Bearer ya29.", "GOOG")) or _OF_GOOGLE.search(request.query):
        return True
    if request.method == "POST" and headers.get("content-type", "").startswith("multipart/form-data"):
        return _FORM_OF_GOOGLE.search(bytes(request.body[:_FORM_BYTES])) is not None
    return any(_HEADERS_OF_GOOGLE.fullmatch(name) for name in headers)
