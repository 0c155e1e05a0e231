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
    _deciding: set[str] = field(default_factory=set)

    def holds(self, name: Any) -> bool:
        """A condition, by name."""
        if not isinstance(name, str):
            raise TemplateError("Template format error: Every Condition member must be a string.")
        if name not in self._decided:
            if name not in self.conditions:
                raise TemplateError(f"Template error: unresolved condition dependency {name} in Fn::If")
            if name in self._deciding:
                raise TemplateError(f"Template format error: Circular dependency between conditions: [{name}]")
            self._deciding.add(name)
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


def references(value: Any, scope: Scope | None = None) -> Iterator[tuple[str, str]]:
    """(logical id, attribute or "") of everything that a value refers to; with a scope, only in those branches of
    `Fn::If` that its conditions take."""
    if isinstance(value, list):
        for item in value:
            yield from references(item, scope)
    if not isinstance(value, dict):
        return
    for name, argument in value.items():
        if name == "Ref" and isinstance(argument, str):
            yield argument, ""
        elif name == "Fn::GetAtt" and len(value) == 1:
            target, attribute = _get_att_parts(argument)
            yield target, attribute if isinstance(attribute, str) else "?"
        elif name == "Fn::Sub" and len(value) == 1:
            yield from _sub_references(argument, scope)
        elif name == "Fn::If" and scope is not None and isinstance(argument, list) and len(argument) == 3:
            yield from references(argument[1] if scope.holds(argument[0]) else argument[2], scope)
        else:
            yield from references(argument, scope)


def conditions(value: Any) -> Iterator[Any]:
    """The names of all conditions that a value asks for."""
    if isinstance(value, list):
        for item in value:
            yield from conditions(item)
    if isinstance(value, dict):
        for name, argument in value.items():
            if name == "Fn::If" and isinstance(argument, list) and argument:
                yield argument[0]
            yield from conditions(argument)


def _sub_references(argument: Any, scope: Scope | None) -> Iterator[tuple[str, str]]:
    template, own = _sub_parts(argument)
    yield from references(own, scope)
    for literal, inside in _PLACEHOLDER.findall(template):
        if not literal and inside.strip() not in own:
            target, _, attribute = inside.strip().partition(".")
            yield target, attribute


def functions(value: Any) -> Iterator[str]:
    """The names of all functions in a value."""
    if isinstance(value, list):
        for item in value:
            yield from functions(item)
    if isinstance(value, dict):
        for name, item in value.items():
            if len(value) == 1 and name.startswith("Fn::"):
                yield name
            yield from functions(item)


def known(name: str) -> bool:
    return name in _FUNCTIONS


def _function(name: str, argument: Any, scope: Scope) -> Any:
    function = _FUNCTIONS.get(name)
    if function is None:
        raise TemplateError(f"Template error: {name} is not a function that is known or served here")
    return function(argument, scope)


def _ref(name: Any, scope: Scope) -> Any:
    if not isinstance(name, str):
        raise TemplateError("Template format error: Every Ref object must have a single String value.")
    if name == "AWS::NoValue":
        return NO_VALUE
    if name in scope.parameters:
        return scope.parameters[name]
    return scope.resource(name)


_NO_GET_ATT = "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"  # noqa: E501


def _get_att_parts(argument: Any) -> tuple[str, Any]:
    if isinstance(argument, str):
        target, _, attribute = argument.partition(".")
        parts: tuple[str, Any] = (target, attribute)
    elif isinstance(argument, list) and len(argument) >= 2 and isinstance(argument[0], str):
        rest = argument[1] if len(argument) == 2 else ".".join(map(str, argument[1:]))
        parts = (argument[0], rest)
    else:
        raise TemplateError(_NO_GET_ATT)
    if not all(parts):
        raise TemplateError(_NO_GET_ATT)
    return parts


def _get_att(argument: Any, scope: Scope) -> Any:
    target, attribute = _get_att_parts(argument)
    return scope.attribute(target, str(resolve(attribute, scope)))


_NO_SUB = "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string"  # noqa: E501


def _sub_parts(argument: Any) -> tuple[str, Mapping[str, Any]]:
    template, own = argument if isinstance(argument, list) and len(argument) == 2 else (argument, {})
    if not isinstance(template, str) or not isinstance(own, dict):
        raise TemplateError(_NO_SUB)
    return template, own


def _sub(argument: Any, scope: Scope) -> str:
    template, own = _sub_parts(argument)

    def replaced(found: re.Match[str]) -> str:
        inside = found[2].strip()
        if found[1]:
            return "${" + found[2] + "}"
        if inside in own:
            return text(resolve(own[inside], scope))
        target, dot, attribute = inside.partition(".")
        return text(scope.attribute(target, attribute) if dot else _ref(inside, scope))

    return _PLACEHOLDER.sub(replaced, template)


def text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(text, value))
    if value is NO_VALUE:
        return ""
    return str(value)


def _parts(argument: Any, scope: Scope, count: tuple[int, ...], problem: str) -> list[Any]:
    """The arguments of a function that takes a list of them, worked out."""
    if not isinstance(argument, list) or len(argument) not in count:
        raise TemplateError(f"Template error: every {problem}")
    return [resolve(part, scope) for part in argument]


