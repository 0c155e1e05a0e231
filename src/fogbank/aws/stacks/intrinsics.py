"""Intrinsic functions: what stands in a template for something that is known later, and how it becomes known.

CloudFormation User Guide, "Intrinsic function reference".
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.stacks.template import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NO_VALUE = object()  # AWS::NoValue: the property is taken out.
PSEUDO = ("AWS::AccountId", "AWS::NotificationARNs", "AWS::NoValue", "AWS::Partition", "AWS::Region", "AWS::StackId",
          "AWS::StackName", "AWS::URLSuffix")  # fmt: skip
_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]*)\}")


@dataclass(slots=True)
class Scope:
    """All that a value may refer to. `resource` and `attribute` answer for what exists already."""

    parameters: Mapping[str, Any]  # Pseudo parameters among them.
    conditions: Mapping[str, Any]  # As the template has them.
    mappings: Mapping[str, Any]
    resource: Callable[[str], Any]
    attribute: Callable[[str, str], Any]
    exported: Callable[[str], Any]
    known: frozenset[str] = frozenset()  # Logical ids of all resources.
    _decided: dict[str, bool] = field(default_factory=dict)

    def holds(self, name: str) -> bool:
        """A condition, by name."""
        if name not in self._decided:
            if name not in self.conditions:
                raise TemplateError(
                    f"Template format error: Unresolved condition dependency {name} in the Conditions block"
                )
            self._decided[name] = _truth(resolve(self.conditions[name], self))
        return self._decided[name]


def resolve(value: Any, scope: Scope) -> Any:
    """The value with every function in it worked out. Raises `TemplateError`."""
    if isinstance(value, dict):
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return _ref(argument, scope)
            if name == "Condition" and isinstance(argument, str) and argument in scope.conditions:
                return scope.holds(argument)
            if name.startswith("Fn::"):
                return _function(name, argument, scope)
        items = ((key, resolve(item, scope)) for key, item in value.items())
        return {key: item for key, item in items if item is not NO_VALUE}
    if isinstance(value, list):
        return [item for item in (resolve(item, scope) for item in value) if item is not NO_VALUE]
    return value


def references(value: Any) -> Iterator[tuple[str, str]]:
    """(logical id, attribute or "") of everything that a value refers to."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    if not isinstance(value, dict):
        return
    for name, argument in value.items():
        if name == "Ref" and isinstance(argument, str):
            yield argument, ""
        elif name == "Fn::GetAtt":
            target, attribute = _get_att_parts(argument)
            yield target, attribute if isinstance(attribute, str) else "?"
        elif name == "Fn::Sub":
            yield from _sub_references(argument)
        else:
            yield from references(argument)


def _sub_references(argument: Any) -> Iterator[tuple[str, str]]:
    text, own = (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])
    yield from references(own)
    for literal, inside in _PLACEHOLDER.findall(text):
        if not literal and inside.strip() not in own:
            target, _, attribute = inside.strip().partition(".")
            yield target, attribute


def _function(name: str, argument: Any, scope: Scope) -> Any:
    function = _FUNCTIONS.get(name)
    if function is None:
        raise TemplateError(f"Template error: {name} is not a function that is known or served here")
    return function(argument, scope)


def _ref(name: Any, scope: Scope) -> Any:
    if name == "AWS::NoValue":
        return NO_VALUE
    if name in scope.parameters:
        return scope.parameters[name]
    return scope.resource(str(name))


def _get_att_parts(argument: Any) -> tuple[str, Any]:
    if isinstance(argument, str):
        target, _, attribute = argument.partition(".")
        return target, attribute
    if isinstance(argument, list) and len(argument) >= 2 and isinstance(argument[0], str):
        rest = argument[1] if len(argument) == 2 else ".".join(map(str, argument[1:]))
        return argument[0], rest
    raise TemplateError("Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")  # fmt: skip  # noqa: E501


def _get_att(argument: Any, scope: Scope) -> Any:
    target, attribute = _get_att_parts(argument)
    return scope.attribute(target, str(resolve(attribute, scope)))


