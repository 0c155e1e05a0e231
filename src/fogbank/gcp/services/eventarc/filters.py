"""Event filters: which events a trigger asks for. All of its filters must match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.gcp.service import Code, RpcError
from fogbank.gcp.services.eventarc import catalog, patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fogbank.gcp.services.eventarc.catalog import EventType

_BY_PATTERN: Final = "match-path-pattern"


class Filter(msgspec.Struct, frozen=True):
    attribute: str
    value: str
    is_pattern: bool = False

    def matches(self, given: str) -> bool:
        if self.is_pattern:
            return patterns.compiled(self.value).match(given) is not None
        return self.value == given


def matches(filters: Iterable[Filter], attributes: Mapping[str, str]) -> bool:
    return all(one.attribute in attributes and one.matches(attributes[one.attribute]) for one in filters)


def read(told: Sequence[Any]) -> tuple[EventType, list[Filter]]:
    """The type of event that a trigger's `event_filters` name, and what else they ask for. Raises `RpcError`."""
    by_name = {one.attribute: one for one in told}
    if len(by_name) < len(told):
        raise invalid("trigger.event_filters has the same attribute twice")
    given = by_name.pop("type", None)
    if given is None:
        raise invalid('missing required attribute "type" in trigger.event_filters')
    kind = _type(given)
    known = {attribute.name: attribute for attribute in kind.attributes}
    for attribute in kind.attributes:
        if attribute.required and attribute.name not in by_name:
            raise invalid(f'missing required attribute "{attribute.name}" in trigger.event_filters')
    return kind, [_filter(known, one) for one in by_name.values()]


def _type(given: Any) -> EventType:
    if given.operator:
        raise invalid('an operator is not supported for the attribute "type"')
    if given.value == catalog.AUDIT:
        raise RpcError(Code.UNIMPLEMENTED, f"fogbank keeps no audit logs, and gives no events of type {catalog.AUDIT}.")
    kind = catalog.TYPES.get(given.value)
    if kind is None:
        raise invalid(f'invalid value for attribute "type" in trigger.event_filters: "{given.value[:256]}"')
    return kind


def _filter(known: Mapping[str, catalog.Attribute], given: Any) -> Filter:
    attribute = known.get(given.attribute)
    if attribute is None:
        raise invalid(f'invalid attribute "{given.attribute[:256]}" in trigger.event_filters')
    if not given.value:
        raise invalid(f'empty value for attribute "{given.attribute}" in trigger.event_filters')
    if given.operator not in ("", _BY_PATTERN):
        raise invalid(f'invalid operator "{given.operator[:256]}" in trigger.event_filters')
    if not given.operator:
        return Filter(given.attribute, given.value)
    if not attribute.patterns:
        raise invalid(f'the attribute "{given.attribute}" does not support the operator {_BY_PATTERN}')
    try:
        patterns.compiled(given.value)
    except patterns.BadPattern as error:
        raise invalid(f'invalid path pattern "{given.value[:512]}": {error}') from error
    return Filter(given.attribute, given.value, is_pattern=True)


def invalid(text: str) -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, f"The request was invalid: {text}.")
