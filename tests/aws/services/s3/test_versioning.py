"""Versions of objects. S3 User Guide, "Retaining multiple versions of objects with S3 Versioning"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from fogbank.aws.services.s3 import state
from fogbank.aws.services.s3.state import Bucket, Object
from tests.support.stores import StoreMachine, on_every_driver

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

BUCKET = "versions"


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def switch(s3: Any, status: str) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": status})


def put(s3: Any, body: bytes, key: str = "k") -> str | None:
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body).get("VersionId")


def read(s3: Any, **more: Any) -> bytes:
    return bytes(s3.get_object(Bucket=BUCKET, Key="k", **more)["Body"].read())


def refusal(call: Any, **parameters: Any) -> tuple[str, int, dict[str, str]]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return (
        answer["Error"]["Code"],
        answer["ResponseMetadata"]["HTTPStatusCode"],
        answer["ResponseMetadata"]["HTTPHeaders"],
    )


def test_every_put_is_a_version_and_each_can_be_read(cloud: Cloud, s3: Any) -> None:
    assert put(s3, b"before") is None
    switch(s3, "Enabled")
    large = b"x" * 100_000
    one, two = put(s3, b"one"), put(s3, large)
    cloud.restart()
    s3 = cloud.client("s3")
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert read(s3) == read(s3, VersionId=two) == large
    assert read(s3, VersionId=one) == b"one"
    assert read(s3, VersionId="null") == b"before"
    assert refusal(s3.get_object, Bucket=BUCKET, Key="k", VersionId="other")[:2] == ("NoSuchVersion", 404)


def test_a_delete_hides_the_object_until_its_marker_is_deleted(s3: Any) -> None:
    switch(s3, "Enabled")
    version = put(s3, b"kept")
    gone = s3.delete_object(Bucket=BUCKET, Key="k")
    assert gone["DeleteMarker"] is True
    code, status, headers = refusal(s3.get_object, Bucket=BUCKET, Key="k")
    assert (code, status, headers["x-amz-delete-marker"]) == ("NoSuchKey", 404, "true")
    assert headers["x-amz-version-id"] == gone["VersionId"]
    assert refusal(s3.get_object, Bucket=BUCKET, Key="k", VersionId=gone["VersionId"])[:2] == ("MethodNotAllowed", 405)
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    assert read(s3, VersionId=version) == b"kept"
    undone = s3.delete_object(Bucket=BUCKET, Key="k", VersionId=gone["VersionId"])
    assert undone["DeleteMarker"] is True
    assert read(s3) == b"kept"


def test_deleting_the_newest_version_brings_the_one_before_back(s3: Any) -> None:
    switch(s3, "Enabled")
    put(s3, b"one")
    two = put(s3, b"two")
    s3.delete_object(Bucket=BUCKET, Key="k", VersionId=two)
    assert read(s3) == b"one"


def test_while_suspended_there_is_one_null_version_and_the_others_stay(s3: Any) -> None:
    switch(s3, "Enabled")
    kept = put(s3, b"kept")
    switch(s3, "Suspended")
    assert put(s3, b"null 1") == "null"
    assert put(s3, b"null 2") == "null"
    assert read(s3) == read(s3, VersionId="null") == b"null 2"
    assert read(s3, VersionId=kept) == b"kept"
    assert s3.delete_object(Bucket=BUCKET, Key="k")["VersionId"] == "null"
    listed = s3.list_object_versions(Bucket=BUCKET)
    assert [one["VersionId"] for one in listed["Versions"]] == [kept]
    assert [one["VersionId"] for one in listed["DeleteMarkers"]] == ["null"]


def test_versions_are_listed_newest_first_in_pages(s3: Any) -> None:
    switch(s3, "Enabled")
    expected = []
    for key in ("a/1", "a/2", "b"):
        versions = [put(s3, body, key) for body in (b"1", b"22", b"333")]
        expected += [(key, version) for version in reversed(versions)]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 2})
    listed = [one for page in pages for one in page.get("Versions", [])]
    assert [(one["Key"], one["VersionId"]) for one in listed] == expected
    assert [one["IsLatest"] for one in listed] == [True, False, False] * 3
    rolled = s3.list_object_versions(Bucket=BUCKET, Delimiter="/")
    assert [one["Prefix"] for one in rolled["CommonPrefixes"]] == ["a/"]


def test_many_versions_go_in_one_request_and_then_the_bucket_may(cloud: Cloud, s3: Any) -> None:
    switch(s3, "Enabled")
    put(s3, b"x" * 100_000)
    put(s3, b"y" * 100_000)
    s3.delete_object(Bucket=BUCKET, Key="k")
    assert refusal(s3.delete_bucket, Bucket=BUCKET)[:2] == ("BucketNotEmpty", 409)
    listed = s3.list_object_versions(Bucket=BUCKET)
    all_of_them = [
        {"Key": one["Key"], "VersionId": one["VersionId"]} for one in listed["Versions"] + listed["DeleteMarkers"]
    ]
    gone = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": all_of_them})["Deleted"]
    assert len(gone) == 3
    assert not any(path.is_file() for path in cloud.config.blobs_dir.rglob("*"))
    s3.delete_bucket(Bucket=BUCKET)


def test_a_copy_may_be_made_of_an_old_version(s3: Any) -> None:
    switch(s3, "Enabled")
    old = put(s3, b"old")
    put(s3, b"new")
    copied = s3.copy_object(Bucket=BUCKET, Key="k", CopySource={"Bucket": BUCKET, "Key": "k", "VersionId": old})
    assert copied["CopySourceVersionId"] == old
    assert read(s3) == b"old"


def test_tags_belong_to_a_version(s3: Any) -> None:
    switch(s3, "Enabled")
    old = put(s3, b"old")
    put(s3, b"new")
    tags = [{"Key": "colour", "Value": "blue"}]
    s3.put_object_tagging(Bucket=BUCKET, Key="k", VersionId=old, Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=BUCKET, Key="k", VersionId=old)["TagSet"] == tags
    assert s3.get_object_tagging(Bucket=BUCKET, Key="k")["TagSet"] == []
    assert s3.head_object(Bucket=BUCKET, Key="k", VersionId=old)["TagCount"] == 1
    s3.delete_object_tagging(Bucket=BUCKET, Key="k", VersionId=old)
    assert s3.get_object_tagging(Bucket=BUCKET, Key="k", VersionId=old)["TagSet"] == []


class AKey(StoreMachine):
    """Whatever is put, deleted and switched: a list with the newest first, and no blob is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket, self.number = Bucket("b", "0" * 12, "r", 0), 0
        self.model: list[tuple[str, str]] = []  # (version, blob or "marker"), newest first.
        self.blobs: set[str] = set()

    def _next(self) -> str:
        self.number += 1
        return f"{self.number:06}"

    def _settle(self, loose: list[str]) -> None:
        for blob in loose:
            self.blobs.remove(blob)

    @rule(status=st.sampled_from([state.ENABLED, state.SUSPENDED]))
    def switch(self, status: str) -> None:
        self.bucket = Bucket("b", "0" * 12, "r", 0, {"versioning": status})

    def _newest(self, version: str, what: str) -> None:
        self.model = [(version, what), *(one for one in self.model if one[0] != version)]

    @rule()
    def put(self) -> None:
        new_id = self._next()
        self.blobs.add(new_id)
        kept, loose = self.transact(state.put, self.bucket, Object("k", "", 1, 0, {}, {}, blob=new_id), new_id)
        self._newest(kept.version, new_id)
        self._settle(loose)

    @rule()
    def delete(self) -> None:
        marker, loose = self.transact(state.delete, self.bucket, "k", 0, self._next())
        if marker is None:
            self.model = []
        else:
            self._newest(marker.version, "marker")
        self._settle(loose)

    @rule(data=st.data())
    def delete_a_version(self, data: st.DataObject) -> None:
        if self.model:
            version = data.draw(st.sampled_from([version for version, _ in self.model]))
            _, loose = self.transact(state.delete_version, self.bucket, "k", version)
            self.model = [one for one in self.model if one[0] != version]
            self._settle(loose)

    @invariant()
    def the_versions_are_the_models(self) -> None:
        found = self.transact(lambda tx: list(state.versions(tx, "b", "k")))
        assert [(one.version, "marker" if one.marker else one.blob) for one in found] == self.model

    @invariant()
    def no_blob_is_forgotten(self) -> None:
        assert self.blobs == {what for _, what in self.model if what != "marker"}


test_versions_are_a_list_with_the_newest_first = on_every_driver(AKey)
