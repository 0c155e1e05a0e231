"""A template as a person wrote it → one that can be sent: local code replaced by where its bundle will lie.

What `sam package` does, and one thing more: a function with provisioned concurrency but no alias is given the alias
`live`, and that is said, because the person asked for the app to run.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.stacks.template import TemplateError, parse, parse_any
from fogbank.deploy import handlers, package

if TYPE_CHECKING:
    from pathlib import Path

# Where each type keeps a path to code, and the names under which a bundle stands there.
_CODE: dict[str, tuple[str, tuple[str, str]]] = {
    "AWS::Serverless::Function": ("CodeUri", ("Bucket", "Key")),
    "AWS::Serverless::LayerVersion": ("ContentUri", ("Bucket", "Key")),
    "AWS::Lambda::Function": ("Code", ("S3Bucket", "S3Key")),
    "AWS::Lambda::LayerVersion": ("Content", ("S3Bucket", "S3Key")),
}
# Where each type keeps the path of another template.
_TEMPLATES = {"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}
_DEPTH_MAX = 10
_ALIAS = "live"


@dataclass(frozen=True, slots=True)
class Code:
    """Of a function that the template has itself."""

    member: str  # The property that names it.
    key: str  # Of its bundle.
    alias: str = ""  # AutoPublishAlias: it is to mean the newest version.


@dataclass(slots=True)
class Prepared:
    template: dict[str, Any]
    bundles: dict[str, bytes]  # By object key.
    code: dict[str, Code] = field(default_factory=dict)  # By the function's logical id.
    notes: list[str] = field(default_factory=list)  # What was changed, a sentence each.
    folders: set[Path] = field(default_factory=set)  # What to watch beside the template.


def prepare(
    template: dict[str, Any], folder: Path, bucket: str, bundler: package.Bundler, *, depth: int = 0
) -> Prepared:
    """`folder` is where relative paths start; raises `package.PackageError`, and `TemplateError` for what the template
    leads to. `depth`: how many templates this one is nested in."""
    prepared = Prepared(copy.deepcopy(template), {})
    shared = _global_code(prepared.template)
    keys: dict[Path, str] = {}
    for name, resource in _resources(prepared.template):
        kind = str(resource.get("Type"))
        properties = resource.setdefault("Properties", {}) if kind in _CODE else resource.get("Properties")
        _give_alias(prepared, name, resource)
        if kind in _CODE and isinstance(properties, dict):
            member, (bucket_name, key_name) = _CODE[kind]
            local = properties.get(member, shared if kind == "AWS::Serverless::Function" else None)
            if _is_local(local) and "InlineCode" not in properties:
                source = (folder / str(local)).resolve()
                if source not in keys:
                    keys[source] = _add(prepared, name, source, bundler)
                properties[member] = {bucket_name: bucket, key_name: keys[source]}
                _note_code(prepared, name, kind, properties, keys[source])
                _look_for_handler(prepared, name, properties, prepared.bundles[keys[source]], str(local))
        place = _TEMPLATES.get(kind, "")
        if isinstance(properties, dict) and _is_local(properties.get(place)):
            properties[place] = _nest(prepared, (folder / properties[place]).resolve(), bucket, bundler, depth + 1)
    _include(prepared, prepared.template, folder, bucket)
    return prepared


def _nest(prepared: Prepared, path: Path, bucket: str, bundler: package.Bundler, depth: int) -> str:
    """Another template, prepared as this one is; the answer is its URL."""
    if depth > _DEPTH_MAX:
        raise package.PackageError(
            f"{path}: templates are nested more than {_DEPTH_MAX} deep; does one lead to itself?"
        )
    text = _read(path)
    try:
        inner = prepare(parse(text), path.parent, bucket, bundler, depth=depth)
    except TemplateError as error:
        raise package.PackageError(f"{path}: {error}") from error
    prepared.bundles |= inner.bundles
    prepared.notes += inner.notes
    prepared.folders |= {*inner.folders, path}
    return f"https://s3.amazonaws.com/{bucket}/{_put(prepared, orjson.dumps(inner.template), '.template')}"


def _include(prepared: Prepared, value: Any, folder: Path, bucket: str) -> None:
    """Pieces that AWS::Include is to fetch, and that lie here."""
    if isinstance(value, list):
        for item in value:
            _include(prepared, item, folder, bucket)
    if not isinstance(value, dict):
        return
    if value.get("Name") == "AWS::Include" and isinstance(value.get("Parameters"), dict):
        given = value["Parameters"].get("Location")
        if _is_local(given):
            path = (folder / given).resolve()
            content = orjson.dumps(parse_any(_read(path)))
            prepared.folders.add(path)
            value["Parameters"]["Location"] = f"s3://{bucket}/{_put(prepared, content, '.piece')}"
    for item in value.values():
        _include(prepared, item, folder, bucket)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise package.PackageError(f"{path} cannot be read: {error}") from error


def _put(prepared: Prepared, content: bytes, ending: str) -> str:
    key = f"{sha256(content).hexdigest()}{ending}"
    prepared.bundles[key] = content
    return key


def _add(prepared: Prepared, name: str, source: Path, bundler: package.Bundler) -> str:
    try:
        made = bundler.bundle(source)
    except package.PackageError as error:
        raise package.PackageError(f"{name}: {error}") from error
    key = f"{made.digest}.zip"
    prepared.bundles[key] = made.content
    prepared.folders.add(source)
    return key


def _resources(template: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    resources = template.get("Resources")
    found = resources.items() if isinstance(resources, dict) else ()
    return [(name, resource) for name, resource in found if isinstance(resource, dict)]


def _global_code(template: dict[str, Any]) -> Any:
    """Globals → Function → CodeUri, taken out: it is written into each function instead."""
    return _shared(template).pop("CodeUri", None)


def _is_local(place: Any) -> bool:
    return isinstance(place, str) and not place.startswith(("s3://", "https://", "http://"))


def _look_for_handler(prepared: Prepared, name: str, properties: dict[str, Any], bundle: bytes, local: str) -> None:
    given = {**_shared(prepared.template), **properties}
    runtime, handler = given.get("Runtime"), given.get("Handler")
    if not isinstance(runtime, str) or not isinstance(handler, str) or "Layers" in given:
        return  # A layer, or a value that is not known yet, may bring it.
    problem = handlers.problem(bundle, runtime, handler) if runtime.startswith(("python", "nodejs", "provided")) else ""
    if problem:
        prepared.notes.append(f"{name} will fail when it is invoked: in {local}, {problem}")


def _note_code(prepared: Prepared, name: str, kind: str, properties: dict[str, Any], key: str) -> None:
    if kind == "AWS::Lambda::Function":
        prepared.code[name] = Code("Code", key)
    elif kind == "AWS::Serverless::Function":
        alias = properties.get("AutoPublishAlias", _shared(prepared.template).get("AutoPublishAlias", ""))
        if isinstance(alias, str):  # Else only CloudFormation knows which one it is.
            prepared.code[name] = Code("CodeUri", key, alias)


def _shared(template: dict[str, Any]) -> dict[str, Any]:
    """Globals → Function."""
    given = (template.get("Globals") or {}).get("Function") or {}
    return given if isinstance(given, dict) else {}


def _give_alias(prepared: Prepared, name: str, resource: dict[str, Any]) -> None:
    shared = _shared(prepared.template)
    properties = resource.get("Properties") or {}
    if resource.get("Type") != "AWS::Serverless::Function" or "AutoPublishAlias" in {*properties, *shared}:
        return
    if "ProvisionedConcurrencyConfig" in {*properties, *shared}:
        properties["AutoPublishAlias"] = _ALIAS
        prepared.notes.append(
            f"{name} asks for provisioned concurrency without AutoPublishAlias, which SAM refuses (on AWS too); "
            f"going on as if `AutoPublishAlias: {_ALIAS}` stood there"
        )
