"""What an instance starts is in its control groups with it, however early it is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fogbank.functions.sandbox.protections import Protections
    from tests.support.workshop import Workshop

HANDLER = """
def groups(pid):
    lines = [line.split(":", 2) for line in open("/proc/%s/cgroup" % pid).read().split()]
    return sorted(path for _, names, path in lines if "fogbank-" in path)

def handler(e, c):
    child = CHILD or os.fork() or hang()
    limit = time.monotonic() + 20
    at_first = lambda: any(path.endswith("/" + e) for path in groups("self"))
    while (groups(child) != groups("self") or at_first()) and time.monotonic() < limit:
        time.sleep(0.01)
    return [groups(child), groups("self")]
"""
START = "import os, time\n\ndef hang():\n    time.sleep(60)\n    os._exit(0)\n\n"


@pytest.mark.parametrize(
    "begins", ["CHILD = os.fork() or hang()\n", "CHILD = 0\n"], ids=["in init", "in its first event"]
)
def test_a_process_that_is_started_at_once_is_held_with_it(cells: Workshop, given: Protections, begins: str) -> None:
    if "memory" not in given.limits:
        pytest.skip("no control group for memory may be made here")
    version = cells.function(START + begins + HANDLER, timeout_ms=30_000)
    cells.answer(cells.function("def handler(e, c): pass"))  # Then there is the group that all of them begin in.
    nursery = cells.engine._sandbox._nursery
    assert nursery is not None
    begins_in = nursery._folders[0].name
    child, own = cells.answer(version, begins_in)
    assert child == own
    assert len({path.rpartition("/")[2] for path in own}) == 1, "one group of its own in each hierarchy"
    others = cells.answer(cells.function(START + begins + HANDLER), begins_in)[1]
    assert set(others).isdisjoint(own)
    cells.run(cells.engine.retire(version.id))


def test_many_forks_of_one_template_do_not_fill_its_memory(cells: Workshop) -> None:
    """What a fork touches before it is in a group of its own counts in its template's for as long as it lives."""
    init = "import boto3\nTABLE = boto3.resource('dynamodb', region_name='us-east-1').Table('items')\n"
    version = cells.function(init + "def handler(e, c):\n    return 1", memory_mb=128, ephemeral_mb=1)
    cells.run(cells.engine.prepare(version, 80))
    assert len(cells.engine._pools[version.id].idle) == 80
    assert cells.answer(version) == 1
    cells.run(cells.engine.retire(version.id))
