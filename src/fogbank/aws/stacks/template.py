"""A template's text as a document: JSON, or YAML with CloudFormation's short forms, read as hostile input."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

_DEPTH_MAX = 100
_NODES_MAX = 200_000


class TemplateError(Exception):
    """The template is not one; the message is CloudFormation's own."""


class _Loader(yaml.CSafeLoader):  # type: ignore[misc,name-defined,unused-ignore]  # C's is ten times quicker.
    """YAML 1.1 as CloudFormation reads it: dates stay text, a key may stand once, aliases are not expanded for ever."""


def parse(text: str) -> dict[str, Any]:
    """Raises `TemplateError`."""
    document = parse_any(text)
    if not isinstance(document, dict):
        raise TemplateError("Template format error: unsupported structure.")
    return document


def parse_any(text: str) -> Any:
    """The same for a piece of a template."""
    return _parse_json(text) if text.lstrip().startswith("{") else _parse_yaml(text)


def _parse_json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:  # YAML is a superset: flow style with comments or short forms is accepted too.
            return _parse_yaml(text)
        except TemplateError:
            raise TemplateError(f"Template format error: JSON not well-formed. (line {error.lineno}, column {error.colno})") from error  # fmt: skip  # noqa: E501


def _parse_yaml(text: str) -> Any:
    loader = _Loader(text)
    try:
        document = loader.get_single_data()
        return _plain(document, 0, [0])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise TemplateError(
            f"Template format error: YAML not well-formed.{where} {error.problem or ''}".rstrip()
        ) from error
    except yaml.YAMLError as error:
        raise TemplateError(f"Template format error: YAML not well-formed. {error}") from error
    except RecursionError as error:
        raise TemplateError("Template format error: the template is nested too deeply.") from error
    finally:
        loader.dispose()


def _plain(value: Any, depth: int, seen: list[int]) -> Any:
    """A copy without shared parts: what an alias repeats counts each time, so a bomb goes off here, harmlessly."""
    seen[0] += 1
    if depth > _DEPTH_MAX or seen[0] > _NODES_MAX:
        raise TemplateError("Template format error: the template is nested too deeply or repeats too much.")
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1, seen) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1, seen) for item in value]
    return value


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _short_form(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:
    """!Ref X, !GetAtt A.B, !Sub "…" and the rest, as the long forms."""
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = _mapping(loader, node)  # type: ignore[arg-type]  # The third kind there is.
    return {name: value}


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor(
    "tag:yaml.org,2002:timestamp",
    lambda loader, node: loader.construct_scalar(node),  # type: ignore[arg-type]
)
_Loader.add_multi_constructor("!", _short_form)
