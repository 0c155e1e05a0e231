"""Buckets over the XML API: listed, made, told of, deleted, and what they hold in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from fogbank.gcp.identity import projects
from fogbank.gcp.services.storage import listing, settings, state, times, xml_documents
from fogbank.gcp.services.storage.listing import Query
from fogbank.gcp.services.storage.nouns import buckets
from fogbank.gcp.services.storage.state import BUCKETS
from fogbank.gcp.services.storage.xml_objects import acl_of, etag
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.asking import Asked
    from fogbank.gcp.services.storage.state import Bucket, Object
    from fogbank.kernel.store import Tx

_PROJECT: Final = "x-goog-project-id"


class XmlBuckets:
    def __init__(self, house: House) -> None:
        self._house = house

    def list_all(self, tx: Tx, asked: Asked) -> Response:
        project = _project(asked)
        rows = [
            ("Bucket", [("Name", row.name), ("CreationDate", times.told(row.created_ms))])
            for row in BUCKETS.all(tx) if row.project == project
        ]  # fmt: skip
        return xml_documents.response("ListAllMyBucketsResult", [("Buckets", rows)])

    def create(self, tx: Tx, asked: Asked) -> Response:
        told: dict[str, Any] = {}
        if asked.body:
            given = xml_documents.texts(xml_documents.read(asked.body))
            for name, member in (("LocationConstraint", "location"), ("StorageClass", "storageClass")):
                if given.get(name):
                    told[member] = given[name]
        parameters = {"project": _project(asked), "predefinedAcl": acl_of(asked.headers)}
        buckets.create(tx, asked.parameters["bucket"], replace(asked, parameters=parameters), told)
        return Response(200)

    def delete(self, tx: Tx, asked: Asked) -> Response:
        buckets.delete(tx, state.locked_bucket(tx, asked.parameters["bucket"]))
        return Response(204)

    def show(self, tx: Tx, asked: Asked, *, which: str) -> Response:
        found = state.bucket(tx, asked.parameters["bucket"])
        match which:
            case "location":
                return xml_documents.response("LocationConstraint", found.location)
            case "storageClass":
                return xml_documents.response("StorageClass", found.storage_class)
            case "versioning":
                status = [("Status", "Enabled" if found.is_versioned else "Suspended")]
                told = status if "versioning" in found.settings else []
                return xml_documents.response("VersioningConfiguration", told)
        return xml_documents.response(
            "CorsConfig", [("Cors", _cors_shown(rule)) for rule in found.settings.get("cors", [])]
        )

    def change(self, tx: Tx, asked: Asked, *, which: str) -> Response:
        found, root = state.locked_bucket(tx, asked.parameters["bucket"]), xml_documents.read(asked.body)
        if which == "versioning":
            status = xml_documents.texts(root).get("Status")
            if status not in ("Enabled", "Suspended"):
                raise xml_documents.malformed()
            told: dict[str, Any] = {"versioning": {"enabled": status == "Enabled"}}
        else:
            told = {"cors": [_cors_read(rule) for rule in root]}
        buckets.keep(tx, replace(found, settings=settings.patched(found, told)), asked)
        return Response(200)

    def list_objects(self, tx: Tx, asked: Asked) -> Response:
        owner, parameters = state.bucket(tx, asked.parameters["bucket"]), asked.parameters
        second = parameters.get("list-type") == "2"
        versions = "versions" in parameters
        limit = listing.limit_of(parameters, "max-keys")
        query = Query(parameters.get("prefix", ""), parameters.get("delimiter", ""), limit=limit, versions=versions)
        token = parameters.get("continuation-token")
        if second and token is not None:
            low, passed = listing.decoded(token)
            query = _from(query, low, passed)
        else:
            after = parameters.get("start-after" if second else "marker", "")
            after = "" if after and not versions and after < query.prefix else after
            if after:
                generation = parameters.get("generation-marker", "")
                passed = int(generation) if generation.isdigit() else listing.GENERATION_MAX
                is_prefix = query.delimiter and after.endswith(query.delimiter)
                query = _from(query, listing.after_all(after), -1) if is_prefix else _from(query, after, passed)
        page = listing.page(tx, owner, query, asked.now_ms)
        return xml_documents.response("ListBucketResult", _listed(owner, query, page, parameters, second=second))


def _from(query: Query, low: str, passed: int) -> Query:
    return Query(query.prefix, query.delimiter, low=low, passed=passed, limit=query.limit, versions=query.versions)


def _listed(
    owner: Bucket, query: Query, page: listing.Page, parameters: Mapping[str, str], *, second: bool
) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = [("Name", owner.name), ("Prefix", query.prefix)]
    last = max([*(row.name for row in page.items[-1:]), *page.prefixes[-1:]], default="")
    if second:
        told += [("KeyCount", len(page.items) + len(page.prefixes))]
        told += [(name, parameters[key]) for key, name in (("start-after", "StartAfter"),
                 ("continuation-token", "ContinuationToken")) if key in parameters]  # fmt: skip
        told += [("NextContinuationToken", page.token)] if page.token else []
    else:
        told.append(("Marker", parameters.get("marker", "")))
        if page.token:
            told.append(("NextMarker", last))
            if query.versions and page.items:
                told.append(("NextGenerationMarker", str(page.items[-1].generation)))
    told += [("Delimiter", query.delimiter)] if query.delimiter else []
    told += [("MaxKeys", query.limit), ("IsTruncated", bool(page.token))]
    kind = "Version" if query.versions else "Contents"
    told += [(kind, _entry(row, versions=query.versions)) for row in page.items]
    return told + [("CommonPrefixes", [("Prefix", prefix)]) for prefix in page.prefixes]


def _entry(row: Object, *, versions: bool) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = [
        ("Key", row.name), ("Generation", str(row.generation)), ("MetaGeneration", str(row.metageneration)),
    ]  # fmt: skip
    if versions:
        told.append(("IsLatest", not row.gone_ms))
        told += [("DeletedTime", times.told(row.gone_ms))] if row.gone_ms else []
    return [*told, ("LastModified", times.told(row.created_ms)), ("ETag", etag(row)), ("Size", row.size)]


def _project(asked: Asked) -> str:
    """Whose buckets they are; S3's tools know of no projects, and mean the default one."""
    return asked.headers.get(_PROJECT) or projects.DEFAULT


def _cors_shown(rule: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("Origins", [("Origin", one) for one in rule.get("origin", [])]),
        ("Methods", [("Method", one) for one in rule.get("method", [])]),
        ("ResponseHeaders", [("ResponseHeader", one) for one in rule.get("responseHeader", [])]),
        *([("MaxAgeSec", str(rule["maxAgeSeconds"]))] if "maxAgeSeconds" in rule else []),
    ]  # fmt: skip


def _cors_read(rule: Element) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for child in rule:
        member = {"Origins": "origin", "Methods": "method", "ResponseHeaders": "responseHeader"}.get(child.tag)
        if member is not None:
            told[member] = [(one.text or "").strip() for one in child]
        elif child.tag == "MaxAgeSec":
            told["maxAgeSeconds"] = (child.text or "").strip()
    return told
