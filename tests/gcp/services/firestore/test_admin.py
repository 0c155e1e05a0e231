"""Indexes, fields and settings of databases, by the published admin client: what tools that deploy them ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud.firestore_admin_v1.types import CreateDatabaseRequest, Database, DeleteDatabaseRequest, Field, Index
from google.protobuf import field_mask_pb2

from fogbank.gcp.protocol.descriptors import methods
from tests.gcp.services.firestore.conftest import DATABASE, client

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

GROUP = f"{DATABASE}/collectionGroups/items"
UP, DOWN = Index.IndexField.Order.ASCENDING, Index.IndexField.Order.DESCENDING


@pytest.fixture(autouse=True)
def there(db: Any) -> None:
    """The database is there from its first write on."""
    db.document("items/a").set({"a": 1, "b": 2})


def index(*orders: tuple[str, Any], scope: str = "COLLECTION") -> Index:
    return Index(query_scope=scope, fields=[{"field_path": path, "order": order} for path, order in orders])


def test_a_composite_index_is_made_ready_found_and_deleted(admin: Any) -> None:
    made = admin.create_index(parent=GROUP, index=index(("a", UP), ("b", DOWN))).result()
    assert made.state == Index.State.READY
    assert [(each.field_path, each.order) for each in made.fields] == [("a", UP), ("b", DOWN), ("__name__", DOWN)]
    assert admin.get_index(name=made.name) == made
    other = admin.create_index(parent=GROUP.replace("items", "other"), index=index(("a", UP), ("b", UP))).result()
    assert list(admin.list_indexes(parent=GROUP)) == [made]
    everywhere = GROUP.replace("items", "-")
    assert list(admin.list_indexes(request={"parent": everywhere, "page_size": 1})) == [made, other]
    admin.delete_index(name=made.name)
    with pytest.raises(exceptions.NotFound):
        admin.get_index(name=made.name)


def test_what_is_no_index_is_refused_in_the_services_words(admin: Any) -> None:
    admin.create_index(parent=GROUP, index=index(("a", UP), ("b", UP)))
    with pytest.raises(exceptions.AlreadyExists, match="index already exists"):
        admin.create_index(parent=GROUP, index=index(("a", UP), ("b", UP)))
    unneeded = "this index is not necessary, configure using single field index controls"
    with pytest.raises(exceptions.InvalidArgument, match=unneeded):
        admin.create_index(parent=GROUP, index=index(("a", UP)))
    with pytest.raises(exceptions.InvalidArgument):
        admin.create_index(parent=GROUP, index=Index(query_scope="COLLECTION", fields=[{"field_path": "a"}] * 2))


def test_no_query_needs_an_index(db: Any) -> None:
    """Where the service asks for a composite index, with a link to make it, the answer is here at once."""
    found = db.collection("items").where("a", "==", 1).order_by("b", direction="DESCENDING").get()
    assert [each.id for each in found] == ["a"]


def test_a_field_is_indexed_as_all_are_until_somebody_says_otherwise(admin: Any) -> None:
    name = f"{GROUP}/fields/a"
    usual = admin.get_field(name=name)
    assert usual.index_config.uses_ancestor_config and len(usual.index_config.indexes) == 3
    mask = field_mask_pb2.FieldMask(paths=["index_config"])
    given = Field(name=name, index_config=Field.IndexConfig(indexes=[]))
    told = admin.update_field(request={"field": given, "update_mask": mask}).result()
    assert not told.index_config.uses_ancestor_config and not told.index_config.indexes
    asked = {"parent": GROUP.replace("items", "-"), "filter": "indexConfig.usesAncestorConfig:false OR ttlConfig:*"}
    assert {each.name for each in admin.list_fields(request=asked)} == {
        f"{DATABASE}/collectionGroups/__default__/fields/*", name,
    }  # fmt: skip
    admin.update_field(request={"field": Field(name=name), "update_mask": mask}).result()
    assert admin.get_field(name=name) == usual
    with pytest.raises(exceptions.InvalidArgument, match="filter"):
        admin.list_fields(request={"parent": GROUP, "filter": "name:a"})


def test_a_database_that_is_protected_is_not_deleted(cloud: Cloud, admin: Any) -> None:
    protected = Database.DeleteProtectionState.DELETE_PROTECTION_ENABLED
    given = Database(location_id="eur3", type_="FIRESTORE_NATIVE", delete_protection_state=protected)
    asked = CreateDatabaseRequest(parent="projects/p", database=given, database_id="second")
    made = admin.create_database(asked).result()
    client(cloud, "second").document("c/a").set({})
    with pytest.raises(exceptions.FailedPrecondition, match="delete protection"):
        admin.delete_database(DeleteDatabaseRequest(name=made.name))
    cloud.advance(seconds=1)
    open_ = Database(name=made.name, delete_protection_state="DELETE_PROTECTION_DISABLED", etag=made.etag)
    mask = field_mask_pb2.FieldMask(paths=["delete_protection_state"])
    told = admin.update_database(request={"database": open_, "update_mask": mask}).result()
    assert told.update_time > told.create_time and told.location_id == "eur3"
    with pytest.raises(exceptions.FailedPrecondition, match="etag"):
        admin.update_database(request={"database": open_, "update_mask": mask})
    with pytest.raises(exceptions.InvalidArgument, match="location_id"):
        location = field_mask_pb2.FieldMask(paths=["location_id"])
        admin.update_database(request={"database": Database(name=made.name, location_id="x"), "update_mask": location})
    admin.delete_database(DeleteDatabaseRequest(name=made.name)).result()
    with pytest.raises(exceptions.NotFound):
        admin.get_database(name=made.name)


def test_a_database_of_that_name_that_is_made_again_has_none_of_the_indexes(admin: Any) -> None:
    admin.create_index(parent=GROUP, index=index(("a", UP), ("b", UP)))
    admin.delete_database(DeleteDatabaseRequest(name=DATABASE)).result()
    admin.create_database(CreateDatabaseRequest(parent="projects/p", database=Database(), database_id="(default)"))
    assert list(admin.list_indexes(parent=GROUP)) == []


@pytest.mark.parametrize(
    "settings",
    [{"type_": "DATASTORE_MODE"}, {"database_edition": "ENTERPRISE"}, {"cmek_config": {"kms_key_name": "k"}}],
)
def test_databases_of_other_kinds_are_refused_by_name(admin: Any, settings: dict[str, Any]) -> None:
    asked = CreateDatabaseRequest(parent="projects/p", database=Database(**settings), database_id="other")
    with pytest.raises(exceptions.MethodNotImplemented, match="not served"):
        admin.create_database(asked)


@pytest.mark.parametrize("rpc", ["ExportDocuments", "ImportDocuments", "BulkDeleteDocuments", "CreateBackupSchedule"])
def test_what_of_administration_is_not_there_is_refused_by_name(cloud: Cloud, rpc: str) -> None:
    _refused(cloud, "google.firestore.admin.v1.FirestoreAdmin", rpc)


def _refused(cloud: Cloud, service: str, rpc: str) -> None:
    method = methods(service)[rpc]
    with grpc.insecure_channel(cloud.url.removeprefix("http://")) as channel:
        kind = channel.unary_stream if method.gives_stream else channel.unary_unary
        with pytest.raises(grpc.RpcError) as refused:
            answer = kind(method.path, request_serializer=method.request.SerializeToString)(method.request())
            list(answer)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert f"{service}.{rpc}" in refused.value.details()


def test_the_rest_api_serves_the_same(cloud: Cloud, admin: Any) -> None:
    """As gcloud and the Firebase CLI ask."""
    fields = [{"fieldPath": "a", "order": "ASCENDING"}, {"fieldPath": "b", "order": "ASCENDING"}]
    made = httpx.post(f"{cloud.url}/v1/{GROUP}/indexes", json={"queryScope": "COLLECTION", "fields": fields}).json()
    assert made["done"] and made["response"]["state"] == "READY"
    listed = httpx.get(f"{cloud.url}/v1/{GROUP}/indexes").json()["indexes"]
    assert [each["name"] for each in listed] == [each.name for each in admin.list_indexes(parent=GROUP)]
    patched = httpx.patch(
        f"{cloud.url}/v1/{GROUP}/fields/ends", params={"updateMask": "ttlConfig"}, json={"ttlConfig": {}}
    ).json()
    assert patched["response"]["ttlConfig"] == {"state": "ACTIVE"}
