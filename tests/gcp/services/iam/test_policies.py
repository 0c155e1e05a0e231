"""Policies of Pub/Sub's resources, as its own clients and REST callers set them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from google.api_core import exceptions

if TYPE_CHECKING:
    from tests.support.cloud import Cloud
    from tests.support.google import PubSub

BINDING = {"role": "roles/pubsub.publisher", "members": ["allUsers"]}


def test_a_policy_is_kept_until_another_is_set(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    empty = pubsub.publisher.get_iam_policy(request={"resource": topic})
    assert (empty.etag, list(empty.bindings)) == (b"\x00\x20\x01", [])
    policy = pubsub.publisher.set_iam_policy(request={"resource": topic, "policy": {"bindings": [BINDING]}})
    found = pubsub.publisher.get_iam_policy(request={"resource": topic})
    assert found == policy and list(found.bindings[0].members) == ["allUsers"]
    asked = ["pubsub.topics.publish"]
    tested = pubsub.publisher.test_iam_permissions(request={"resource": topic, "permissions": asked})
    assert list(tested.permissions) == asked


def test_of_two_that_change_a_policy_at_once_the_second_is_told(pubsub: PubSub) -> None:
    reader = pubsub.subscription(pubsub.topic())
    old = pubsub.subscriber.get_iam_policy(request={"resource": reader})
    changed = {"resource": reader, "policy": {"bindings": [BINDING], "etag": old.etag}}
    pubsub.subscriber.set_iam_policy(request=changed)
    with pytest.raises(exceptions.Aborted, match="concurrent policy changes"):
        pubsub.subscriber.set_iam_policy(request=changed)


def test_a_resource_must_be_there_and_has_no_policy_when_it_is_made_again(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    pubsub.publisher.set_iam_policy(request={"resource": topic, "policy": {"bindings": [BINDING]}})
    pubsub.publisher.delete_topic(request={"topic": topic})
    with pytest.raises(exceptions.NotFound, match=r"\(resource=news\)"):
        pubsub.publisher.get_iam_policy(request={"resource": topic})
    pubsub.topic()
    assert not pubsub.publisher.get_iam_policy(request={"resource": topic}).bindings
    with pytest.raises(exceptions.MethodNotImplemented, match="projects/p/instances/i"):
        pubsub.publisher.get_iam_policy(request={"resource": "projects/p/instances/i"})


def test_a_policy_that_is_none_is_refused(pubsub: PubSub) -> None:
    topic = pubsub.topic()
    for policy in ({"version": 2}, {"bindings": [{"role": "publisher"}]}):
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.publisher.set_iam_policy(request={"resource": topic, "policy": policy})


def test_rest_reads_with_get_and_sets_with_post(cloud: Cloud, pubsub: PubSub) -> None:
    topic = pubsub.topic()
    url = f"{cloud.url}/v1/{topic}"
    given = httpx.post(f"{url}:setIamPolicy", json={"policy": {"bindings": [BINDING]}}).json()
    assert given["bindings"] == [BINDING] and given["version"] == 1
    assert httpx.get(f"{url}:getIamPolicy", params={"options.requestedPolicyVersion": 3}).json() == given
