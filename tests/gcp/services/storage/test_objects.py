"""Objects: their metadata, generations and preconditions, what keeps them, and what becomes of those that are gone."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions

from tests.gcp.services.storage.conftest import client_of, names, put, reason

if TYPE_CHECKING:
    import httpx

    from tests.support.cloud import Cloud


def test_what_was_put_is_read_with_its_digests(bucket: Any) -> None:
    blob = put(bucket, "a/b.txt", "123456789", content_type="text/plain")
    assert (blob.crc32c, blob.md5_hash) == ("4waSgw==", "JfnnlDI7RTiF9RgfG2JNCw==")
    found = bucket.get_blob("a/b.txt")
    assert (found.size, found.content_type, found.metageneration) == (9, "text/plain", 1)
    assert found.download_as_bytes(checksum="md5") == b"123456789"
    assert found.etag == blob.etag and found.generation == blob.generation


def test_what_is_not_there_is_told_by_its_name(bucket: Any, http: httpx.Client) -> None:
    answer = http.get(f"/storage/v1/b/{bucket.name}/o/a%2Fb")
    assert reason(answer) == (404, "notFound", f"No such object: {bucket.name}/a/b")
    assert bucket.get_blob("a/b") is None


def test_each_write_is_a_later_generation(bucket: Any) -> None:
    seen = [put(bucket, "a", str(number)).generation for number in range(5)]
    bucket.blob("a").delete()
    seen.append(put(bucket, "a").generation)
    assert seen == sorted(set(seen))


def test_metadata_is_patched_key_by_key_and_cleared_by_null(bucket: Any) -> None:
    blob = put(bucket, "a")
    blob.metadata, blob.cache_control, blob.content_language = {"x": "1", "y": "2"}, "no-store", "de"
    blob.patch()
    blob.metadata, blob.content_language = {"x": None, "z": "3"}, None
    blob.patch()
    found = bucket.get_blob("a")
    assert (found.metadata, found.cache_control, found.content_language) == ({"y": "2", "z": "3"}, "no-store", None)
    assert (found.metageneration, found.generation) == (3, blob.generation)


def test_an_update_takes_away_what_it_does_not_tell(bucket: Any) -> None:
    blob = put(bucket, "a")
    blob.metadata = {"x": "1"}
    blob.patch()
    blob._properties.pop("metadata")
    blob.update()
    assert bucket.get_blob("a").metadata is None


def test_preconditions_let_a_write_happen_once(bucket: Any, http: httpx.Client) -> None:
    first = put(bucket, "a", "1", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        put(bucket, "a", "2", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        put(bucket, "a", "2", if_generation_match=first.generation + 1)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("a").delete(if_metageneration_match=9)
    put(bucket, "a", "3", if_generation_match=first.generation, if_metageneration_match=1)
    assert bucket.blob("a").download_as_bytes() == b"3"
    answer = http.delete(f"/storage/v1/b/{bucket.name}/o/a", params={"ifGenerationMatch": 1})
    assert reason(answer)[:2] == (412, "conditionNotMet")
    assert answer.json()["error"]["errors"][0]["location"] == "If-Match"


def test_a_read_of_what_the_caller_has_already_is_304(bucket: Any, http: httpx.Client) -> None:
    blob = put(bucket, "a")
    where = f"/storage/v1/b/{bucket.name}/o/a"
    for media in ({}, {"alt": "media"}):
        assert http.get(where, params={**media, "ifGenerationNotMatch": blob.generation}).status_code == 304
        again = http.get(where, params=media, headers={"If-None-Match": blob.etag})
        assert (again.status_code, again.content) == (304, b"")
        assert http.get(where, params=media, headers={"If-Match": "other"}).status_code == 412
    assert http.get(where, params={"ifGenerationMatch": "nonsense"}).status_code == 400


def test_versions_are_kept_where_the_bucket_has_it_so(versioned: Any) -> None:
    first, second = put(versioned, "a", "1"), put(versioned, "a", "2")
    versioned.blob("a").delete()
    assert versioned.get_blob("a") is None
    assert versioned.get_blob("a", generation=first.generation).download_as_bytes() == b"1"
    listed = list(versioned.list_blobs(versions=True))
    assert [blob.generation for blob in listed] == [first.generation, second.generation]
    assert all(blob.time_deleted for blob in listed)
    versioned.blob("a", generation=first.generation).delete()
    assert [blob.generation for blob in versioned.list_blobs(versions=True)] == [second.generation]


def test_a_version_that_is_named_is_deleted_for_good_even_if_it_is_live(versioned: Any) -> None:
    blob = put(versioned, "a")
    versioned.blob("a", generation=blob.generation).delete()
    assert list(versioned.list_blobs(versions=True)) == []


def test_what_was_soft_deleted_comes_back_as_a_new_generation(bucket: Any) -> None:
    blob = put(bucket, "a", b"x" * 100_000)
    blob.delete()
    assert list(bucket.list_blobs()) == []
    (gone,) = bucket.list_blobs(soft_deleted=True)
    assert gone.soft_delete_time is not None
    assert gone.hard_delete_time - gone.soft_delete_time == datetime.timedelta(days=7)
    back = bucket.restore_blob("a", generation=blob.generation)
    assert back.generation > blob.generation
    assert bucket.blob("a").download_as_bytes() == b"x" * 100_000


def test_soft_deleted_objects_are_gone_with_their_files_after_their_time(cloud: Cloud) -> None:
    bucket = client_of(cloud).create_bucket("softly")
    put(bucket, "a", b"x" * 100_000).delete()
    kept = [path for path in cloud.config.blobs_dir.rglob("*") if path.is_file()]
    cloud.advance(seconds=6 * 86_400)
    assert names(bucket.list_blobs(soft_deleted=True)) == ["a"] and len(kept) == 1
    cloud.advance(seconds=2 * 86_400)
    assert names(bucket.list_blobs(soft_deleted=True)) == []
    assert [path for path in cloud.config.blobs_dir.rglob("*") if path.is_file()] == []


def test_without_soft_delete_the_files_of_what_is_overwritten_or_deleted_go_at_once(cloud: Cloud) -> None:
    gcs = client_of(cloud)
    bucket = gcs.bucket("hardly")
    bucket.soft_delete_policy.retention_duration_seconds = 0
    bucket = gcs.create_bucket(bucket)
    put(bucket, "a", b"x" * 100_000)
    put(bucket, "a", b"y" * 100_000)
    put(bucket, "a", b"small")
    put(bucket, "b", b"z" * 100_000).delete()
    assert [path for path in cloud.config.blobs_dir.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("hold", "kind"), [("event_based_hold", "Event-Based"), ("temporary_hold", "Temporary")])
def test_a_hold_keeps_an_object_until_it_is_released(bucket: Any, hold: str, kind: str) -> None:
    blob = put(bucket, "a")
    setattr(blob, hold, True)
    blob.patch()
    for change in (blob.delete, lambda: put(bucket, "a", "other")):
        with pytest.raises(exceptions.Forbidden, match=f"is under active {kind} hold"):
            change()
    setattr(blob, hold, False)
    blob.patch()
    blob.delete()


def test_a_retention_policy_keeps_objects_for_its_period(cloud: Cloud) -> None:
    bucket = client_of(cloud).create_bucket("retained")
    bucket.retention_period = 100
    bucket.patch()
    blob = put(bucket, "a")
    assert blob.retention_expiration_time - blob.time_created == datetime.timedelta(seconds=100)
    for change in (blob.delete, lambda: put(bucket, "a", "other")):
        with pytest.raises(exceptions.Forbidden, match="is subject to bucket's retention policy"):
            change()
    cloud.advance(seconds=101)
    blob.delete()


def test_the_period_counts_from_the_release_of_an_event_based_hold(cloud: Cloud) -> None:
    bucket = client_of(cloud).create_bucket("released")
    bucket.retention_period, bucket.default_event_based_hold = 100, True
    bucket.patch()
    blob = put(bucket, "a")
    assert blob.event_based_hold and blob.retention_expiration_time is None
    cloud.advance(seconds=500)
    blob.event_based_hold = False
    blob.patch()
    with pytest.raises(exceptions.Forbidden):
        blob.delete()
    cloud.advance(seconds=101)
    blob.delete()


def test_a_locked_retention_policy_is_never_shortened(bucket: Any) -> None:
    bucket.retention_period = 100
    bucket.patch()
    bucket.lock_retention_policy()
    assert bucket.retention_policy_locked
    for period in (99, 50):
        bucket.retention_period = period
        with pytest.raises(exceptions.Forbidden):
            bucket.patch()
    bucket.retention_period = 101
    bucket.patch()


def test_an_object_has_a_retention_of_its_own_where_the_bucket_allows_it(gcs: Any, shared: Cloud) -> None:
    bucket = gcs.create_bucket("own-retention", enable_object_retention=True)
    blob = put(bucket, "a")
    until = blob.time_created + datetime.timedelta(days=1)
    blob.retention.mode, blob.retention.retain_until_time = "Locked", until
    blob.patch()
    with pytest.raises(exceptions.Forbidden):
        blob.delete()
    blob.retention.mode, blob.retention.retain_until_time = None, None
    with pytest.raises(exceptions.Forbidden):
        blob.patch(override_unlocked_retention=True)


def test_a_custom_time_never_goes_back(bucket: Any) -> None:
    blob = put(bucket, "a")
    blob.custom_time = datetime.datetime(2027, 1, 2, tzinfo=datetime.UTC)
    blob.patch()
    blob.custom_time = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
    with pytest.raises(exceptions.BadRequest):
        blob.patch()


@pytest.mark.parametrize("moment", ["yesterday", "9999-12-31T23:59:59-20:00", "0001-01-01T00:00:00Z", "2027-13-01", 5])
def test_a_custom_time_that_is_none_is_refused(http: httpx.Client, bucket: Any, moment: Any) -> None:
    put(bucket, "a")
    answer = http.patch(f"/storage/v1/b/{bucket.name}/o/a", json={"customTime": moment})
    assert reason(answer)[:2] == (400, "invalid")


def test_a_customer_supplied_key_is_asked_for_again(bucket: Any) -> None:
    key, other = b"k" * 32, b"o" * 32
    bucket.blob("a", encryption_key=key).upload_from_string("secret")
    assert bucket.blob("a", encryption_key=key).download_as_bytes() == b"secret"
    with pytest.raises(exceptions.BadRequest, match="encrypted by a customer-supplied encryption key"):
        bucket.blob("a").download_as_bytes()
    with pytest.raises(exceptions.BadRequest, match="The provided encryption key is incorrect"):
        bucket.blob("a", encryption_key=other).download_as_bytes()
    assert bucket.get_blob("a").md5_hash is None
    put(bucket, "b")
    with pytest.raises(exceptions.BadRequest, match="not encrypted by a customer-supplied"):
        bucket.blob("b", encryption_key=key).download_as_bytes()


def test_a_key_is_rotated_by_a_rewrite(bucket: Any) -> None:
    old, new = b"k" * 32, b"n" * 32
    source = bucket.blob("a", encryption_key=old)
    source.upload_from_string("secret")
    target = bucket.blob("a", encryption_key=new)
    assert target.rewrite(source)[0] is None
    assert bucket.blob("a", encryption_key=new).download_as_bytes() == b"secret"


@pytest.mark.parametrize(
    "name", ["ü/日本 語?#%&+.txt", "a//b", " ", "x" * 1024, "-._~", "a/./b", "%2F", "\u0001", "o", "b/o"]
)
def test_names_may_be_nearly_anything(bucket: Any, name: str) -> None:
    put(bucket, name, name)
    assert names(bucket.list_blobs()) == [name]
    assert bucket.blob(name).download_as_bytes().decode() == name
    bucket.blob(name).delete()


@pytest.mark.parametrize("name", ["x" * 1025, "a\nb", "a\rb", ".", "..", ".well-known/acme-challenge/x"])
def test_names_that_cannot_be_are_refused(http: httpx.Client, bucket: Any, name: str) -> None:
    where = f"/upload/storage/v1/b/{bucket.name}/o"
    answer = http.post(where, params={"uploadType": "media", "name": name}, content=b"x")
    assert answer.status_code == 400 and answer.json()["error"]["errors"][0]["reason"] == "invalid"


def test_a_batch_does_many_things_and_tells_of_each(gcs: Any, bucket: Any) -> None:
    for number in range(5):
        put(bucket, str(number))
    with pytest.raises(exceptions.NotFound), gcs.batch():
        for number in range(6):
            bucket.blob(str(number)).delete()
    assert list(bucket.list_blobs()) == []
