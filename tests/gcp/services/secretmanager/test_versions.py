"""Versions: added, read, disabled, destroyed, and what is told of it."""

from __future__ import annotations

import asyncio
import datetime
import json
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.cloud import secretmanager

from tests.support.google_services import PROJECT, Secrets, client

if TYPE_CHECKING:
    from tests.support.cloud import Cloud
    from tests.support.google import PubSub

_STATES = secretmanager.SecretVersion.State


def test_versions_count_from_one_and_latest_is_the_newest(each_wire: Secrets) -> None:
    made = each_wire.create()
    first, second = each_wire.add(made, b"one"), each_wire.add(made, b"two")
    assert (first.name, second.name) == (f"{made.name}/versions/1", f"{made.name}/versions/2")
    assert first.state == _STATES.ENABLED and "automatic" in first.replication_status
    assert (each_wire.value(made), each_wire.value(made, 1)) == (b"two", b"one")
    newest_first = [one.name for one in each_wire.client.list_secret_versions(parent=made.name)]
    assert newest_first == [second.name, first.name]


def test_a_payload_comes_with_its_checksum_and_a_wrong_one_is_refused(each_wire: Secrets) -> None:
    made = each_wire.create()
    assert each_wire.add(made, b"123456789", data_crc32c=0xE3069283).client_specified_payload_checksum
    answer = each_wire.client.access_secret_version(name=f"{made.name}/versions/latest")
    assert answer.payload.data_crc32c == 0xE3069283
    with pytest.raises(exceptions.BadRequest, match="does not match calculated crc32c"):
        each_wire.add(made, b"123456789", data_crc32c=1)


def test_a_payload_is_neither_empty_nor_larger_than_64_kib(secrets: Secrets) -> None:
    made = secrets.create()
    with pytest.raises(exceptions.InvalidArgument, match=r"Secret Payload cannot be empty\."):
        secrets.add(made, b"")
    with pytest.raises(exceptions.InvalidArgument, match="too large"):
        secrets.add(made, b"x" * 65_537)
    secrets.add(made, b"x" * 65_536)
    assert len(secrets.value(made)) == 65_536


def test_a_value_never_stands_in_the_log(cloud: Cloud, secrets: Secrets) -> None:
    made = secrets.create()
    secrets.add(made, b"correct horse battery staple")
    assert secrets.value(made) == b"correct horse battery staple"
    assert "correct horse" not in cloud.log.getvalue()


def test_a_disabled_version_is_not_read_until_it_is_enabled_again(each_wire: Secrets) -> None:
    made = each_wire.create()
    version = each_wire.add(made, b"one")
    disabled = each_wire.client.disable_secret_version(request={"name": version.name, "etag": version.etag})
    assert disabled.state == _STATES.DISABLED and disabled.etag != version.etag
    with pytest.raises(exceptions.BadRequest, match=r"Secret Version \[.*/versions/1\] is in DISABLED state\."):
        each_wire.value(made)
    each_wire.client.enable_secret_version(name=version.name)
    assert each_wire.value(made) == b"one"


def test_a_destroyed_version_stays_destroyed(each_wire: Secrets) -> None:
    made = each_wire.create()
    version = each_wire.add(made)
    destroyed = each_wire.client.destroy_secret_version(name=version.name)
    assert destroyed.state == _STATES.DESTROYED and destroyed.destroy_time is not None
    with pytest.raises(exceptions.BadRequest, match="is in DESTROYED state"):
        each_wire.value(made)
    calls: list[Any] = [each_wire.client.enable_secret_version, each_wire.client.destroy_secret_version]
    for call in calls:
        with pytest.raises(exceptions.BadRequest, match=r"SecretVersion\.state is already DESTROYED"):
            call(name=version.name)


def test_a_version_that_is_not_there_is_not_found(each_wire: Secrets) -> None:
    made = each_wire.create()
    with pytest.raises(exceptions.NotFound, match=r"not found or has no versions\."):
        each_wire.value(made)
    each_wire.add(made)
    with pytest.raises(exceptions.NotFound, match=rf"Secret Version \[{made.name}/versions/7\] not found\."):
        each_wire.value(made, 7)
    with pytest.raises(exceptions.NotFound, match=r"has no alias \[prod\]"):
        each_wire.value(made, "prod")


def test_an_alias_leads_to_a_version_for_reading_only(each_wire: Secrets) -> None:
    made = each_wire.create()
    each_wire.add(made, b"one")
    each_wire.add(made, b"two")
    each_wire.update(made, version_aliases={"prod": 1})
    assert each_wire.value(made, "prod") == b"one"
    for version in ("prod", "latest"):
        with pytest.raises(exceptions.BadRequest, match="does not match the expected format"):
            each_wire.client.destroy_secret_version(name=f"{made.name}/versions/{version}")
    with pytest.raises(exceptions.BadRequest, match="Aliases cannot be assigned to versions that don't exist"):
        each_wire.update(made, version_aliases={"next": 3})


