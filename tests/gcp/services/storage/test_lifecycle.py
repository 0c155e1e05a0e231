"""Lifecycle rules, applied as the clock goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fogbank.gcp.services.storage import lifecycle
from fogbank.gcp.services.storage.state import Object
from tests.gcp.services.storage.conftest import client_of, names, put, reason

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

DAY_S, DAY_MS = 86_400, 86_400_000
NOW_MS = 1_800_000_000_000


def _row(**facts: Any) -> Object:
    usual: dict[str, Any] = {
        "created_ms": NOW_MS - 10 * DAY_MS,
        "updated_ms": 0,
        "class_ms": 0,
        "storage_class": "STANDARD",
    }
    return Object(**{"name": "logs/a.txt", "generation": 1, "size": 1, "crc32c": 0, **usual, **facts})


@pytest.mark.parametrize(
    ("condition", "facts", "newer", "holds"),
    [
        ({"age": 10}, {}, 0, True),
        ({"age": 11}, {}, 0, False),
        ({"age": 0}, {"created_ms": NOW_MS}, 0, True),
        ({"createdBefore": "2027-01-15"}, {}, 0, True),
        ({"createdBefore": "2027-01-05"}, {}, 0, False),
        ({"isLive": True}, {}, 0, True),
        ({"isLive": False}, {}, 0, False),
        ({"isLive": False}, {"gone_ms": NOW_MS}, 1, True),
        ({"numNewerVersions": 2}, {}, 2, True),
        ({"numNewerVersions": 2}, {}, 1, False),
        ({"matchesPrefix": ["x/", "logs/"]}, {}, 0, True),
        ({"matchesPrefix": ["x/"]}, {}, 0, False),
        ({"matchesSuffix": [".txt"]}, {}, 0, True),
        ({"matchesStorageClass": ["NEARLINE"]}, {}, 0, False),
        ({"daysSinceNoncurrentTime": 1}, {"gone_ms": NOW_MS - DAY_MS}, 0, True),
        ({"daysSinceNoncurrentTime": 1}, {}, 0, False),
        ({"noncurrentTimeBefore": "2027-01-15"}, {"gone_ms": NOW_MS - DAY_MS}, 0, True),
        ({"daysSinceCustomTime": 1}, {"told": {"customTime": "2027-01-01T00:00:00.000Z"}}, 0, True),
        ({"daysSinceCustomTime": 1}, {}, 0, False),
        ({"customTimeBefore": "2027-01-01"}, {"told": {"customTime": "2027-01-01T00:00:00.000Z"}}, 0, False),
        ({"age": 10, "matchesPrefix": ["x/"]}, {}, 0, False),
    ],
)
def test_a_rule_acts_once_all_of_its_conditions_are_met(
    condition: dict[str, Any], facts: dict[str, Any], newer: int, holds: bool
) -> None:
    rules = [{"action": {"type": "Delete"}, "condition": condition}]
    assert (lifecycle.action(rules, _row(**facts), newer, NOW_MS) == lifecycle.DELETE) is holds


def test_of_several_actions_delete_wins_and_then_the_cheapest_class() -> None:
    rules = [
        {"action": {"type": "SetStorageClass", "storageClass": name}, "condition": {"age": 1}}
        for name in ("COLDLINE", "ARCHIVE", "NEARLINE")
    ]
    assert lifecycle.action(rules, _row(), 0, NOW_MS) == "ARCHIVE"
    assert lifecycle.action(rules, _row(storage_class="ARCHIVE"), 0, NOW_MS) == ""
    rules.append({"action": {"type": "Delete"}, "condition": {"age": 5}})
    assert lifecycle.action(rules, _row(), 0, NOW_MS) == lifecycle.DELETE


def test_objects_change_their_class_and_end_as_they_grow_old(cloud: Cloud) -> None:
    bucket = client_of(cloud).create_bucket("aging")
    bucket.add_lifecycle_set_storage_class_rule("COLDLINE", age=1, matches_prefix=["logs/"])
    bucket.add_lifecycle_delete_rule(age=3, matches_prefix=["logs/"])
    bucket.patch()
    for name in ("logs/a", "kept"):
        put(bucket, name)
    cloud.advance(seconds=DAY_S + 3600)
    assert bucket.get_blob("logs/a").storage_class == "COLDLINE"
    cloud.advance(seconds=2 * DAY_S)
    assert names(bucket.list_blobs()) == ["kept"]


def test_noncurrent_versions_are_thinned_out(cloud: Cloud) -> None:
    gcs = client_of(cloud)
    bucket = gcs.bucket("thinned")
    bucket.versioning_enabled = True
    bucket.add_lifecycle_delete_rule(number_of_newer_versions=2)
    bucket = gcs.create_bucket(bucket)
    generations = [put(bucket, "a", str(at)).generation for at in range(5)]
    cloud.advance(seconds=3600)
    assert [blob.generation for blob in bucket.list_blobs(versions=True)] == generations[-2:]


def test_a_held_object_outlives_its_rule(cloud: Cloud) -> None:
    bucket = client_of(cloud).create_bucket("holding")
    bucket.add_lifecycle_delete_rule(age=1)
    bucket.patch()
    blob = put(bucket, "a")
    blob.temporary_hold = True
    blob.patch()
    cloud.advance(seconds=3 * DAY_S)
    assert names(bucket.list_blobs()) == ["a"]


def test_uploads_in_parts_are_given_up(cloud: Cloud) -> None:
    bucket = client_of(cloud).create_bucket("unfinished")
    bucket.add_lifecycle_abort_incomplete_multipart_upload_rule(age=2)
    bucket.patch()
    with httpx.Client(base_url=cloud.url, headers={"Host": "storage.googleapis.com"}) as xml:
        begun = xml.post(f"/{bucket.name}/a?uploads")
        upload = begun.text.partition("<UploadId>")[2].partition("<")[0]
        where = f"/{bucket.name}/a?uploadId={upload}"
        cloud.advance(seconds=DAY_S)
        assert xml.get(where).status_code == 200
        cloud.advance(seconds=2 * DAY_S)
        assert xml.get(where).status_code == 404


@pytest.mark.parametrize(
    "rule",
    [
        {"action": {"type": "Delete"}, "condition": {}},
        {"action": {"type": "Burn"}, "condition": {"age": 1}},
        {"action": {"type": "SetStorageClass"}, "condition": {"age": 1}},
        {"action": {"type": "Delete"}, "condition": {"age": -1}},
        {"action": {"type": "Delete"}, "condition": {"colour": "blue"}},
        {"action": {"type": "Delete"}, "condition": {"createdBefore": "tomorrow"}},
        {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"isLive": True}},
        "nonsense",
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(cloud: Cloud, rule: Any) -> None:
    client_of(cloud).create_bucket("ruled")
    answer = httpx.patch(f"{cloud.url}/storage/v1/b/ruled", json={"lifecycle": {"rule": [rule]}})
    assert reason(answer)[:2] == (400, "invalid")
