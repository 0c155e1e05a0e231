"""What a target is sent of an event: the whole, a part, a constant, or a template filled with parts of it.

EventBridge User Guide, "Amazon EventBridge input transformation".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

# "Supported syntax includes: dot notation, dashes, underscores, alphanumeric characters, array indices, wildcards (*),
# forward slashes".
_PATH = re.compile(r"\$(\.[A-Za-z0-9_/-]+|\.\*|\[\d+\]|\[\*\])*")
_STEP = re.compile(r"\.([A-Za-z0-9_/-]+|\*)|\[(\d+|\*)\]")
_VARIABLE = re.compile(r"<([A-Za-z0-9_.-]+)>")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_RESERVED = "aws."
_NOTHING = object()


def body(target: Mapping[str, Any], event: dict[str, Any], rule_name: str) -> str:
    if "Input" in target:
        return str(target["Input"])
    if "InputTransformer" in target:
        return _filled(target["InputTransformer"], event, rule_name)
    found = at(event, target.get("InputPath", "$"))
    return orjson.dumps(None if found is _NOTHING else found).decode()


def check(target: Mapping[str, Any]) -> None:
    """Raises ValidationException for what could never be sent."""
    given = [name for name in ("Input", "InputPath", "InputTransformer") if name in target]
    if len(given) > 1:
        raise _wrong(f"Only one of Input, InputPath, or InputTransformer must be provided for target {target['Id']}.")
    if "Input" in target:
        try:
            orjson.loads(target["Input"])
        except orjson.JSONDecodeError as error:
            raise _wrong(f"JSON syntax error in input for target {target['Id']}.") from error
    if "InputPath" in target and not _PATH.fullmatch(target["InputPath"]):
        raise _wrong(f"Invalid InputPath for target {target['Id']}.")
    if "InputTransformer" in target:
        _check_transformer(target["Id"], target["InputTransformer"])


def _check_transformer(target_id: str, transformer: Mapping[str, Any]) -> None:
    paths = transformer.get("InputPathsMap", {})
    for name, path in paths.items():
        if not _NAME.fullmatch(name) or name.lower().startswith(_RESERVED) or not _PATH.fullmatch(path):
            raise _wrong(f"Invalid InputPathsMap for target {target_id}: {name}.")
    known = {*paths, *_predefined({}, "", "")}
    unknown = [name for name in _VARIABLE.findall(transformer["InputTemplate"]) if name not in known]
    if unknown:
        raise _wrong(f"InputTemplate for target {target_id} contains invalid placeholder {unknown[0]}.")
    template = transformer["InputTemplate"]
    if template.lstrip().startswith(("{", "[", '"')) and not _is_json(template):
        raise _wrong(f"Invalid InputTemplate for target {target_id}: it is no valid JSON.")


def at(event: Any, path: str) -> Any:
    """What stands at a JSON path; `_NOTHING` where nothing does."""
    found = [event]
    many = False
    for name, index in _STEP.findall(path):
        step = name or index
        many = many or step == "*"
        found = [below for one in found for below in _below(one, step, is_index=bool(index))]
    if many:
        return found
    return found[0] if found else _NOTHING


def _below(value: Any, step: str, *, is_index: bool) -> list[Any]:
    if step == "*":
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if is_index:
        return [value[int(step)]] if isinstance(value, list) and int(step) < len(value) else []
    return [value[step]] if isinstance(value, dict) and step in value else []


def _predefined(event: dict[str, Any], rule_arn: str, rule_name: str) -> dict[str, Any]:
    """ "Predefined variables"."""
    return {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_name,
        "aws.events.event.ingestion-time": event.get("time", ""),
        "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
        "aws.events.event.json": event,
    }


def _filled(transformer: Mapping[str, Any], event: dict[str, Any], rule_name: str) -> str:
    values = _predefined(event, event["resources"][0], rule_name)
    for name, path in transformer.get("InputPathsMap", {}).items():
        found = at(event, path)
        values[name] = "" if found is _NOTHING else found
    return _substituted(transformer["InputTemplate"], values)


def _substituted(template: str, values: Mapping[str, Any]) -> str:
    """Inside quotes a value is text; outside of them, JSON. A template that is no JSON is a text that is filled."""
    is_json = _is_json(template)
    filled: list[str] = []
    quoted, position = False, 0
    for found in _VARIABLE.finditer(template):
        before = template[position : found.start()]
        quoted ^= len(re.findall(r'(?<!\\)"', before)) % 2 == 1
        value = values.get(found[1])
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        if not is_json:
            shown = text
        elif quoted:
            shown = orjson.dumps(text).decode()[1:-1]
        else:
            shown = orjson.dumps(value).decode()
        filled += [before, shown]
        position = found.end()
    return "".join([*filled, template[position:]])


def _is_json(template: str) -> bool:
    """With a number for each variable, which may stand wherever a value or a text may."""
    try:
        orjson.loads(_VARIABLE.sub("0", template))
    except orjson.JSONDecodeError:
        return False
    return True


def _wrong(told: str) -> ServiceError:
    return ServiceError("ValidationException", told)
