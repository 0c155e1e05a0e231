"""HMAC keys, by which S3's tools sign, and the account in whose name Cloud Storage acts for a project."""

from __future__ import annotations

import secrets
import string
from base64 import b64encode
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec.structs import replace

from fogbank.gcp.identity import projects
from fogbank.gcp.services.storage import listing, shown, state
from fogbank.gcp.services.storage.errors import StorageError, condition_not_met, invalid, required
from fogbank.gcp.services.storage.nouns.noun import Noun
from fogbank.gcp.services.storage.state import HMAC_KEYS, HmacKey

if TYPE_CHECKING:
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.kernel.store import Tx

ACTIVE, INACTIVE, DELETED = "ACTIVE", "INACTIVE", "DELETED"
_ID_ALPHABET: Final = string.ascii_uppercase + string.digits
_ID_LENGTH, _SECRET_BYTES = 61, 30  # "An access ID … of a service account: 61 characters"; a secret of 40.


class HmacKeys(Noun):
    noun: ClassVar = "projects.hmacKeys"

    def create(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        email = asked.parameters.get("serviceAccountEmail", "")
        if not email:
            raise required("serviceAccountEmail")
        if "@" not in email:
            raise invalid(f"Invalid argument. Invalid service account: {email[:128]}")
        access_id = "GOOG1E" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH - 6))
        secret = b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        made = HmacKey(access_id, secret, asked.parameters["projectId"], email, ACTIVE, asked.now_ms, asked.now_ms)
        HMAC_KEYS.put(tx, access_id, row=made)
        return {"kind": "storage#hmacKey", "metadata": shown.hmac_key(made, asked.base), "secret": secret}

    def get(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        return shown.hmac_key(_found(tx, asked), asked.base)

    def list_(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        parameters = asked.parameters
        limit, token = listing.limit_of(parameters), parameters.get("pageToken", "")
        rows = [
            row
            for _, row in HMAC_KEYS.scan(tx, after=HMAC_KEYS.key(token) if token else None)
            if row.project == parameters["projectId"]
            and parameters.get("serviceAccountEmail", row.email) == row.email
            and (row.state != DELETED or parameters.get("showDeletedKeys") == "true")
        ]
        told: dict[str, Any] = {"kind": "storage#hmacKeysMetadata"}
        if rows:
            told["items"] = [shown.hmac_key(row, asked.base) for row in rows[:limit]]
        return told | ({"nextPageToken": rows[limit - 1].access_id} if len(rows) > limit else {})

    def update(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        found, wanted = _found(tx, asked), asked.resource.get("state")
        etag = asked.resource.get("etag")
        if etag and etag != state.etag_of(found.changes):
            raise condition_not_met("If-Match")
        if wanted not in (ACTIVE, INACTIVE) or found.state == DELETED:
            raise invalid(f"Invalid argument. The state of the key cannot become {str(wanted)[:32]}.")
        return shown.hmac_key(_keep(tx, found, wanted, asked), asked.base)

    def delete(self, tx: Tx, asked: Asked) -> None:
        found = _found(tx, asked)
        if found.state == ACTIVE:
            raise invalid("Cannot delete keys in ACTIVE state.")
        _keep(tx, found, DELETED, asked)


class ServiceAccounts(Noun):
    noun: ClassVar = "projects.serviceAccount"

    def get(self, tx: Tx, asked: Asked) -> dict[str, Any]:
        email = projects.service_agent(asked.parameters["projectId"], "gs-project-accounts")
        return {"kind": "storage#serviceAccount", "email_address": email}


def _found(tx: Tx, asked: Asked) -> HmacKey:
    found = HMAC_KEYS.get(tx, asked.parameters["accessId"], lock=True)
    if found is None or found.project != asked.parameters["projectId"]:
        told = f"Access ID not found in project {asked.parameters['projectId'][:64]}."
        raise StorageError(404, "notFound", told, code="InvalidAccessKeyId")
    return found


def _keep(tx: Tx, found: HmacKey, wanted: str, asked: Asked) -> HmacKey:
    kept = replace(found, state=wanted, updated_ms=asked.now_ms, changes=found.changes + 1)
    HMAC_KEYS.put(tx, kept.access_id, row=kept)
    return kept
