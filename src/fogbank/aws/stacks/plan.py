"""From a template to a plan: what is to be there and in which order, checked before anything is touched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.aws.stacks import intrinsics, schemas
from fogbank.aws.stacks.template import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECTIONS = {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings", "Conditions",
             "Transform", "Resources", "Outputs", "Hooks", "Globals"}  # fmt: skip
_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")
_IAM = ("AWS::IAM::",)
_IAM_NAMES = {
    f"AWS::IAM::{kind}": f"{kind}Name" for kind in ("Role", "User", "Group", "ManagedPolicy", "InstanceProfile")
}


@dataclass(frozen=True, slots=True)
class Planned:
    """One resource of the template that is to be there."""

    logical_id: str
    type: str
    properties: dict[str, Any]  # Functions not yet worked out.
    depends_on: tuple[str, ...]
    deletion: str
    replace_policy: str


def parameters(
    template: Mapping[str, Any], given: Mapping[str, str], before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The value of each parameter. Raises `TemplateError` with CloudFormation's words."""
    declared = template.get("Parameters", {}) or {}
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values: dict[str, str] = {}
    missing = []
    for name, facts in declared.items():
        if name in given:
            values[name] = str(given[name])
        elif before is not None and name in before and "Default" not in facts:
            missing.append(name)
        elif "Default" in facts:
            values[name] = _scalar_text(facts["Default"])
        else:
            missing.append(name)
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in values.items():
        _check_parameter(name, declared[name], value)
    return values


def _scalar_text(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)


def _check_parameter(name: str, facts: Mapping[str, Any], value: str) -> None:
    kind = facts.get("Type", "String")
    values = [part.strip() for part in value.split(",")] if _is_list(kind) else [value]
    told = facts.get("ConstraintDescription")
    for one in values:
        if "AllowedValues" in facts and one not in [_scalar_text(allowed) for allowed in facts["AllowedValues"]]:
            raise TemplateError(told or f"Parameter '{name}' must be one of AllowedValues")
        if "AllowedPattern" in facts and not re.fullmatch(facts["AllowedPattern"], one):
            raise TemplateError(told or f"Parameter {name} failed to satisfy constraint: Parameter value {one} does not match pattern {facts['AllowedPattern']}")  # fmt: skip  # noqa: E501
        if "MinLength" in facts and len(one) < int(facts["MinLength"]):
            raise TemplateError(told or f"Parameter '{name}' must contain at least {facts['MinLength']} characters")
        if "MaxLength" in facts and len(one) > int(facts["MaxLength"]):
            raise TemplateError(told or f"Parameter '{name}' must contain at most {facts['MaxLength']} characters")
        if kind in ("Number", "List<Number>"):
            _check_number(name, facts, one, told)
    if kind.startswith("AWS::SSM::Parameter"):
        raise TemplateError(f"Parameter {name}: parameters of type {kind} are not served here")


def _check_number(name: str, facts: Mapping[str, Any], value: str, told: str | None) -> None:
    try:
        number = float(value)
    except ValueError as error:
        raise TemplateError(told or f"Parameter '{name}' must be a number") from error
    if "MinValue" in facts and number < float(facts["MinValue"]):
        raise TemplateError(told or f"Parameter '{name}' must be a number not less than {facts['MinValue']}")
    if "MaxValue" in facts and number > float(facts["MaxValue"]):
        raise TemplateError(told or f"Parameter '{name}' must be a number not greater than {facts['MaxValue']}")


def _is_list(kind: str) -> bool:
    return kind == "CommaDelimitedList" or kind.startswith("List<")


