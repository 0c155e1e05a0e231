"""Whose a Runtime API port is: the processes of its instance are answered there, and nobody else of this machine."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.sandbox.users import told_by

if TYPE_CHECKING:
    from fogbank.functions.sandbox.protections import Protections


@pytest.fixture(scope="module", params=["root", "user"])
def found(request: pytest.FixtureRequest, given: Protections) -> dict[str, Any]:
    for name in ("namespaces", "ports"):
        if name not in given.given:
            pytest.skip(given.missing[name])
    return told_by("tests.functions.sandbox.strangers", request.param)


def landlock_version() -> int:
    return ctypes.CDLL(None).syscall(444, None, 0, 1)  # type: ignore[no-any-return]  # landlock(7), "version".


@pytest.mark.parametrize("stranger", ["managed", "custom"])
def test_a_function_that_speaks_at_anothers_port_is_sent_away_without_a_word(
    found: dict[str, Any], stranger: str
) -> None:
    got, _ = found[stranger]
    assert got == dict.fromkeys(got, "closed") and len(got) == 12


def test_whose_port_it_is_goes_on_with_its_event_and_the_next(found: dict[str, Any]) -> None:
    served = [found[stranger][1] for stranger in ("managed", "custom", "crowd")]
    assert [*served, found["victim again"]] == [2, 4, 6, 9], "one instance, each event once"


def test_a_crowd_of_strangers_keeps_nobody_out(found: dict[str, Any]) -> None:
    assert found["crowd"][0] == 200


def test_a_socket_in_the_abstract_namespace_is_closed_to_other_functions(found: dict[str, Any]) -> None:
    if landlock_version() < 6:
        pytest.skip("this kernel's Landlock knows no scopes")
    assert found["abstract"] == "EPERM"


def test_the_log_tells_of_strangers_once_for_each_port(found: dict[str, Any]) -> None:
    assert found["log"].count("a stranger at an instance's port") == 1


def test_all_that_an_instance_has_started_may_speak_for_it(found: dict[str, Any]) -> None:
    del found["kin"]["host"]
    assert found["kin"] == dict.fromkeys(
        ("child", "child of a thread", "orphan", "daemon", "connection handed on"), "InvalidRequestID"
    )


def test_the_process_of_a_managed_function_may_speak_beside_its_extension(found: dict[str, Any]) -> None:
    assert set(found["accompanied"].values()) == {"Extension.RegistrationClosed"}


def test_telemetry_is_sent_to_no_port_but_the_environments_own(found: dict[str, Any]) -> None:
    kinds = {record["type"] for record in found["heard"]}
    assert "platform.telemetrySubscription" in kinds
    lost = next(record["record"] for record in found["heard"] if record["type"] == "platform.logsDropped")
    assert "nothing of this environment listens there" in lost["reason"]
    assert not found["overheard"], "nobody has even been called there"
