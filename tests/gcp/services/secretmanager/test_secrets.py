"""Secrets: what they are made with, how they change, who finds them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions

from fogbank.gcp.identity import projects
from tests.support.google_services import LOCATION, PROJECT, Secrets

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

NUMBER = projects.number(PROJECT)
NAME = f"projects/{NUMBER}/secrets/password"


def test_a_secret_is_told_by_its_projects_number_and_found_by_either(each_wire: Secrets) -> None:
    made = each_wire.create(labels={"team": "blue"}, annotations={"owner": "Ann"})
    assert made.name == NAME and made.labels == {"team": "blue"} and made.annotations == {"owner": "Ann"}
    assert made.create_time.isoformat() == "2027-01-15T08:00:00+00:00" and made.etag.startswith('"')
    for project in (PROJECT, NUMBER):
        assert each_wire.client.get_secret(name=f"projects/{project}/secrets/password") == made


def test_a_name_is_used_once(secrets: Secrets) -> None:
    secrets.create()
    with pytest.raises(exceptions.AlreadyExists, match=rf"Secret \[{NAME}\] already exists\."):
        secrets.create()


def test_a_secret_that_is_not_there_is_not_found(each_wire: Secrets) -> None:
    calls: list[Any] = [each_wire.client.get_secret, each_wire.client.delete_secret]
    for call in calls:
        with pytest.raises(exceptions.NotFound, match=rf"Secret \[{NAME}\] not found\."):
            call(name=NAME)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"replication": {}}, r"Secret\.replication must be provided\."),
        ({"labels": {"Team": "x"}}, r'Invalid field "labels"; key "Team" does not conform to regular expression'),
        ({"labels": {"team": "X"}}, r'Invalid field "labels\.team"; value "X" does not conform'),
        ({"labels": {f"k{n}": "" for n in range(65)}}, "at most 64 entries allowed but found 65"),
        ({"annotations": {"a.": "x"}}, r"\[a\.\] must follow pattern"),
        ({"annotations": {"a": "x" * 17_000}}, r"Annotation map must not exceed 16kib\."),
        ({"ttl": datetime.timedelta(seconds=59)}, r"Expiration time must be at least \[1m\] in the future\."),
        ({"version_destroy_ttl": datetime.timedelta(hours=23)}, r"Version destroy TTL must be at least \[24h\]\."),
        ({"version_aliases": {"prod": 1}}, "Aliases cannot be assigned to versions that don't exist"),
        ({"rotation": {"rotation_period": datetime.timedelta(days=1)}}, "There must be at least one topic configured"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(secrets: Secrets, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        secrets.create(**settings)
    assert list(secrets.client.list_secrets(parent=f"projects/{PROJECT}")) == []


def test_keys_of_ones_own_are_refused_by_name(secrets: Secrets) -> None:
    key = {"kms_key_name": "projects/p/locations/global/keyRings/r/cryptoKeys/k"}
    with pytest.raises(exceptions.MethodNotImplemented, match="customer_managed_encryption"):
        secrets.create(replication={"automatic": {"customer_managed_encryption": key}})


def test_an_update_changes_what_its_mask_names(each_wire: Secrets) -> None:
    made = each_wire.create(labels={"team": "blue"}, annotations={"owner": "Ann"})
    changed = each_wire.update(made, labels={"team": "red"})
    assert changed.labels == {"team": "red"} and changed.annotations == {"owner": "Ann"}
    assert changed.etag != made.etag


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (["secret_type"], "Field 'secret_type' is immutable and cannot be updated."),
        (["labels.team"], "Request contains an invalid argument."),
        (["bogus"], "Request contains an invalid argument."),
    ],
)
def test_a_mask_that_names_what_cannot_change_is_refused(secrets: Secrets, paths: list[str], text: str) -> None:
    made = secrets.create()
    with pytest.raises(exceptions.InvalidArgument, match=text):
        secrets.client.update_secret(request={"secret": {"name": made.name}, "update_mask": {"paths": paths}})


def test_who_has_read_an_older_one_changes_and_deletes_nothing(each_wire: Secrets) -> None:
    made = each_wire.create()
    newer = each_wire.update(made, labels={"a": "b"})
    with pytest.raises(exceptions.BadRequest, match="does not match the resource's current etag"):
        each_wire.update(made, labels={}, etag=made.etag)
    with pytest.raises(exceptions.BadRequest, match="does not match the resource's current etag"):
        each_wire.client.delete_secret(request={"name": made.name, "etag": made.etag})
    each_wire.client.delete_secret(request={"name": made.name, "etag": newer.etag})


def test_secrets_are_listed_by_age_the_newest_first_in_pages(cloud: Cloud, each_wire: Secrets) -> None:
    for number in range(5):
        each_wire.create(f"s{number}")
        cloud.advance(seconds=1)
    pages = each_wire.client.list_secrets(request={"parent": f"projects/{PROJECT}", "page_size": 2}).pages
    ids = [[one.name.rpartition("/")[2] for one in page.secrets] for page in pages]
    assert ids == [["s4", "s3"], ["s2", "s1"], ["s0"]]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("labels.team=blue", ["bravo", "alpha"]),
        ("name:bravo OR name:charlie", ["charlie", "bravo"]),
        ("NOT labels.team:*", ["charlie"]),
        ("create_time>2027-01-15T08:00:00Z", ["charlie", "bravo"]),
        ('labels.team="blue" AND -name:alpha', ["bravo"]),
        ("expire_time:*", []),
    ],
)
def test_a_filter_narrows_the_list(cloud: Cloud, secrets: Secrets, text: str, ids: list[str]) -> None:
    secrets.create("alpha", labels={"team": "blue"})
    cloud.advance(seconds=1)
    secrets.create("bravo", labels={"team": "blue"})
    cloud.advance(seconds=1)
    secrets.create("charlie")
    found = secrets.client.list_secrets(request={"parent": f"projects/{PROJECT}", "filter": text})
    assert [one.name.rpartition("/")[2] for one in found] == ids


def test_a_filter_that_cannot_be_read_is_refused(secrets: Secrets) -> None:
    for text, told in (("labels.team=", "Unparseable filter: syntax error"), ("colour=red", "Field not found")):
        with pytest.raises(exceptions.InvalidArgument, match=told):
            secrets.client.list_secrets(request={"parent": f"projects/{PROJECT}", "filter": text})


def test_a_region_has_secrets_of_its_own(each_wire: Secrets) -> None:
    regional = each_wire.create(parent=LOCATION)
    assert regional.name == f"projects/{NUMBER}/locations/us-central1/secrets/password"
    each_wire.add(regional, b"here")
    assert each_wire.value(regional) == b"here"
    assert list(each_wire.client.list_secrets(parent=f"projects/{PROJECT}")) == []
    with pytest.raises(exceptions.BadRequest, match=r"Secret\.replication should not be provided\."):
        each_wire.create("other", parent=LOCATION, replication={"automatic": {}})


def test_a_secret_expires_with_all_its_versions(cloud: Cloud, secrets: Secrets) -> None:
    made = secrets.create(ttl=datetime.timedelta(hours=1))
    assert made.expire_time.isoformat() == "2027-01-15T09:00:00+00:00"
    secrets.add(made)
    cloud.advance(seconds=3601)
    with pytest.raises(exceptions.NotFound):
        secrets.client.get_secret(name=made.name)
    secrets.create()
    with pytest.raises(exceptions.NotFound, match="not found or has no versions"):
        secrets.value(made)


def test_a_secrets_policy_goes_with_it(each_wire: Secrets) -> None:
    made = each_wire.create()
    policy = {"bindings": [{"role": "roles/secretmanager.secretAccessor", "members": ["user:ann@example.com"]}]}
    each_wire.client.set_iam_policy(request={"resource": made.name, "policy": policy})
    other_name = f"projects/{PROJECT}/secrets/password"
    kept = each_wire.client.get_iam_policy(request={"resource": other_name})
    assert kept.bindings[0].members == ["user:ann@example.com"]
    each_wire.client.delete_secret(name=made.name)
    with pytest.raises(exceptions.NotFound):
        each_wire.client.get_iam_policy(request={"resource": other_name})
    each_wire.create()
    assert not each_wire.client.get_iam_policy(request={"resource": other_name}).bindings
