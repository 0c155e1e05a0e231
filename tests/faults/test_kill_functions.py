"""The server is killed while a function of Google's is being deployed: what was begun ends all the same."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.support import google_functions
from tests.support.command import Fogbank
from tests.support.google import PROJECT
from tests.support.google_functions import HELLO, PARENT, Functions, ask
from tests.support.killing import kill
from tests.support.receiver import Received, Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.faults


def test_a_deployment_that_was_cut_goes_on_at_the_next_start(tmp_path: Path) -> None:
    google_functions.ready(tmp_path / "framework")
    arrivals, go_on = [], threading.Event()

    def hold(received: Received) -> int:
        arrivals.append(received)
        go_on.wait(100)
        return 200

    program = Fogbank(tmp_path)
    with Receiver(hold) as receiver:
        held = f"import urllib.request\nurllib.request.urlopen('{receiver.url}', b'', timeout=100)\n{HELLO}"
        try:
            program.run("start", "--detach")
            functions = Functions(program.port, "grpc")
            made = functions.create("steady")
            functions.let_in("steady")
            begun = functions.begin("hello", functions.settings(held, "hello"))
            made.build_config.source.storage_source = functions.upload(held.replace("'hello'", "'good day'"))
            request = {"function": made, "update_mask": {"paths": ["build_config.source"]}}
            changing = functions.client.update_function(request=request).operation
            eventually(lambda: len(arrivals) == 2, within_s=60)  # Both are initialising.
            deleted = functions.begin("gone", functions.settings(entry_point="hello"))
            functions.close()
            kill(program)

            program.run("start", "--detach")
            functions = Functions(program.port, "grpc")
            base = f"{program.url}/us-central1-{PROJECT}.cloudfunctions.net"
            assert ask(f"{base}/steady").text == "hello /?", "what ran before runs on"
            assert functions.client.get_function(name=f"{PARENT}/functions/hello").state.name == "DEPLOYING"
            eventually(lambda: len(arrivals) == 4, within_s=60)  # Both have begun anew.
            go_on.set()
            for operation in (begun, changing, deleted):
                functions.finished(operation)
            functions.let_in("hello")
            assert ask(f"{base}/hello").text == "hello /?"
            assert ask(f"{base}/steady").text == "good day /?"
            functions.finished(functions.client.delete_function(name=f"{PARENT}/functions/gone").operation)
            functions.close()
        finally:
            go_on.set()
            program.run("stop", ok=None)
