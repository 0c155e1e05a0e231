"""The Rules section: what parameters must be together, checked before anything is touched.

CloudFormation User Guide, "Rules" and "Rule-specific intrinsic functions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.aws.stacks import intrinsics
from fogbank.aws.stacks.template import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fogbank.aws.stacks.intrinsics import Scope

_INNER = ("Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals")


def check(template: Mapping[str, Any], scope: Scope) -> None:
    """Raises `TemplateError` with what each failed assertion says of itself."""
    rules = template.get("Rules") or {}
    if not isinstance(rules, dict):
        raise TemplateError("Template format error: [/Rules] Every Rules member must be an object.")
    problems = []
    for name, rule in rules.items():
        if not isinstance(rule, dict) or not isinstance(rule.get("Assertions"), list):
            raise TemplateError(f"Template format error: [/Rules/{name}] Every Rules object must contain an Assertions member.")  # noqa: E501  # fmt: skip
        if "RuleCondition" in rule and not _holds(rule["RuleCondition"], scope):
            continue
        for assertion in rule["Assertions"]:
            if not isinstance(assertion, dict) or "Assert" not in assertion:
                raise TemplateError(f"Template format error: [/Rules/{name}] Every assertion must contain an Assert member.")  # noqa: E501  # fmt: skip
            if not _holds(assertion["Assert"], scope):
                problems.append(f"{name}: {assertion.get('AssertDescription', 'an assertion does not hold')}")
    if problems:
        raise TemplateError(f"Template validation error: Template failed validation for rules [{'; '.join(problems)}]")


def _holds(value: Any, scope: Scope) -> bool:
    found = _work_out(value, scope)
    if not isinstance(found, bool):
        raise TemplateError("Template format error: Every rule must evaluate to true or false.")
    return found


def _work_out(value: Any, scope: Scope) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        name, argument = next(iter(value.items()))
        if name in _FUNCTIONS:
            if not isinstance(argument, list) or len(argument) != 2:
                raise TemplateError(f"Template error: every {name} object requires two parameters.")
            return _FUNCTIONS[name](*(_work_out(part, scope) for part in argument))
        if name in ("Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll"):
            raise TemplateError(f"Template error: {name} asks for parameters of AWS-specific types, which are not served here.")  # noqa: E501  # fmt: skip
        if name in _INNER:
            return intrinsics.resolve({name: [_work_out(part, scope) for part in _list(argument)]}, scope)
    return intrinsics.resolve(value, scope)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_FUNCTIONS: dict[str, Callable[[Any, Any], bool]] = {
    "Fn::Contains": lambda strings, one: one in _list(strings),
    "Fn::EachMemberEquals": lambda strings, one: all(string == one for string in _list(strings)),
    "Fn::EachMemberIn": lambda strings, among: set(map(str, _list(strings))) <= set(map(str, _list(among))),
}