def test_a_delayed_destruction_can_be_called_off_until_it_is_due(cloud: Cloud, secrets: Secrets) -> None:
    made = secrets.create(version_destroy_ttl=datetime.timedelta(days=1))
    kept, gone = secrets.add(made, b"kept"), secrets.add(made, b"gone")
    for version in (kept, gone):
        scheduled = secrets.client.destroy_secret_version(name=version.name)
        assert scheduled.state == _STATES.DISABLED
        assert scheduled.scheduled_destroy_time.isoformat() == "2027-01-16T08:00:00+00:00"
    with pytest.raises(exceptions.FailedPrecondition, match="already scheduled for DESTRUCTION"):
        secrets.client.destroy_secret_version(name=gone.name)
    secrets.client.enable_secret_version(name=kept.name)
    cloud.advance(seconds=86_401)
    assert secrets.value(made, 1) == b"kept"
    assert secrets.client.get_secret_version(name=gone.name).state == _STATES.DESTROYED


def test_a_filter_finds_versions_by_their_state(secrets: Secrets) -> None:
    made = secrets.create()
    for value in (b"one", b"two"):
        secrets.add(made, value)
    secrets.client.disable_secret_version(name=f"{made.name}/versions/1")
    found = secrets.client.list_secret_versions(request={"parent": made.name, "filter": "state:ENABLED"})
    assert [one.name for one in found] == [f"{made.name}/versions/2"]


def test_each_change_is_published_to_the_secrets_topics(secrets: Secrets, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    made = secrets.create(topics=[{"name": topic}])
    secrets.add(made)
    secrets.client.delete_secret(name=made.name)
    told = [one.message for one in pubsub.pull(reader)]
    assert [dict(message.attributes)["eventType"] for message in told] == [
        "TOPIC_CONFIGURED", "SECRET_CREATE", "SECRET_VERSION_ADD", "SECRET_DELETE",
    ]  # fmt: skip
    assert told[0].data == b"" and dict(told[0].attributes) == {"eventType": "TOPIC_CONFIGURED"}
    assert told[2].attributes["secretId"] == made.name
    assert told[2].attributes["versionId"] == f"{made.name}/versions/1"
    assert told[2].attributes["dataFormat"] == "JSON_API_V1"
    assert json.loads(told[2].data)["state"] == "ENABLED" and b"hunter2" not in told[2].data
    assert told[3].attributes["deleteType"] == "REQUESTED"


def test_a_topic_that_is_not_there_cannot_be_set(secrets: Secrets) -> None:
    with pytest.raises(exceptions.NotFound, match=r"Topic \[projects/p/topics/none\] not found\."):
        secrets.create(topics=[{"name": "projects/p/topics/none"}])
    with pytest.raises(exceptions.NotFound, match=r"Secret \["):
        secrets.client.get_secret(name=f"projects/{PROJECT}/secrets/password")


def test_a_rotation_is_announced_when_it_is_due_and_planned_again(
    cloud: Cloud, secrets: Secrets, pubsub: PubSub
) -> None:
    topic = pubsub.topic()
    reader = pubsub.subscription(topic)
    next_time = datetime.datetime(2027, 1, 16, 8, tzinfo=datetime.UTC)
    rotation = {"next_rotation_time": next_time, "rotation_period": datetime.timedelta(days=1)}
    made = secrets.create(topics=[{"name": topic}], rotation=rotation)
    for message in pubsub.pull(reader):
        pubsub.acknowledge(reader, message)
    cloud.advance(seconds=86_400)
    (told,) = pubsub.pull(reader)
    assert told.message.attributes["eventType"] == "SECRET_ROTATE"
    again = secrets.client.get_secret(name=made.name).rotation.next_rotation_time
    assert again == next_time + datetime.timedelta(days=1)


def test_secrets_outlive_a_restart_and_what_is_planned_for_them_too(cloud: Cloud, secrets: Secrets) -> None:
    made = secrets.create(ttl=datetime.timedelta(hours=1))
    secrets.add(made, b"kept")
    cloud.restart()
    again = Secrets(cloud.server.port)
    assert again.value(made) == b"kept"
    cloud.advance(seconds=3601)
    with pytest.raises(exceptions.NotFound):
        again.value(made)


def test_the_asyncio_client_reads_a_secret(cloud: Cloud, secrets: Secrets) -> None:
    made = secrets.create()
    secrets.add(made)

    async def read() -> bytes:
        asking = client(secretmanager.SecretManagerServiceAsyncClient, cloud.server.port, "grpc_asyncio")
        answer = await asking.access_secret_version(name=f"{made.name}/versions/latest")
        await asking.transport.close()
        return bytes(answer.payload.data)

    assert asyncio.run(read()) == b"hunter2"
