"""Databases by the published admin client; and the Write stream, which only apps on phones use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud.firestore_admin_v1.types import CreateDatabaseRequest, Database, DeleteDatabaseRequest

from fogbank.gcp.protocol.descriptors import methods
from fogbank.gcp.services.firestore import messages
from fogbank.kernel.store import within
from tests.gcp.services.firestore.conftest import DATABASE, ROOT, client

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


def test_a_database_is_made_listed_and_deleted(cloud: Cloud, admin: Any, db: Any) -> None:
    db.document("c/a").set({})  # The default one is there from its first write on.
    database = Database(location_id="eur3", type_="FIRESTORE_NATIVE")
    made = admin.create_database(
        CreateDatabaseRequest(parent="projects/p", database=database, database_id="second")
    ).result()
    assert (made.name, made.location_id) == ("projects/p/databases/second", "eur3")
    assert [each.name for each in admin.list_databases(parent="projects/p").databases] == [DATABASE, made.name]
    with pytest.raises(exceptions.AlreadyExists):
        admin.create_database(CreateDatabaseRequest(parent="projects/p", database=database, database_id="second"))
    with pytest.raises(exceptions.InvalidArgument):
        admin.create_database(CreateDatabaseRequest(parent="projects/p", database=database, database_id="No"))
    second = client(cloud, "second")
    before = second.document("c/a").set({}).update_time
    admin.delete_database(DeleteDatabaseRequest(name=made.name)).result()
    with pytest.raises(exceptions.NotFound):
        admin.get_database(name=made.name)
    assert not second.document("c/a").get().exists
    assert second.document("c/a").set({}).update_time > before
    assert db.document("c/a").get().exists


def test_test_suites_empty_a_database_as_they_empty_the_emulators(cloud: Cloud, db: Any) -> None:
    writer = db.bulk_writer()
    for number in range(600):
        writer.set(db.document(f"c/{number}/d/x"), {"n": number})
    writer.close()
    assert httpx.delete(f"{cloud.url}/emulator/v1/{ROOT}").status_code == 200
    assert list(db.collection_group("d").stream()) == []
    assert list(db.collections()) == []


def test_a_write_stream_acknowledges_each_commit(cloud: Cloud, db: Any) -> None:
    method = methods("google.firestore.v1.Firestore")["Write"]
    write = messages.Write(update=messages.Document(name=f"{ROOT}/c/a"))
    write.update.fields["n"].integer_value = 1
    channel = grpc.insecure_channel(cloud.url.removeprefix("http://"))
    call = channel.stream_stream(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )
    asked = [messages.WriteRequest(database=DATABASE), messages.WriteRequest(writes=[write])]
    opened, done = call(iter(asked))
    assert opened.stream_id
    assert done.stream_token != opened.stream_token
    assert len(done.write_results) == 1
    assert db.document("c/a").get().get("n") == 1
    with pytest.raises(grpc.RpcError) as refused:
        list(call(iter([messages.WriteRequest(database=DATABASE, writes=[write])])))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_nobody_can_ask_for_any_more_is_forgotten(cloud: Cloud, db: Any) -> None:
    for number in range(3):
        db.document("c/a").set({"n": number})
    db.document("c/b").set({})
    db.document("c/b").delete()
    transaction = db.transaction()
    transaction._begin()
    db.document("c/a").get(transaction=transaction)

    def count(tx: Any) -> list[int]:
        families = [
            ("doc-past",),
            ("doc-log",),
            ("doc",),
            ("firestore", "transaction"),
            ("firestore", "transaction-read"),
        ]
        return [tx.count(*within(*family)) for family in families]

    assert cloud.run(cloud.server.store.transact(count)) == [5, 5, 1, 1, 1]
    cloud.advance(seconds=3600 + 120)
    assert cloud.run(cloud.server.store.transact(count)) == [0, 0, 1, 0, 0]
    assert db.document("c/a").get().get("n") == 2
