"""Generations and preconditions against a small model: random writes, interleaved with uploads that end later."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

NAMES = st.sampled_from(["a", "a/b"])
CHOICES = st.sampled_from(["none", "absent", "live", "other"])
_numbers = itertools.count()


@dataclass
class Version:
    generation: int
    content: str
    metageneration: int = 1
    live: bool = True
    gone_softly: bool = False


@dataclass
class Model:
    versioned: bool = False
    names: dict[str, list[Version]] = field(default_factory=dict)

    def live(self, name: str) -> Version | None:
        return next((one for one in self.names.get(name, []) if one.live), None)

    def there(self, name: str) -> list[Version]:
        return [one for one in self.names.get(name, []) if not one.gone_softly]

    def holds(self, name: str, condition: str, wanted: int) -> bool:
        live = self.live(name)
        return condition == "none" or wanted == (live.generation if live else 0)

    def end_live(self, name: str) -> None:
        live = self.live(name)
        if live is not None:
            live.live, live.gone_softly = False, not self.versioned


class Machine(RuleBasedStateMachine):
    cloud: ClassVar[Cloud]

    @initialize(versioned=st.booleans())
    def begin(self, versioned: bool) -> None:
        self.http = httpx.Client(base_url=self.cloud.url, timeout=30)
        self.bucket, self.model = f"model-{next(_numbers)}", Model()
        self.sessions: list[tuple[str, str, str, int]] = []
        assert self.http.post("/storage/v1/b", params={"project": "p"}, json={"name": self.bucket}).status_code == 200
        self.where = f"/storage/v1/b/{self.bucket}/o"
        self.set_versioning(versioned)

    def _condition(self, name: str, condition: str) -> tuple[dict[str, int], int]:
        live = self.model.live(name)
        wanted = {"absent": 0, "live": live.generation if live else 7, "other": 12345}.get(condition, 0)
        return ({} if condition == "none" else {"ifGenerationMatch": wanted}), wanted

    def _at(self, name: str) -> str:
        return f"{self.where}/{name.replace('/', '%2F')}"

    def _put(self, name: str, content: str, generation: int) -> None:
        before = max((one.generation for one in self.model.names.get(name, [])), default=0)
        assert generation > before
        self.model.end_live(name)
        self.model.names.setdefault(name, []).append(Version(generation, content))

    @rule(name=NAMES, condition=CHOICES, content=st.sampled_from(["x", "y" * 70_000]))
    def put(self, name: str, condition: str, content: str) -> None:
        told, wanted = self._condition(name, condition)
        asked = {"uploadType": "media", "name": name, **told}
        answer = self.http.post(f"/upload{self.where}", params=asked, content=content)
        if self.model.holds(name, condition, wanted):
            self._put(name, content, int(answer.json()["generation"]))
        else:
            assert answer.status_code == 412

    @rule(name=NAMES, condition=CHOICES)
    def begin_upload(self, name: str, condition: str) -> None:
        told, wanted = self._condition(name, condition)
        asked = {"uploadType": "resumable", "name": name, **told}
        begun = self.http.post(f"/upload{self.where}", params=asked)
        self.sessions.append((begun.headers["location"], name, condition, wanted))

    @rule(data=st.data())
    def finish_upload(self, data: Any) -> None:
        if not self.sessions:
            return
        session = self.sessions.pop(data.draw(st.integers(0, len(self.sessions) - 1)))
        address, name, condition, wanted = session
        answer = self.http.put(address, content="late")
        if self.model.holds(name, condition, wanted):
            self._put(name, "late", int(answer.json()["generation"]))
        else:
            assert answer.status_code == 412

    @rule(name=NAMES, condition=CHOICES)
    def delete(self, name: str, condition: str) -> None:
        told, wanted = self._condition(name, condition)
        answer = self.http.delete(self._at(name), params=told)
        if self.model.live(name) is None:
            assert answer.status_code == 404
        elif self.model.holds(name, condition, wanted):
            assert answer.status_code == 204
            self.model.end_live(name)
        else:
            assert answer.status_code == 412

    @rule(name=NAMES, data=st.data())
    def delete_version(self, name: str, data: Any) -> None:
        there = self.model.there(name)
        if there:
            chosen = data.draw(st.sampled_from(there))
            assert self.http.delete(self._at(name), params={"generation": chosen.generation}).status_code == 204
            chosen.live, chosen.gone_softly = False, True

    @rule(name=NAMES, right=st.booleans())
    def patch(self, name: str, right: bool) -> None:
        live = self.model.live(name)
        wanted = live.metageneration if live and right else 99
        answer = self.http.patch(
            self._at(name), params={"ifMetagenerationMatch": wanted}, json={"metadata": {"a": "1"}}
        )
        if live is None:
            assert answer.status_code == 404
        elif right:
            live.metageneration += 1
            assert answer.json()["metageneration"] == str(live.metageneration)
        else:
            assert answer.status_code == 412

    @rule(name=NAMES, data=st.data())
    def restore(self, name: str, data: Any) -> None:
        gone = [one for one in self.model.names.get(name, []) if one.gone_softly]
        if gone:
            chosen = data.draw(st.sampled_from(gone))
            answer = self.http.post(f"{self._at(name)}/restore", params={"generation": chosen.generation})
            self._put(name, chosen.content, int(answer.json()["generation"]))

    @rule(source=NAMES, destination=NAMES)
    def move(self, source: str, destination: str) -> None:
        found = self.model.live(source)
        answer = self.http.post(f"{self._at(source)}/moveTo/o/{destination.replace('/', '%2F')}")
        if found is None:
            assert answer.status_code == 404
        elif source == destination:
            assert answer.status_code == 400
        else:
            self._put(destination, found.content, int(answer.json()["generation"]))
            self.model.end_live(source)

    @rule(on=st.booleans())
    def change_versioning(self, on: bool) -> None:
        self.set_versioning(on)

    def set_versioning(self, on: bool) -> None:
        where = f"/storage/v1/b/{self.bucket}"
        assert self.http.patch(where, json={"versioning": {"enabled": on}}).status_code == 200
        self.model.versioned = on

    @invariant()
    def lists_are_right(self) -> None:
        def found(**asked: str) -> list[tuple[str, int, int]]:
            items = self.http.get(self.where, params=asked).json().get("items", [])
            return [(one["name"], int(one["generation"]), int(one["metageneration"])) for one in items]

        rows = [(name, one) for name in sorted(self.model.names) for one in self.model.names[name]]
        live = [(name, one.generation, one.metageneration) for name, one in rows if one.live]
        there = [(name, one.generation, one.metageneration) for name, one in rows if not one.gone_softly]
        assert found() == live
        assert found(versions="true") == there
        assert len(found(softDeleted="true")) == len(rows) - len(there)

    @rule(name=NAMES, data=st.data())
    def read(self, name: str, data: Any) -> None:
        there = self.model.there(name)
        if there:
            chosen = data.draw(st.sampled_from(there))
            answer = self.http.get(self._at(name), params={"alt": "media", "generation": chosen.generation})
            assert answer.text == chosen.content

    def teardown(self) -> None:
        if hasattr(self, "http"):
            self.http.close()


@pytest.mark.timeout(200)
def test_what_is_there_is_what_a_small_model_says(shared: Cloud) -> None:
    machine = type("MachineOfThisCloud", (Machine,), {"cloud": shared})
    chosen = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=chosen)  # type: ignore[no-untyped-call]