def _join(argument: Any, scope: Scope) -> str:
    problem = "Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."  # noqa: E501
    delimiter, items = _parts(argument, scope, (2,), problem)
    if not isinstance(items, list) or not isinstance(delimiter, str):
        raise TemplateError(f"Template error: every {problem}")
    return delimiter.join(text(item) for item in items)


def _select(argument: Any, scope: Scope) -> Any:
    problem = "Fn::Select object requires two parameters, the first an integer index and the second a list"
    index, items = _parts(argument, scope, (2,), problem)
    items = items.split(",") if isinstance(items, str) else items
    if not isinstance(items, list) or isinstance(index, bool) or not re.fullmatch(r"\d+", str(index)):
        raise TemplateError(f"Template error: every {problem}")
    if int(index) >= len(items):
        raise TemplateError(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return items[int(index)]


def _split(argument: Any, scope: Scope) -> list[str]:
    problem = "Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split."  # noqa: E501
    delimiter, joined = _parts(argument, scope, (2,), problem)
    if not isinstance(delimiter, str) or not delimiter or isinstance(joined, list | dict):
        raise TemplateError(f"Template error: every {problem}")
    return text(joined).split(delimiter)


def _find_in_map(argument: Any, scope: Scope) -> Any:
    default: Any = NO_VALUE
    if isinstance(argument, list) and len(argument) == 4 and isinstance(argument[3], dict):
        default, argument = argument[3].get("DefaultValue", NO_VALUE), argument[:3]
    problem = "Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value"
    names = [text(part) for part in _parts(argument, scope, (3,), problem)]
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
    value = resolve(argument, scope)
    if isinstance(value, list | dict):
        raise TemplateError("Template error: every Fn::Base64 object must have a String-typed value.")
    return b64encode(text(value).encode()).decode()


_CIDR_COUNT_MAX = 256


def _cidr(argument: Any, scope: Scope) -> list[str]:
    """Fn::Cidr, "count": 1 to 256; "cidrBits": how many bits of an address are the subnet's own."""
    problem = "Fn::Cidr object requires two or three parameters, (1) an ipBlock, (2) a count and (3) optional cidrBits"
    block, count, *rest = _parts(argument, scope, (2, 3), problem)
    try:
        network, wanted, bits = ipaddress.ip_network(str(block), strict=False), int(count), int(rest[0]) if rest else 8
        if not 1 <= wanted <= _CIDR_COUNT_MAX:
            raise TemplateError(f"Template error: Fn::Cidr count must be between 1 and {_CIDR_COUNT_MAX}")
        prefix = network.max_prefixlen - bits
        if prefix < network.prefixlen or 1 << (prefix - network.prefixlen) < wanted:
            raise TemplateError(f"Template error: Fn::Cidr cannot cut {wanted} blocks of {bits} bits out of {block}")
        return [str(subnet) for subnet, _ in zip(network.subnets(new_prefix=prefix), range(wanted), strict=False)]
    except (ValueError, TypeError) as error:
        raise TemplateError(f"Template error: every {problem}") from error


def _get_azs(argument: Any, scope: Scope) -> list[str]:
    region = resolve(argument, scope)
    if not isinstance(region, str):
        raise TemplateError("Template error: every Fn::GetAZs object must be a String: a region, or none for this one")
    region = region or scope.parameters["AWS::Region"]
    return [f"{region}{letter}" for letter in "abc"]


def _import_value(argument: Any, scope: Scope) -> Any:
    return scope.exported(text(resolve(argument, scope)))


def _if(argument: Any, scope: Scope) -> Any:
    if not isinstance(argument, list) or len(argument) != 3:
        raise TemplateError("Template error: Fn::If requires a list argument with the first element being a condition")
    return resolve(argument[1] if scope.holds(argument[0]) else argument[2], scope)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool) and str(value).lower() not in ("true", "false"):
        raise TemplateError("Template format error: Every Conditions member must evaluate to true or false.")
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _equals(argument: Any, scope: Scope) -> bool:
    left, right = _parts(argument, scope, (2,), "Fn::Equals object requires a list of 2 string parameters.")
    return bool(text(left) == text(right)) if not isinstance(left, dict | list) else bool(left == right)


_OPERANDS = tuple(range(2, 11))


def _and(argument: Any, scope: Scope) -> bool:
    problem = "Fn::And object requires a list of at least 2 and at most 10 boolean parameters."
    return all(list(map(_truth, _parts(argument, scope, _OPERANDS, problem))))


def _or(argument: Any, scope: Scope) -> bool:
    problem = "Fn::Or object requires a list of at least 2 and at most 10 boolean parameters."
    return any(list(map(_truth, _parts(argument, scope, _OPERANDS, problem))))


def _not(argument: Any, scope: Scope) -> bool:
    [part] = _parts(argument, scope, (1,), "Fn::Not object requires one boolean parameter.")
    return not _truth(part)


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
    "Fn::And": _and,
    "Fn::Or": _or,
    "Fn::Not": _not,
}