def parameter_values(template: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """As functions see them: lists are lists."""
    declared = template.get("Parameters", {}) or {}
    return {
        name: [part.strip() for part in value.split(",")] if _is_list(declared[name].get("Type", "String")) else value
        for name, value in values.items()
        if name in declared
    }


def check(template: Mapping[str, Any], known_types: Callable[[str], bool]) -> None:
    """The form of a processed template: sections, resources, references, cycles. Raises `TemplateError`."""
    unknown = sorted(set(template) - _SECTIONS)
    if unknown:
        raise TemplateError(f"Invalid template property or properties [{', '.join(unknown)}]")
    resources = template.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    types = []
    for name, resource in resources.items():
        if not _LOGICAL_ID.fullmatch(name):
            raise TemplateError(f"Template format error: Resource name {name} is non alphanumeric.")
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise TemplateError(f"Template format error: [/Resources/{name}/Type] 'null' values are not allowed in templates" if isinstance(resource, dict) else f"Template format error: [/Resources/{name}] Every Resources object must be an object.")  # fmt: skip  # noqa: E501
        if not known_types(resource["Type"]):
            types.append(resource["Type"])
    if types:
        told = ", ".join(sorted(set(types)))
        raise TemplateError(f"Template format error: Unrecognized resource types: [{told}]. fogbank does not serve them; `fogbank coverage` lists the types it serves.")  # fmt: skip  # noqa: E501
    _check_references(template)
    order(depends(template, resources))


def _check_references(template: Mapping[str, Any]) -> None:
    resources, declared = template["Resources"], template.get("Parameters", {}) or {}
    for section in ("Resources", "Outputs"):
        unresolved = set()
        for name, part in (template.get(section) or {}).items():
            for target, attribute in intrinsics.references(part):
                if target in resources or (not attribute and (target in declared or target in intrinsics.PSEUDO)):
                    continue
                if attribute:
                    raise TemplateError(
                        f"Template error: instance of Fn::GetAtt references undefined resource {target}"
                    )
                unresolved.add(target)
            for target in _depends_on(part) if section == "Resources" else ():
                if target not in resources:
                    unresolved.add(target)
            _ = name
        if unresolved:
            told = ", ".join(sorted(unresolved))
            raise TemplateError(f"Template format error: Unresolved resource dependencies [{told}] in the {section} block of the template")  # fmt: skip  # noqa: E501


def _depends_on(resource: Mapping[str, Any]) -> list[str]:
    given = resource.get("DependsOn", [])
    return [given] if isinstance(given, str) else list(given)


def depends(template: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, set[str]]:
    """What each resource must wait for."""
    resources = template["Resources"]
    return {
        name: {
            target
            for target in [*_depends_on(resources[name]), *(t for t, _ in intrinsics.references(resources[name]))]
            if target in wanted and target != name
        }
        for name in wanted
    }


def order(waits: Mapping[str, set[str]]) -> list[str]:
    """All names, each after what it waits for. Raises `TemplateError` for a circle, naming who is in it."""
    left, done = {name: set(targets) for name, targets in waits.items()}, []
    while left:
        free = [name for name, targets in left.items() if not targets]
        if not free:
            raise TemplateError(f"Circular dependency between resources: [{', '.join(left)}]")
        for name in free:
            del left[name]
        done += free
        for targets in left.values():
            targets.difference_update(free)
    return done


def planned(template: Mapping[str, Any], scope: intrinsics.Scope) -> dict[str, Planned]:
    """The resources whose conditions hold."""
    resources = template["Resources"]
    wanted = {
        name: resource
        for name, resource in resources.items()
        if "Condition" not in resource or scope.holds(resource["Condition"])
    }
    waits = depends(template, wanted)
    return {
        name: Planned(
            name, resource["Type"], resource.get("Properties") or {}, tuple(sorted(waits[name])),
            str(intrinsics.resolve(resource.get("DeletionPolicy", "Delete"), scope)),
            str(intrinsics.resolve(resource.get("UpdateReplacePolicy", "Delete"), scope)),
        )
        for name, resource in wanted.items()
    }  # fmt: skip


def needed_capability(template: Mapping[str, Any]) -> str:
    """CAPABILITY_IAM or CAPABILITY_NAMED_IAM, or nothing."""
    needed = ""
    for resource in template["Resources"].values():
        kind, properties = resource["Type"], resource.get("Properties") or {}
        if kind in _IAM_NAMES and _IAM_NAMES[kind] in properties:
            return "CAPABILITY_NAMED_IAM"
        if kind.startswith(_IAM):
            needed = "CAPABILITY_IAM"
    return needed


def replaces(type_name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Does going from old to new properties need another resource? The published schema says which do."""
    schema = schemas.find(type_name)
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return bool(schema and changed & schema.create_only)
