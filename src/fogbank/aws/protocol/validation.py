"""Parameters held against the model, with the words that AWS uses when they do not fit.

Checked as the services check: required members, lengths, ranges, enumerations. Patterns are left to the operations:
the models' are wider or narrower than what the services enforce.
"""

from __future__ import annotations

from datetime import datetime
from numbers import Real
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from fogbank.aws.protocol.models import Shape

# What each service calls a request that does not fit its model; by service, then by protocol.
_CODES = {
    "cognito-idp": "InvalidParameterException",
    "logs": "InvalidParameterException",
    "sqs": "InvalidParameterValue",
}
_PROTOCOL_CODES = {"query": "ValidationError", "rest-xml": "InvalidRequest"}
# Enumerations grow and some models are behind their services; these are checked by the services' own operations.
_OPEN_ENUMS = frozenset(["QueueAttributeName", "MessageSystemAttributeName"])
_SHOWN_MAX = 10
_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "boolean": bool, "integer": int, "long": int, "float": Real, "double": Real, "list": list,
    "map": dict, "structure": dict, "timestamp": datetime,
}  # fmt: skip
_WIRE_TYPES = {bool: "TRUE_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", str: "STRING_VALUE"}
_JAVA_TYPES = {"string": "String", "boolean": "Boolean", "integer": "Integer", "long": "Long", "double": "Double"}


class Unreadable(Exception):
    """A value of another type than the model's: SerializationException where JSON is spoken."""


def check(service: str, protocol: str, shape: Shape | None, parameters: dict[str, Any]) -> None:
    """Raises `ServiceError` in the service's own form, or `Unreadable`."""
    if shape is None:
        return
    problems: list[tuple[str, str, Any]] = []
    _walk(shape, parameters, "", problems)
    if not problems:
        return
    if service == "sqs":
        raise _sqs_error(*problems[0])
    told = "; ".join(_sentence(*problem) for problem in problems[:_SHOWN_MAX])
    plural = "" if len(problems) == 1 else "s"
    code = _CODES.get(service) or _PROTOCOL_CODES.get(protocol, "ValidationException")
    raise ServiceError(code, f"{len(problems)} validation error{plural} detected: {told}")


def _sentence(at: str, constraint: str, value: Any) -> str:
    shown = "null" if value is None else f"'{_shown(value)}'"
    return f"Value {shown} at '{at}' failed to satisfy constraint: {constraint}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_shown(item)}" for name, item in value.items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _sqs_error(at: str, constraint: str, value: Any) -> ServiceError:
    name = at[:1].upper() + at[1:]
    if value is None:
        return ServiceError("MissingParameter", f"The request must contain the parameter {name}.")
    return ServiceError(
        "InvalidParameterValue", f"Value {_shown(value)} for parameter {name} is invalid. Reason: {constraint}."
    )


def _walk(shape: Shape, value: Any, at: str, problems: list[tuple[str, str, Any]]) -> None:
    if shape.trait("jsonvalue") or shape.trait("document"):
        return  # Any JSON, which the model says no more about.
    _check_type(shape, value)
    if shape.type == "structure":
        _walk_structure(shape, value, at, problems)
        return
    if shape.type == "list":
        for number, item in enumerate(value, 1):
            _walk(shape.member, item, f"{at}.{number}.member", problems)
    elif shape.type == "map":
        for name, item in value.items():
            _walk(shape.value, item, f"{at}.{name}.member", problems)
    constraint = _broken(shape, value)
    if constraint:
        problems.append((at, constraint, value))


def _walk_structure(shape: Shape, value: dict[str, Any], at: str, problems: list[tuple[str, str, Any]]) -> None:
    dot = f"{at}." if at else ""
    problems.extend(
        (dot + _camel(name), "Member must not be null", None)
        for name in shape.required
        if value.get(name) is None and not shape.members[name].trait("idempotencyToken")
    )
    members = shape.members
    for name, item in value.items():
        if name in members and item is not None:
            _walk(members[name], item, dot + _camel(name), problems)


def _broken(shape: Shape, value: Any) -> str:
    """The constraint that the value breaks, in AWS's words, or nothing."""
    enum, least, most = shape.trait("enum"), shape.trait("min"), shape.trait("max")
    if enum is not None and value not in enum and shape.name not in _OPEN_ENUMS:
        return f"Member must satisfy enum value set: [{', '.join(enum)}]"
    if shape.type in ("string", "list", "map", "blob"):
        size, what = len(value), "length"
    elif shape.type in ("integer", "long", "float", "double"):
        size, what = value, "value"
    else:
        return ""
    if least is not None and size < least:
        return f"Member must have {what} greater than or equal to {least}"
    if most is not None and size > most:
        return f"Member must have {what} less than or equal to {most}"
    return ""


def _check_type(shape: Shape, value: Any) -> None:
    wanted = _PYTHON_TYPES.get(shape.type)
    if wanted is None or shape.trait("eventstream"):
        return
    if isinstance(value, wanted) and not (isinstance(value, bool) and shape.type != "boolean"):
        return
    found = _WIRE_TYPES.get(type(value))
    if found is None:
        raise Unreadable(
            f"Start of {'list' if isinstance(value, list) else 'structure or map'} found where not expected"
        )
    if shape.type in ("structure", "list", "map"):
        raise Unreadable(f"Expected {'list' if shape.type == 'list' else 'a map or structure'} or null")
    raise Unreadable(f"{found} cannot be converted to {_JAVA_TYPES.get(shape.type, shape.type.title())}")


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
