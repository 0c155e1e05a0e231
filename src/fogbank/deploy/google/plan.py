"""From what a folder holds and declares to what is asked of the API: one message for each of its functions."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from fogbank.deploy.google import declared, discover
from fogbank.gcp.instances import RUNTIMES, is_runnable
from fogbank.gcp.protocol import regions

if TYPE_CHECKING:
    from pathlib import Path

_FLAVOURS = {
    "trigger-bucket": "google.cloud.storage.object.v1.finalized",
    "trigger-topic": "google.cloud.pubsub.topic.v1.messagePublished",
}
_SECONDS = re.compile(r"(\d+)\s*(s|m|h)?")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_INGRESS = {
    "all": "ALLOW_ALL", "internal-only": "ALLOW_INTERNAL_ONLY", "internal-and-gclb": "ALLOW_INTERNAL_AND_GCLB",
}  # fmt: skip


class PlanError(Exception):
    """The folder's functions cannot be deployed as they are declared; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One function, as it is to be."""

    name: str
    region: str
    source: Path
    settings: dict[str, Any]  # A google.cloud.functions.v2.Function as JSON has it, without its source.
    public: bool  # Everybody may call it.


@dataclass(slots=True)
class Plan:
    functions: list[Wanted] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # What a person should know.


def plan(folder: Path, project: str, region: str, topics: dict[str, str]) -> Plan:
    """`topics`: by function the topic that triggers it, as the person says now; "": of all that have no other trigger.
    Raises `PlanError`."""
    try:
        found, told = discover.functions(folder), declared.read(folder)
    except (discover.UnreadableError, declared.DeclaredError) as error:
        raise PlanError(str(error)) from error
    made = Plan()
    kinds = {one.name: one.kind for one in found}
    names = [*kinds, *(name for name in told if name not in kinds)]
    for name in names:
        options = told.get(name, {})
        kind = kinds.get(str(options.get("entry-point", name)), "")
        if not kind and name not in told:
            continue
        if not kind and not _declares_trigger(options):
            raise PlanError(f"{name} is declared, but {folder} has no function of that name, and no trigger is given")
        made.functions.append(_wanted(folder, project, region, name, kind, options, topics, made.notes))
    entry_points = {str(told.get(name, {}).get("entry-point", name)) for name in told}
    made.functions = [
        one for one in made.functions if one.name in told or one.name not in entry_points
    ]  # What is deployed by another name is not deployed by its own as well.
    if not made.functions:
        raise PlanError(f"{folder} registers no function with the Functions Framework")
    return made


def _wanted(
    folder: Path, project: str, region: str, name: str, kind: str, options: declared.Options,
    topics: dict[str, str], notes: list[str],
) -> Wanted:  # fmt: skip
    notes += [f"{name}: --{option} is passed over" for option in sorted(options.keys() - declared.KNOWN)]
    if options.get("no-gen2"):
        notes.append(f"{name}: `fogbank up` deploys functions of the 2nd generation; `gcloud` itself deploys this one")
    source = (folder / str(options.get("source", "."))).resolve()
    place = str(options.get("region", region))
    if place not in regions.ALL:
        raise PlanError(f"{name}: there is no region {place!r}")
    service: dict[str, Any] = _service(name, options)
    settings: dict[str, Any] = {
        "buildConfig": {
            "runtime": _runtime(name, source, options), "entryPoint": str(options.get("entry-point", name)),
        },
        "serviceConfig": service,
        "labels": {"deployment-tool": "fogbank", **_pairs(name, options.get("update-labels", ""))},
    }  # fmt: skip
    trigger = _trigger(name, kind, project, options, topics, notes)
    if trigger is not None:
        settings["eventTrigger"] = trigger
    public = trigger is None and not options.get("no-allow-unauthenticated")
    return Wanted(name, place, source, settings, public)


def _service(name: str, options: declared.Options) -> dict[str, Any]:
    service: dict[str, Any] = {}
    for option, member in (("min-instances", "minInstanceCount"), ("max-instances", "maxInstanceCount"),
                           ("concurrency", "maxInstanceRequestConcurrency")):  # fmt: skip
        if option in options:
            service[member] = _number(name, option, options[option])
    if "memory" in options:
        service["availableMemory"] = re.sub(r"[bB]$", "", str(options["memory"]))
    if "cpu" in options:
        service["availableCpu"] = str(options["cpu"])
    if "timeout" in options:
        service["timeoutSeconds"] = _timeout(name, str(options["timeout"]))
    account = options.get("run-service-account") or options.get("service-account")
    if account:
        service["serviceAccountEmail"] = str(account)
    if "ingress-settings" in options:
        service["ingressSettings"] = _INGRESS.get(str(options["ingress-settings"]), str(options["ingress-settings"]))
    variables = _pairs(name, options.get("set-env-vars", "")) | _pairs(name, options.get("update-env-vars", ""))
    if variables:
        service["environmentVariables"] = variables
    secrets, volumes = _secrets(name, options.get("set-secrets", ""))
    if secrets:
        service["secretEnvironmentVariables"] = secrets
    if volumes:
        service["secretVolumes"] = volumes
    return service


