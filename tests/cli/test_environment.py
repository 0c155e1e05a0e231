"""What tools are told so that they find this cloud."""

from __future__ import annotations

from pathlib import Path

from fogbank.cli.support.environment import redirected


def test_googles_clients_are_told_host_and_port_by_the_emulators_variables() -> None:
    variables = redirected("http://127.0.0.1:4566", "us-east-1", {}, Path())
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert variables["PUBSUB_EMULATOR_HOST"] == variables["FIRESTORE_EMULATOR_HOST"] == "127.0.0.1:4566"
    assert variables["STORAGE_EMULATOR_HOST"] == "http://127.0.0.1:4566"


def test_googles_clients_are_told_one_project_unless_the_person_has_named_one() -> None:
    assert redirected("http://127.0.0.1:4566", "us-east-1", {}, Path())["GOOGLE_CLOUD_PROJECT"] == "fogbank"
    named = redirected("http://127.0.0.1:4566", "us-east-1", {"GOOGLE_CLOUD_PROJECT": "my-shop"}, Path())
    assert named["GOOGLE_CLOUD_PROJECT"] == "my-shop"
