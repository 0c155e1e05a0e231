"""What is published of each resource type: its properties, which of them replace it, what can be read of it.

The schemas are those that cfn-lint ships; its data is read, the program is not.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from fogbank.aws.stacks.resource import CUSTOM

_REGION = "us-east-1"  # Where every type is.


@dataclass(frozen=True, slots=True)
class Schema:
    properties: frozenset[str]
    required: tuple[str, ...]
    create_only: frozenset[str]  # Names of properties; a nested one counts for the property it is in.
    read_only: frozenset[str]
    closed: bool  # No property is allowed but those.
    name: str  # The property that is its name, where a template may give one and need not.
    tags: tuple[str, str]  # The property that holds its tags, and whether that is an "array" or an "object".


@cache
def find(type_name: str) -> Schema | None:
    """None for a type that AWS does not publish (a custom resource)."""
    name = _index().get(type_name)
    if name is None:
        return None
    raw: dict[str, Any] = orjson.loads((_data() / "resources" / f"{name}.json").read_bytes())
    identifiers = [path.split("/")[2] for path in raw.get("primaryIdentifier", ())]
    fixed = {_top(path) for path in raw.get("readOnlyProperties", ())} | set(raw.get("required", ()))
    # The conditional ones too: their documentation says "Update requires: Replacement".
    fixed_at_creation = [*raw.get("createOnlyProperties", ()), *raw.get("conditionalCreateOnlyProperties", ())]
    return Schema(
        properties=frozenset(raw.get("properties", {})),
        required=tuple(raw.get("required", ())),
        create_only=frozenset(_top(path) for path in fixed_at_creation if path.count("/") == 2),
        read_only=frozenset(_top(path) for path in raw.get("readOnlyProperties", ())),
        closed=raw.get("additionalProperties") is False and type_name != CUSTOM,  # Its properties are its function's.
        name=identifiers[0] if len(identifiers) == 1 and identifiers[0] not in fixed else "",
        tags=_tags(raw),
    )


def given_name(type_name: str, properties: dict[str, Any]) -> str:
    """The name that a template gives to a resource of a type whose names are its identity; "" where there is none."""
    schema = find(type_name)
    return str(properties.get(schema.name, "")) if schema and schema.name else ""


def tags_of(type_name: str) -> tuple[str, str]:
    schema = find(type_name)
    return schema.tags if schema else ("", "")


def _tags(raw: dict[str, Any]) -> tuple[str, str]:
    member = str(raw.get("tagging", {}).get("tagProperty", "")).rpartition("/")[2]
    return (member, str(raw["properties"][member].get("type", ""))) if member in raw.get("properties", {}) else ("", "")


def check(logical_id: str, type_name: str, properties: dict[str, Any]) -> str:
    """What is wrong with a resource's properties, in CloudFormation's words; nothing if nothing is."""
    schema = find(type_name)
    if schema is None:
        return ""
    missing = [name for name in schema.required if name not in properties]
    if missing:
        told = ", ".join(f"#: required key [{name}] not found" for name in missing)
        return f"Properties validation failed for resource {logical_id} with message:\n[{told}]"
    unknown = sorted(properties.keys() - schema.properties)
    if unknown and schema.closed:
        told = ", ".join(f"#: extraneous key [{name}] is not permitted" for name in unknown)
        return f"Properties validation failed for resource {logical_id} with message:\n[{told}]"
    return ""


def _top(path: str) -> str:
    return path.split("/")[2]


@cache
def _data() -> Path:
    spec = importlib.util.find_spec("cfnlint")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / "schemas"


@cache
def _index() -> dict[str, str]:
    return dict(orjson.loads((_data() / "providers" / f"{_REGION}.json").read_bytes()))
