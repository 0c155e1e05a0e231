"""Time to live ("TTL policies"), by the published admin client: documents go when the cloud's clock says so."""

from __future__ import annotations

import datetime
import queue
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud.firestore_admin_v1.types import Field
from google.protobuf import duration_pb2, field_mask_pb2

from fogbank.gcp.services.firestore import ttl
from fogbank.kernel.store import within
from tests.gcp.services.firestore.conftest import DATABASE, client
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

GROUP = f"{DATABASE}/collectionGroups/sessions"
HOUR_S = 3600


def set_policy(admin: Any, field: str = "ends", **config: Any) -> Any:
    given = Field(name=f"{GROUP}/fields/{field}", ttl_config=Field.TtlConfig(**config))
    return admin.update_field(request={"field": given, "update_mask": field_mask_pb2.FieldMask(paths=["ttl_config"])})


def remove_policy(admin: Any, field: str = "ends") -> None:
    mask = field_mask_pb2.FieldMask(paths=["ttl_config"])
    admin.update_field(request={"field": Field(name=f"{GROUP}/fields/{field}"), "update_mask": mask}).result()


def later(cloud: Cloud, seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(cloud.clock.now_ms() / 1000 + seconds, datetime.UTC)


def names(db: Any) -> set[str]:
    return {each.id for each in db.collection_group("sessions").stream()}


def test_documents_of_the_whole_group_go_when_their_moment_has_come(cloud: Cloud, admin: Any, db: Any) -> None:
    assert set_policy(admin).result().ttl_config.state == Field.TtlConfig.State.ACTIVE
    db.document("sessions/soon").set({"ends": later(cloud, HOUR_S)})
    db.document("users/ada/sessions/below").set({"ends": later(cloud, HOUR_S)})
    db.document("sessions/moved").set({"ends": later(cloud, HOUR_S)})
    db.document("sessions/moved").update({"ends": later(cloud, 3 * HOUR_S)})
    db.document("others/soon").set({"ends": later(cloud, HOUR_S)})
    cloud.advance(seconds=HOUR_S - 1)
    assert names(db) == {"soon", "below", "moved"}
    cloud.advance(seconds=1)
    eventually(lambda: names(db) == {"moved"})
    assert db.document("others/soon").get().exists
    cloud.advance(seconds=2 * HOUR_S)
    eventually(lambda: names(db) == set())


def test_only_a_timestamp_in_the_field_ends_a_document_and_what_is_below_it_stays(
    cloud: Cloud, admin: Any, db: Any
) -> None:
    """ "Using any other data type or leaving the field absent will disable expiration"; "does not delete
    subcollections"."""
    set_policy(admin, "when.ends").result()
    db.document("sessions/text").set({"when": {"ends": "2001-01-01T00:00:00Z"}})
    db.document("sessions/nothing").set({"ends": later(cloud, 1)})
    db.document("sessions/list").set({"when": {"ends": [later(cloud, 1)]}})
    db.document("sessions/dated").set({"when": {"ends": later(cloud, 1)}})
    db.document("sessions/dated/notes/one").set({})
    cloud.advance(seconds=2)
    eventually(lambda: names(db) == {"text", "nothing", "list"})
    assert db.document("sessions/dated/notes/one").get().exists


def test_what_was_there_before_its_policy_goes_too_and_stays_once_the_policy_is_taken_away(
    cloud: Cloud, admin: Any, db: Any
) -> None:
    writer = db.bulk_writer()
    for number in range(450):  # More than are entered at once.
        writer.set(db.document(f"sessions/{number:03}"), {"ends": later(cloud, HOUR_S)})
    writer.set(db.document("sessions/past"), {"ends": later(cloud, -HOUR_S)})
    writer.close()
    set_policy(admin).result()
    eventually(lambda: not db.document("sessions/past").get().exists)
    assert len(names(db)) == 450
    cloud.advance(seconds=HOUR_S)
    eventually(lambda: names(db) == set())
    db.document("sessions/kept").set({"ends": later(cloud, HOUR_S)})
    remove_policy(admin)
    cloud.advance(seconds=2 * HOUR_S)
    eventually(lambda: not cloud.run(cloud.server.house.store.transact(notes)))
    assert names(db) == {"kept"}


def notes(tx: Any) -> list[Any]:
    return [key for key, _ in tx.scan(*within("firestore", "ttl-due"))] + ttl.GONE.all(tx)


def test_an_offset_is_added_to_the_moment_in_the_field(cloud: Cloud, admin: Any, db: Any) -> None:
    set_policy(admin, expiration_offset=duration_pb2.Duration(seconds=HOUR_S)).result()
    db.document("sessions/a").set({"ends": later(cloud, 0)})
    cloud.advance(seconds=HOUR_S - 1)
    assert names(db) == {"a"}
    cloud.advance(seconds=1)
    eventually(lambda: names(db) == set())


def test_a_listener_sees_them_go(cloud: Cloud, admin: Any, db: Any) -> None:
    set_policy(admin).result()
    db.document("sessions/a").set({"ends": later(cloud, HOUR_S)})
    seen: queue.Queue[list[str]] = queue.Queue()
    watch = db.collection("sessions").on_snapshot(lambda _, changes, __: seen.put([one.type.name for one in changes]))
    try:
        assert seen.get(timeout=60) == ["ADDED"]
        cloud.advance(seconds=HOUR_S)
        assert seen.get(timeout=60) == ["REMOVED"]
    finally:
        watch.unsubscribe()


def test_a_policy_survives_a_restart(cloud: Cloud, admin: Any, db: Any) -> None:
    set_policy(admin).result()
    db.document("sessions/a").set({"ends": later(cloud, HOUR_S)})
    cloud.restart()
    cloud.advance(seconds=HOUR_S)
    again = client(cloud)
    eventually(lambda: names(again) == set())


def test_a_group_has_one_such_field_and_a_policy_is_of_no_group_in_general(admin: Any, db: Any) -> None:
    """ "Only one field per collection group can be marked as a TTL field"."""
    db.document("sessions/a").set({})
    set_policy(admin).result()
    assert set_policy(admin).result().ttl_config.state == Field.TtlConfig.State.ACTIVE  # The same again is no error.
    with pytest.raises(exceptions.FailedPrecondition, match="Only one field of a collection group"):
        set_policy(admin, "other")
    with pytest.raises(exceptions.InvalidArgument):
        set_policy(admin, "*")
    with pytest.raises(exceptions.InvalidArgument, match="expiration_offset"):
        set_policy(admin, expiration_offset=duration_pb2.Duration(nanos=1))
    listed = admin.list_fields(request={"parent": f"{DATABASE}/collectionGroups/-", "filter": "ttlConfig:*"})
    assert [each.name for each in listed] == [f"{GROUP}/fields/ends"]
