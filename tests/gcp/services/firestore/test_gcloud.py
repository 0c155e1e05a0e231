"""What people type: `gcloud firestore …`, the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.gcloud import Gcloud, needed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud

pytestmark = needed


def test_databases_indexes_and_times_to_live_by_gcloud(cloud: Cloud, tmp_path: Path) -> None:
    gcloud = Gcloud(cloud.url, tmp_path, "FIRESTORE")
    gcloud("firestore", "databases", "create", "--database=second", "--location=eur3", "--delete-protection")
    protected = gcloud.refused("firestore", "databases", "delete", "--database=second", "--quiet")
    assert "delete protection" in protected
    gcloud("firestore", "fields", "ttls", "update", "ends", "--collection-group=sessions", "--enable-ttl")
    [field] = gcloud("firestore", "fields", "ttls", "list")
    assert field["name"].endswith("/collectionGroups/sessions/fields/ends")
    fields = [f"--field-config=field-path={name},order=ascending" for name in "ab"]
    gcloud("firestore", "indexes", "composite", "create", "--collection-group=items", *fields)
    [index] = gcloud("firestore", "indexes", "composite", "list")
    assert (index["state"], [each["fieldPath"] for each in index["fields"]]) == ("READY", ["a", "b", "__name__"])