def _declares_trigger(options: declared.Options) -> bool:
    return any(option.startswith("trigger-") for option in options)


def _trigger(
    name: str, kind: str, project: str, options: declared.Options, topics: dict[str, str], notes: list[str]
) -> dict[str, Any] | None:  # fmt: skip
    """None: HTTP. An event function of which nobody says what triggers it gets a topic of its own name."""
    trigger: dict[str, Any] = {}
    topic = topics.get(name, options.get("trigger-topic"))
    if topic is None and "trigger-bucket" in options:
        bucket = str(options["trigger-bucket"]).removeprefix("gs://").rstrip("/")
        trigger["eventFilters"] = [{"attribute": "bucket", "value": bucket}]
        trigger["eventType"] = _FLAVOURS["trigger-bucket"]
    elif topic is None and "trigger-event-filters" in options:
        filters = _pairs(name, options["trigger-event-filters"])
        trigger["eventType"] = filters.pop("type", "")
        patterns = _pairs(name, options.get("trigger-event-filters-path-pattern", ""))
        trigger["eventFilters"] = [{"attribute": key, "value": value} for key, value in filters.items()] + [
            {"attribute": key, "value": value, "operator": "match-path-pattern"} for key, value in patterns.items()
        ]
    else:
        if topic is None and (options.get("trigger-http") or kind in ("http", "typed")):
            return None
        if topic is None:
            topic = topics.get("")
        if topic is None:
            topic = name
            notes.append(
                f"nothing says what triggers {name}: it is given the Pub/Sub topic {name}; say another with "
                f'--trigger-topic {name}=TOPIC, or in {declared.TOML}: [functions.{name}] trigger-topic = "TOPIC"'
            )
        trigger["pubsubTopic"] = topic if "/" in str(topic) else f"projects/{project}/topics/{topic}"
        trigger["eventType"] = _FLAVOURS["trigger-topic"]
    if "trigger-location" in options:
        trigger["triggerRegion"] = str(options["trigger-location"])
    if options.get("retry"):
        trigger["retryPolicy"] = "RETRY_POLICY_RETRY"
    return trigger


def _pairs(name: str, text: Any) -> dict[str, str]:
    """ "A=1,B=2", or a table of fogbank.toml. "^:^A=1:B=2" says what parts them (`gcloud topic escaping`)."""
    if isinstance(text, dict):
        return {str(key): str(value) for key, value in text.items()}
    comma = ","
    found = re.match(r"\^([^^]+)\^", str(text))
    if found:
        comma, text = found[1], str(text)[found.end() :]
    pairs = [part.partition("=") for part in str(text).split(comma) if part]
    if any(not equals for _, equals, _ in pairs):
        raise PlanError(f"{name}: {text!r} is not of the form KEY=VALUE,…")
    return {key: value for key, _, value in pairs}


def _secrets(name: str, text: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """ "KEY=secret:version,/etc/key=secret:latest": variables, and files."""
    variables, volumes = [], []
    for key, value in _pairs(name, text).items():
        secret, _, version = value.partition(":")
        if not key.startswith("/"):
            variables.append({"key": key, "secret": secret, "version": version or "latest"})
            continue
        mount, _, file = key.rpartition("/")
        volumes.append({"mountPath": mount or "/", "secret": secret,
                        "versions": [{"version": version or "latest", "path": file}]})  # fmt: skip
    return variables, volumes


def _number(name: str, option: str, value: Any) -> int:
    if not str(value).isdecimal():
        raise PlanError(f"{name}: {option} {value!r} is no number")
    return int(value)


def _timeout(name: str, text: str) -> int:
    found = _SECONDS.fullmatch(text)
    if found is None:
        raise PlanError(f"{name}: timeout {text!r} is not of the form 60s")
    return int(found[1]) * _UNITS[found[2] or "s"]


def _runtime(name: str, source: Path, options: declared.Options) -> str:
    if "runtime" in options:
        runtime = str(options["runtime"])
    elif discover.language(source) == "nodejs":
        runtime = f"nodejs{discover.node_engine(source) or _own_node()}"
    else:
        runtime = f"python3{sys.version_info.minor}"
    if not is_runnable(runtime):
        raise PlanError(f"{name}: the runtime {runtime} does not run here; these do: {', '.join(RUNTIMES)}")
    return runtime


@cache
def _own_node() -> str:
    """The major version that is on this machine, or the nearest older one that Google has."""
    node = shutil.which("node")
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout if node else ""
    found = re.match(r"v(\d+)", said)
    own = int(found[1]) if found else 22
    known = [int(name.removeprefix("nodejs")) for name in RUNTIMES if name.startswith("nodejs")]
    return str(max((major for major in known if major <= own), default=min(known)))
