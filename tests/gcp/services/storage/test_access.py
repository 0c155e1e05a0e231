"""Who may do what, as it is kept and told: ACLs, IAM policies, HMAC keys, CORS of the JSON API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions

from tests.gcp.services.storage.conftest import put, reason
from tests.support.google import PROJECT

if TYPE_CHECKING:
    import httpx


def roles(entries: Any) -> dict[str, str]:
    return {entry["entity"]: entry["role"] for entry in entries}


def test_an_object_has_the_acl_that_its_bucket_gives_or_its_writer_wants(bucket: Any) -> None:
    bucket.default_object_acl.all_authenticated().grant_read()
    bucket.default_object_acl.save()
    usual, public = put(bucket, "a"), put(bucket, "b", predefined_acl="publicRead")
    assert roles(usual.acl)["allAuthenticatedUsers"] == "READER"
    assert roles(public.acl)["allUsers"] == "READER"


def test_entries_of_an_object_come_and_go(bucket: Any) -> None:
    blob = put(bucket, "a")
    blob.acl.user("a@example.com").grant_owner()
    blob.acl.group("g@example.com").grant_read()
    blob.acl.save()
    told = roles(bucket.get_blob("a").acl)
    assert (told["user-a@example.com"], told["group-g@example.com"]) == ("OWNER", "READER")
    blob.make_public()
    assert roles(bucket.get_blob("a").acl)["allUsers"] == "READER"
    blob.make_private()
    assert "allUsers" not in roles(bucket.get_blob("a").acl)


@pytest.mark.parametrize("where", ["acl", "defaultObjectAcl", "o/a/acl"])
def test_one_entry_is_made_told_changed_and_deleted(http: httpx.Client, bucket: Any, where: str) -> None:
    put(bucket, "a")
    at = f"/storage/v1/b/{bucket.name}/{where}"
    made = http.post(at, json={"entity": "domain-example.com", "role": "READER"}).json()
    assert (made["domain"], made["role"]) == ("example.com", "READER")
    assert http.patch(f"{at}/domain-example.com", json={"role": "OWNER"}).json()["role"] == "OWNER"
    assert http.put(f"{at}/domain-example.com", json={"role": "READER"}).json()["role"] == "READER"
    assert "domain-example.com" in roles(http.get(at).json()["items"])
    assert http.delete(f"{at}/domain-example.com").status_code == 204
    assert reason(http.get(f"{at}/domain-example.com"))[:2] == (404, "notFound")
    assert http.post(at, json={"entity": "nonsense", "role": "READER"}).status_code == 400
    assert http.post(at, json={"entity": "allUsers", "role": "KING"}).status_code == 400


def test_uniform_access_means_no_acls(bucket: Any) -> None:
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.patch()
    blob = put(bucket, "a")
    with pytest.raises(exceptions.BadRequest, match="uniform bucket-level access is enabled"):
        list(blob.acl)
    with pytest.raises(exceptions.BadRequest, match="uniform bucket-level access is enabled"):
        put(bucket, "b", predefined_acl="publicRead")


def test_a_policy_is_kept_and_guarded_by_its_etag(bucket: Any) -> None:
    policy = bucket.get_iam_policy(requested_policy_version=3)
    assert any(binding["role"] == "roles/storage.legacyBucketOwner" for binding in policy.bindings)
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"allUsers"}})
    bucket.set_iam_policy(policy)
    assert {"role": "roles/storage.objectViewer", "members": {"allUsers"}} in bucket.get_iam_policy().bindings
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.set_iam_policy(policy)
    asked = ["storage.objects.get", "storage.buckets.delete"]
    assert bucket.test_iam_permissions(asked) == asked


def test_an_hmac_key_is_made_switched_off_and_deleted(gcs: Any) -> None:
    key, secret = gcs.create_hmac_key("robot@example.com", project_id=PROJECT)
    assert len(key.access_id) == 61 and len(secret) == 40
    assert [one.access_id for one in gcs.list_hmac_keys(service_account_email="robot@example.com")] == [key.access_id]
    with pytest.raises(exceptions.BadRequest):
        key.delete()
    key.state = "INACTIVE"
    key.update()
    key.delete()
    assert list(gcs.list_hmac_keys(service_account_email="robot@example.com")) == []
    assert [one.state for one in gcs.list_hmac_keys(show_deleted_keys=True)] == ["DELETED"]


def test_a_project_has_an_account_in_whose_name_storage_acts(gcs: Any) -> None:
    assert gcs.get_service_account_email().endswith("@gs-project-accounts.iam.gserviceaccount.com")


def test_a_browser_may_use_the_json_api(http: httpx.Client, bucket: Any) -> None:
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT",
               "Access-Control-Request-Headers": "content-type,x-goog-meta-a"}  # fmt: skip
    asked = http.options(f"/storage/v1/b/{bucket.name}/o/a", headers=headers)
    assert asked.headers["access-control-allow-origin"] == "https://a.example"
    assert asked.headers["access-control-allow-headers"] == "content-type,x-goog-meta-a"
    told = http.get(f"/storage/v1/b/{bucket.name}", headers={"Origin": "https://a.example"})
    assert told.headers["access-control-allow-origin"] == "https://a.example"
