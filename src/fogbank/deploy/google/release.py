"""A plan → functions that run: the source uploaded once, each function made or brought up to date, its callers let in.

The same calls that `gcloud functions deploy` makes, through a `Cloud` that answers them.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fogbank.deploy.google.plan import Wanted

_POLL_S = 0.03
_JSON = {"content-type": "application/json"}
_AT_ONCE = 4
_NOT_FOUND = 404
# Says which source and which settings a function was deployed with: what is there already is not deployed again.
_LABEL, _LABEL_LETTERS = "fogbank-deployed", 40
_NEVER_SET = "ACAB"  # The etag of such a policy.


class ReleaseError(Exception):
    """A function could not be deployed; the message gives the service's reasons."""


class Cloud(Protocol):
    def exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]: ...


@dataclass(frozen=True, slots=True)
class Released:
    name: str
    changed: bool
    url: str
    uri: str  # Of its Cloud Run service.
    topic: str  # "" for one that no topic triggers.


def release(
    cloud: Cloud, project: str, wanted: list[Wanted], bundles: Mapping[Path, tuple[str, bytes]],
    on_stage: Callable[[str, str], None],
) -> list[Released]:  # fmt: skip
    """`bundles`: by source folder the digest and the zip. `on_stage` is told a function and what is done to it. Raises
    `ReleaseError`."""
    sources = {folder: _Upload(cloud, project, content) for folder, (_, content) in bundles.items()}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [
            pool.submit(_deploy, cloud, project, one, bundles[one.source][0], sources[one.source], on_stage)
            for one in wanted
        ]
    return [one.result() for one in running]


class _Upload:
    """A zip that is put there once somebody needs it, once for each region."""

    def __init__(self, cloud: Cloud, project: str, content: bytes) -> None:
        self._cloud, self._project, self._content = cloud, project, content

    def source(self, region: str) -> dict[str, Any]:
        parent = f"/v2/projects/{self._project}/locations/{region}/functions:generateUploadUrl"
        told = _asked(self._cloud, "POST", parent, {})
        path = "/" + told["uploadUrl"].partition("://")[2].partition("/")[2]
        status, _, reply = self._cloud.exchange("PUT", path, self._content, {"content-type": "application/zip"})
        if status != 200:
            raise ReleaseError(f"the source was not taken: {status} {reply[:500].decode(errors='replace')}")
        return {"storageSource": told["storageSource"]}


def _deploy(
    cloud: Cloud, project: str, wanted: Wanted, digest: str, upload: _Upload, on_stage: Callable[[str, str], None]
) -> Released:  # fmt: skip
    parent = f"projects/{project}/locations/{wanted.region}"
    name = f"{parent}/functions/{wanted.name}"
    try:
        there = _settled(cloud, name)
        mark = sha256(digest.encode() + orjson.dumps(wanted.settings, option=orjson.OPT_SORT_KEYS)).hexdigest()
        mark = mark[:_LABEL_LETTERS]
        changed = there is None or there.get("state") != "ACTIVE" or there.get("labels", {}).get(_LABEL) != mark
        if changed:
            settings = {**wanted.settings, "name": name, "labels": {**wanted.settings["labels"], _LABEL: mark}}
            settings["buildConfig"] = {**settings["buildConfig"], "source": upload.source(wanted.region)}
            if there is None:
                begun = _asked(cloud, "POST", f"/v2/{parent}/functions?functionId={wanted.name}", settings)
            else:
                begun = _asked(cloud, "PATCH", f"/v2/{name}", settings)
            _follow(cloud, begun, lambda stage: on_stage(wanted.name, stage))
        if wanted.public:
            _open_to_all(cloud, f"{parent}/services/{wanted.name.lower().replace('_', '-')}", is_new=there is None)
        now = _asked(cloud, "GET", f"/v2/{name}")
    except ReleaseError as error:
        raise ReleaseError(f"{wanted.name}: {error}") from error
    topic = now.get("eventTrigger", {}).get("pubsubTopic", "")
    return Released(wanted.name, changed, now["url"], now.get("serviceConfig", {}).get("uri", ""), topic)


def _settled(cloud: Cloud, name: str) -> dict[str, Any] | None:
    """The function once nothing is under way for it: what a crash has cut goes on at the next start."""
    while True:
        status, _, reply = cloud.exchange("GET", f"/v2/{name}", b"", {})
        if status == _NOT_FOUND:
            return None
        there = _read(status, reply)
        if there.get("state") not in ("DEPLOYING", "DELETING"):
            return there
        time.sleep(_POLL_S)


def _follow(cloud: Cloud, operation: dict[str, Any], on_stage: Callable[[str], None]) -> None:
    said = ""
    while not operation.get("done"):
        for stage in operation.get("metadata", {}).get("stages", []):
            if stage.get("state") == "IN_PROGRESS" and stage["name"] != said:
                said = stage["name"]
                on_stage(said.lower())
        time.sleep(_POLL_S)
        operation = _asked(cloud, "GET", f"/v2/{operation['name']}")
    if "error" in operation:
        details = [str(one["message"]) for one in operation["error"].get("details", []) if one.get("message")]
        raise ReleaseError("\n".join([operation["error"]["message"], *details]))


def _open_to_all(cloud: Cloud, service: str, *, is_new: bool) -> None:
    """Once: what somebody has set since stays. A policy that was never set is of a function that failed at first."""
    policy = _asked(cloud, "GET", f"/v2/{service}:getIamPolicy")
    if not is_new and policy.get("etag") != _NEVER_SET:
        return
    bindings = [*policy.get("bindings", []), {"role": "roles/run.invoker", "members": ["allUsers"]}]
    _asked(cloud, "POST", f"/v2/{service}:setIamPolicy", {"policy": {**policy, "bindings": bindings}})


def _asked(cloud: Cloud, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    body = b"" if content is None else orjson.dumps(content)
    status, _, reply = cloud.exchange(method, path, body, _JSON if body else {})
    return _read(status, reply)


def _read(status: int, reply: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(reply)
    except orjson.JSONDecodeError as error:
        raise ReleaseError(f"{status}, and no JSON: {reply[:500].decode(errors='replace')}") from error
    if status >= 300:
        wrong = told.get("error", {})
        fields = [one for detail in wrong.get("details", []) for one in detail.get("fieldViolations", [])]
        why = "".join(f"\n  {one.get('field')}: {one.get('description')}" for one in fields)
        raise ReleaseError(f"{wrong.get('message', status)}{why}")
    return dict(told)
