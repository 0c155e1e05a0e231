"""Buckets: made, told of, changed under preconditions, listed and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions

from tests.gcp.services.storage.conftest import put, reason
from tests.support.google import PROJECT

if TYPE_CHECKING:
    import httpx


def test_a_new_bucket_has_what_google_gives_it(bucket: Any) -> None:
    bucket.reload(projection="full")
    assert (bucket.location, bucket.location_type, bucket.storage_class) == ("US", "multi-region", "STANDARD")
    assert bucket.metageneration == 1
    assert bucket.soft_delete_policy.retention_duration_seconds == 7 * 86_400
    assert bucket.iam_configuration.uniform_bucket_level_access_enabled is False
    assert bucket.iam_configuration.public_access_prevention == "inherited"
    assert {entry["role"] for entry in bucket.acl} == {"OWNER", "READER"}


def test_a_bucket_in_a_region_has_its_settings(gcs: Any) -> None:
    made = gcs.bucket("settled")
    made.storage_class, made.labels, made.requester_pays = "NEARLINE", {"team": "fog"}, True
    made.cors = [{"origin": ["https://a.example"], "method": ["GET"], "maxAgeSeconds": 60}]
    made.add_lifecycle_delete_rule(age=3)
    made.default_event_based_hold = True
    made.configure_website("index.html", "404.html")
    gcs.create_bucket(made, location="europe-west1")
    found = gcs.get_bucket("settled")
    assert (found.location, found.location_type, found.storage_class) == ("EUROPE-WEST1", "region", "NEARLINE")
    assert (found.labels, found.requester_pays, found.default_event_based_hold) == ({"team": "fog"}, True, True)
    assert found.cors == made.cors and len(list(found.lifecycle_rules)) == 1
    assert found._properties["website"] == {"mainPageSuffix": "index.html", "notFoundPage": "404.html"}


def test_a_name_is_taken_once(gcs: Any, bucket: Any) -> None:
    with pytest.raises(exceptions.Conflict, match="you already own it"):
        gcs.create_bucket(bucket.name)


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Upper", "-dash", "dash-", "127.0.0.1", "goog-mine", "my-google-bucket", "a..b", "a b"]
)
def test_names_that_google_refuses_are_refused(http: httpx.Client, name: str) -> None:
    answer = http.post("/storage/v1/b", params={"project": PROJECT}, json={"name": name})
    assert reason(answer) == (400, "invalid", f"Invalid bucket name: '{name}'")


@pytest.mark.parametrize("name", ["a-b_c", "a.b.example.com", "0ab", "a" * 63, f"{'a' * 63}.{'b' * 63}"])
def test_names_that_google_takes_are_taken(http: httpx.Client, name: str) -> None:
    answer = http.post("/storage/v1/b", params={"project": PROJECT}, json={"name": name})
    assert answer.status_code == 200, answer.text


def test_a_project_must_be_named(http: httpx.Client) -> None:
    answer = http.post("/storage/v1/b", json={"name": "some-bucket"})
    assert reason(answer) == (400, "required", "Required parameter: project")


def test_a_patch_merges_and_an_update_replaces(gcs: Any, bucket: Any) -> None:
    bucket.labels, bucket.versioning_enabled = {"a": "1", "b": "2"}, True
    bucket.patch()
    labels = bucket.labels
    del labels["a"]
    bucket.labels = {"b": "3", "c": "4"}
    bucket.patch()
    found = gcs.get_bucket(bucket.name)
    assert (found.labels, found.versioning_enabled, found.metageneration) == ({"b": "3", "c": "4"}, True, 3)
    found._properties.pop("labels")
    found.update()
    assert gcs.get_bucket(bucket.name).labels == {}


def test_a_change_is_refused_where_the_metageneration_is_another(bucket: Any) -> None:
    bucket.labels = {"a": "1"}
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.patch(if_metageneration_match=7)
    bucket.patch(if_metageneration_match=1)


def test_only_an_empty_bucket_is_deleted(gcs: Any, bucket: Any) -> None:
    blob = put(bucket, "a")
    with pytest.raises(exceptions.Conflict, match="not empty"):
        bucket.delete()
    blob.delete()
    bucket.delete()
    with pytest.raises(exceptions.NotFound, match=r"The specified bucket does not exist\."):
        gcs.get_bucket(bucket.name)


def test_a_bucket_that_is_made_again_is_empty(gcs: Any, bucket: Any) -> None:
    put(bucket, "a").delete()
    bucket.delete()
    again = gcs.create_bucket(bucket.name)
    assert list(again.list_blobs()) == []
    assert list(again.list_blobs(soft_deleted=True)) == []


def test_buckets_are_listed_by_project_and_prefix_in_pages(gcs: Any) -> None:
    for name in ("list-a", "list-b", "list-c", "other-d"):
        gcs.create_bucket(name, project="listing")
    assert [b.name for b in gcs.list_buckets(project="listing", prefix="list-", page_size=2)] == [
        "list-a", "list-b", "list-c",
    ]  # fmt: skip


def test_what_is_not_served_is_refused_by_name(http: httpx.Client, bucket: Any) -> None:
    answer = http.post(f"/storage/v1/b/{bucket.name}/anywhereCaches", json={})
    assert reason(answer) == (501, "notImplemented", "fogbank does not serve storage.anywhereCaches.insert.")
    answer = http.patch(f"/storage/v1/b/{bucket.name}", json={"autoclass": {"enabled": True}})
    assert reason(answer) == (501, "notImplemented", "fogbank does not serve buckets with autoclass.")


def test_partial_answers_have_the_fields_that_were_asked_for(http: httpx.Client, bucket: Any) -> None:
    put(bucket, "a")
    where = f"/storage/v1/b/{bucket.name}"
    assert http.get(where, params={"fields": "name,iamConfiguration/publicAccessPrevention"}).json() == {
        "name": bucket.name, "iamConfiguration": {"publicAccessPrevention": "inherited"},
    }  # fmt: skip
    assert http.get(f"{where}/o", params={"fields": "items(name,size)"}).json() == {
        "items": [{"name": "a", "size": "7"}]
    }
    assert http.get(where, params={"fields": "name("}).status_code == 400
    assert http.get(where, params={"fields": "a/" * 2000 + "a"}).status_code == 400


def test_answers_are_indented_unless_they_are_asked_not_to_be(http: httpx.Client, bucket: Any) -> None:
    where = f"/storage/v1/b/{bucket.name}"
    assert http.get(where).text.startswith('{\n  "kind"')
    assert http.get(where, params={"prettyPrint": "false"}).text.startswith('{"kind"')
