"""The transform AWS::LanguageExtensions: `Fn::ForEach` unrolled before anything else is looked at.

CloudFormation User Guide, "AWS::LanguageExtensions transform" and "Fn::ForEach". The functions that it adds besides
(Fn::Length, Fn::ToJsonString, the default of Fn::FindInMap) are worked out with all others, in `intrinsics`.
"""

from __future__ import annotations

import re
from typing import Any

from fogbank.aws.stacks import intrinsics
from fogbank.aws.stacks.template import TemplateError

_LOOP = "Fn::ForEach::"
_UNROLLED_MAX = 20_000
_FAILED = "Transform AWS::LanguageExtensions failed with: "


def expand(document: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The template without loops. Raises `TemplateError`."""
    scope = intrinsics.Scope(
        parameters=parameters, conditions=document.get("Conditions") or {}, mappings=document.get("Mappings") or {},
        resource=_not_yet, attribute=_not_yet, exported=_not_yet,
    )  # fmt: skip
    return dict(_Unroller(scope).unrolled(document, {}))


def _not_yet(*_: Any) -> Any:
    raise TemplateError(f"{_FAILED}Fn::ForEach can only loop over what is known before the stack is made.")


class _Unroller:
    def __init__(self, scope: intrinsics.Scope) -> None:
        self._scope, self._left = scope, _UNROLLED_MAX

    def unrolled(self, value: Any, names: dict[str, str]) -> Any:
        """`names`: the loop variables around it, with what they stand for."""
        self._left -= 1
        if self._left < 0:
            raise TemplateError(f"{_FAILED}the template becomes too large.")
        if isinstance(value, str):
            return _filled(value, names)
        if isinstance(value, list):
            return [self.unrolled(item, names) for item in value]
        if not isinstance(value, dict):
            return value
        if list(value) == ["Ref"] and value["Ref"] in names:
            return names[value["Ref"]]
        made: dict[str, Any] = {}
        for key, item in value.items():
            if key.startswith(_LOOP):
                made.update(self._loop(key, item, names))
            else:
                made[_filled(key, names)] = self.unrolled(item, names)
        return made

    def _loop(self, key: str, item: Any, names: dict[str, str]) -> dict[str, Any]:
        good = isinstance(item, list) and len(item) == 3 and isinstance(item[0], str) and isinstance(item[2], dict)
        if not good:
            raise TemplateError(f"{_FAILED}Fn::ForEach layout is incorrect: {key}")
        variable, collection, body = item
        if variable in names:
            raise TemplateError(f"{_FAILED}Fn::ForEach identifiers must be unique: {variable}")
        values = intrinsics.resolve(self.unrolled(collection, names), self._scope)
        if not isinstance(values, list):
            raise TemplateError(f"{_FAILED}Fn::ForEach collection must be a list: {key}")
        made: dict[str, Any] = {}
        for value in dict.fromkeys(map(str, values)):
            made.update(self.unrolled(body, names | {variable: value}))
        return made


def _filled(text: str, names: dict[str, str]) -> str:
    """`${Name}` as it is, `&{Name}` as letters and digits only."""
    for name, value in names.items():
        text = text.replace(f"${{{name}}}", value)
        if f"&{{{name}}}" in text:
            text = text.replace(f"&{{{name}}}", re.sub(r"[^A-Za-z0-9]", "", value))
    return text