def _sub(argument: Any, scope: Scope) -> str:
    own: Mapping[str, Any] = {}
    if isinstance(argument, list):
        if len(argument) != 2 or not isinstance(argument[1], dict):
            raise TemplateError("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string")  # fmt: skip  # noqa: E501
        argument, own = argument[0], argument[1]
    if not isinstance(argument, str):
        raise TemplateError("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string")  # fmt: skip  # noqa: E501

    def replaced(found: re.Match[str]) -> str:
        inside = found[2].strip()
        if found[1]:
            return "${" + found[2] + "}"
        if inside in own:
            return _text(resolve(own[inside], scope))
        target, dot, attribute = inside.partition(".")
        return _text(scope.attribute(target, attribute) if dot else _ref(inside, scope))

    return _PLACEHOLDER.sub(replaced, argument)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value)


def _join(argument: Any, scope: Scope) -> str:
    if not isinstance(argument, list) or len(argument) != 2:
        raise TemplateError("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")  # fmt: skip  # noqa: E501
    delimiter, items = argument[0], resolve(argument[1], scope)
    if not isinstance(items, list):
        raise TemplateError("Template error: every Fn::Join object requires a list of strings to be joined.")
    return str(delimiter).join(_text(item) for item in items)


def _select(argument: Any, scope: Scope) -> Any:
    index, items = (resolve(part, scope) for part in argument)
    items = items.split(",") if isinstance(items, str) else items
    try:
        return items[int(index)]
    except (IndexError, ValueError, TypeError) as error:
        raise TemplateError(f"Template error: Fn::Select cannot select nonexistent value at index {index}") from error


def _split(argument: Any, scope: Scope) -> list[str]:
    delimiter, text = argument[0], resolve(argument[1], scope)
    return str(text).split(delimiter)


def _find_in_map(argument: Any, scope: Scope) -> Any:
    default: Any = NO_VALUE
    if len(argument) == 4 and isinstance(argument[3], dict) and "DefaultValue" in argument[3]:
        default = argument[3]["DefaultValue"]
    names = [str(resolve(part, scope)) for part in argument[:3]]
    found: Any = scope.mappings
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            if default is not NO_VALUE:
                return resolve(default, scope)
            raise TemplateError(f"Template error: Unable to get mapping for {'::'.join(names)}")
    return found


def _length(argument: Any, scope: Scope) -> int:
    value = resolve(argument, scope)
    if not isinstance(value, list):
        raise TemplateError("Template error: Fn::Length needs a list")
    return len(value)


def _to_json_string(argument: Any, scope: Scope) -> str:
    if not isinstance(argument, dict | list):
        raise TemplateError("Template error: Fn::ToJsonString needs an object or a list")
    return orjson.dumps(resolve(argument, scope)).decode()


def _base64(argument: Any, scope: Scope) -> str:
    return b64encode(_text(resolve(argument, scope)).encode()).decode()


def _cidr(argument: Any, scope: Scope) -> list[str]:
    block, count, *rest = (resolve(part, scope) for part in argument)
    network = ipaddress.ip_network(str(block), strict=False)
    bits = int(rest[0]) if rest else 8
    subnets = network.subnets(new_prefix=network.max_prefixlen - bits)
    return [str(subnet) for subnet, _ in zip(subnets, range(int(count)), strict=False)]


def _get_azs(argument: Any, scope: Scope) -> list[str]:
    region = resolve(argument, scope) or scope.parameters["AWS::Region"]
    return [f"{region}{letter}" for letter in "abc"]


def _import_value(argument: Any, scope: Scope) -> Any:
    return scope.exported(_text(resolve(argument, scope)))


def _if(argument: Any, scope: Scope) -> Any:
    if not isinstance(argument, list) or len(argument) != 3:
        raise TemplateError("Template error: Fn::If requires a list argument with the first element being a condition")
    return resolve(argument[1] if scope.holds(str(argument[0])) else argument[2], scope)


def _truth(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _equals(argument: Any, scope: Scope) -> bool:
    left, right = (resolve(part, scope) for part in argument)
    return bool(_text(left) == _text(right)) if not isinstance(left, dict | list) else bool(left == right)


_FUNCTIONS: dict[str, Callable[[Any, Scope], Any]] = {
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::Length": _length,
    "Fn::ToJsonString": _to_json_string,
    "Fn::Base64": _base64,
    "Fn::Cidr": _cidr,
    "Fn::GetAZs": _get_azs,
    "Fn::ImportValue": _import_value,
    "Fn::If": _if,
    "Fn::Equals": _equals,
    "Fn::And": lambda argument, scope: all(_truth(resolve(part, scope)) for part in argument),
    "Fn::Or": lambda argument, scope: any(_truth(resolve(part, scope)) for part in argument),
    "Fn::Not": lambda argument, scope: not _truth(resolve(argument[0], scope)),
}
