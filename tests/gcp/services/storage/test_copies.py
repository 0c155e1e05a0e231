"""Objects made of objects: copied, rewritten in steps, composed, moved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions

from tests.gcp.services.storage.conftest import names, put, reason

if TYPE_CHECKING:
    import httpx

MIB = 1 << 20


def test_a_copy_has_content_and_metadata_of_its_own(gcs: Any, bucket: Any) -> None:
    other = gcs.create_bucket(f"{bucket.name}-other")
    source = bucket.blob("a")
    source.metadata, source.cache_control = {"x": "1"}, "no-store"
    source.upload_from_string(content := os.urandom(100_000), content_type="a/b")
    copy = bucket.copy_blob(source, other, "copied")
    source.delete()
    found = other.get_blob("copied")
    assert (found.metadata, found.cache_control, found.content_type) == ({"x": "1"}, "no-store", "a/b")
    assert found.download_as_bytes() == content and found.generation == copy.generation


def test_a_copy_is_made_under_conditions_on_both_ends(bucket: Any) -> None:
    source = put(bucket, "a")
    for conditions in ({"if_generation_match": 5}, {"if_source_generation_match": 5}):
        with pytest.raises(exceptions.PreconditionFailed):
            bucket.copy_blob(source, bucket, "b", **conditions)
    bucket.copy_blob(source, bucket, "b", if_generation_match=0, if_source_generation_match=source.generation)


def test_a_rewrite_goes_in_steps_where_its_caller_wants_that(http: httpx.Client, bucket: Any) -> None:
    content = os.urandom(2 * MIB + 1)
    put(bucket, "a", content)
    where = f"/storage/v1/b/{bucket.name}/o/a/rewriteTo/b/{bucket.name}/o/b"
    asked: dict[str, Any] = {"maxBytesRewrittenPerCall": MIB}
    told = http.post(where, params=asked, json={}).json()
    assert (told["done"], told["totalBytesRewritten"], told["objectSize"]) == (False, str(MIB), str(len(content)))
    assert bucket.get_blob("b") is None
    token = told["rewriteToken"]
    other = where.replace("/o/b", "/o/c")
    assert http.post(other, params={**asked, "rewriteToken": token}, json={}).status_code == 400
    steps = []
    while not told["done"]:
        told = http.post(where, params={**asked, "rewriteToken": token}, json={}).json()
        steps.append(told["totalBytesRewritten"])
    assert steps == [str(2 * MIB), str(len(content))]
    assert bucket.blob("b").download_as_bytes() == content
    assert http.post(where, params={"maxBytesRewrittenPerCall": 5}, json={}).status_code == 400


def test_a_storage_class_is_changed_by_a_rewrite(bucket: Any) -> None:
    blob = put(bucket, "a", content_type="a/b")
    blob.update_storage_class("COLDLINE")
    found = bucket.get_blob("a")
    assert (found.storage_class, found.content_type) == ("COLDLINE", "a/b")


def test_components_become_one_object_without_an_md5(bucket: Any) -> None:
    pieces = [os.urandom(size) for size in (10, 100_000, 0, 70_000)]
    sources = [put(bucket, f"part-{at}", piece) for at, piece in enumerate(pieces)]
    whole = bucket.blob("whole")
    whole.content_type = "a/b"
    whole.compose(sources)
    assert (whole.component_count, whole.md5_hash, whole.content_type) == (4, None, "a/b")
    assert bucket.blob("whole").download_as_bytes() == b"".join(pieces)
    more = bucket.blob("more")
    more.compose([whole, sources[0]])
    assert more.component_count == 5


def test_composing_has_limits_and_conditions(bucket: Any) -> None:
    source = put(bucket, "a")
    with pytest.raises(exceptions.BadRequest, match="exceeds the maximum"):
        bucket.blob("b").compose([source] * 33)
    with pytest.raises(exceptions.NotFound):
        bucket.blob("b").compose([source, bucket.blob("not-there")])
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("b").compose([source], if_source_generation_match=[1])
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("b").compose([source], if_generation_match=7)
    bucket.blob("b").compose([source] * 32, if_source_generation_match=[source.generation] * 32)


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_moved_object_is_at_its_new_place_alone(http: httpx.Client, bucket: Any, size: int) -> None:
    content = os.urandom(size)
    put(bucket, "a/b", content)
    answer = http.post(f"/storage/v1/b/{bucket.name}/o/a%2Fb/moveTo/o/c%2Fd", json={})
    assert (answer.status_code, answer.json()["name"]) == (200, "c/d")
    assert names(bucket.list_blobs()) == ["c/d"]
    assert bucket.blob("c/d").download_as_bytes() == content
    again = http.post(f"/storage/v1/b/{bucket.name}/o/a%2Fb/moveTo/o/c%2Fd", json={})
    assert reason(again)[:2] == (404, "notFound")
    onto_itself = http.post(f"/storage/v1/b/{bucket.name}/o/c%2Fd/moveTo/o/c%2Fd", json={})
    assert onto_itself.status_code == 400 and bucket.get_blob("c/d") is not None
