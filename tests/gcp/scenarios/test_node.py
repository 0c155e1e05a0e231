"""Google's published Node clients, pointed at a server of ours as each of them can be, do what an app does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import node_packages

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

_SCRIPTS = Path(__file__).with_name("node")
_WITH_EMULATORS = ("@google-cloud/firestore@8.7.1", "@google-cloud/pubsub@5.3.1")
_OTHERS = (
    "@google-cloud/secret-manager@6.3.0", "@google-cloud/tasks@6.3.0", "@google-cloud/scheduler@5.4.0",
    "@google-cloud/logging@11.4.0",
)  # fmt: skip
pytestmark = node_packages.needed


@pytest.mark.parametrize(("script", "packages", "variable"), [
    ("firestore", _WITH_EMULATORS, "FIRESTORE_EMULATOR_HOST"), ("pubsub", _WITH_EMULATORS, "PUBSUB_EMULATOR_HOST"),
    ("services", _OTHERS, "FOGBANK_ADDRESS"),
])  # fmt: skip
def test_an_app_of_nodes_does_all_that_its_clients_can(
    today: Cloud, tmp_path: Path, script: str, packages: tuple[str, ...], variable: str
) -> None:
    address = today.url.removeprefix("http://")
    node_packages.run(_SCRIPTS / f"{script}.mjs", *packages, folder=tmp_path / "app", **{variable: address})
