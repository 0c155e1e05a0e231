"""From a template to a plan: what is to be there and in which order, checked before anything is touched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.aws.stacks import intrinsics, rules, schemas
from fogbank.aws.stacks.template import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECTIONS = {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings", "Conditions",
             "Transform", "Resources", "Outputs", "Hooks", "Globals"}  # fmt: skip
_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")
_PARAMETERS_MAX = 200
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


def parameters(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The value of each parameter. Raises `TemplateError` with CloudFormation's words."""
    declared = _declared(template)
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values: dict[str, str] = {}
    missing = []
    for name, facts in declared.items():
        if name in given:
            values[name] = str(given[name])
        elif "Default" in facts:
            values[name] = _scalar_text(facts["Default"])
        else:
            missing.append(name)
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in values.items():
        _check_parameter(name, declared[name], value)
    return values


_TYPES = ("String", "Number", "List<Number>", "CommaDelimitedList", "AWS::SSM::Parameter::Name")
_STORED = re.compile(r"AWS::SSM::Parameter::Value<(?P<type>String|List<String>|CommaDelimitedList|(?:List<)?AWS::[A-Za-z0-9:]+>?)>")  # fmt: skip  # noqa: E501
_OF_AWS = re.compile(r"(?:List<)?AWS::(?:EC2|Route53)::[A-Za-z0-9:]+>?")


def _declared(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    declared = template.get("Parameters") or {}
    if not isinstance(declared, dict):
        raise TemplateError("Template format error: Parameters must be an object.")
    if len(declared) > _PARAMETERS_MAX:
        raise TemplateError(f"Template format error: Number of parameters, {len(declared)}, is greater than maximum allowed, {_PARAMETERS_MAX}")  # fmt: skip  # noqa: E501
    for name, facts in declared.items():
        if not _LOGICAL_ID.fullmatch(name):
            raise TemplateError(f"Template format error: Parameter name {name} is non alphanumeric.")
        if not isinstance(facts, dict) or not isinstance(facts.get("Type"), str):
            raise TemplateError("Template format error: Every Parameters object must contain a Type member.")
        kind = facts["Type"]
        if kind not in _TYPES and not _STORED.fullmatch(kind) and not _OF_AWS.fullmatch(kind):
            raise TemplateError(f"Template format error: Unrecognized parameter type: {kind}")
        if isinstance(facts.get("Default"), dict | list):
            raise TemplateError("Template format error: Every Default member must be a string.")
        if not isinstance(facts.get("AllowedValues", []), list):
            raise TemplateError("Template format error: Every AllowedValues member must be a list.")
    return declared


def stored_parameters(template: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    """Which parameters hold the name of one in the Parameter Store, and that name."""
    declared = _declared(template)
    return {name: value for name, value in values.items() if _STORED.fullmatch(declared[name]["Type"])}


def _scalar_text(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)


def _check_parameter(name: str, facts: Mapping[str, Any], value: str) -> None:
    kind = facts.get("Type", "String")
    values = [part.strip() for part in value.split(",")] if _is_list(kind) else [value]
    told = facts.get("ConstraintDescription")
    for one in values:
        if "AllowedValues" in facts and one not in [_scalar_text(allowed) for allowed in facts["AllowedValues"]]:
            raise TemplateError(told or f"Parameter '{name}' must be one of AllowedValues")
        if "AllowedPattern" in facts and not _fits(name, str(facts["AllowedPattern"]), one):
            raise TemplateError(told or f"Parameter {name} failed to satisfy constraint: Parameter value {one} does not match pattern {facts['AllowedPattern']}")  # fmt: skip  # noqa: E501
        if "MinLength" in facts and len(one) < _limit(name, facts, "MinLength"):
            raise TemplateError(told or f"Parameter '{name}' must contain at least {facts['MinLength']} characters")
        if "MaxLength" in facts and len(one) > _limit(name, facts, "MaxLength"):
            raise TemplateError(told or f"Parameter '{name}' must contain at most {facts['MaxLength']} characters")
        if kind in ("Number", "List<Number>"):
            _check_number(name, facts, one, told)


def _fits(name: str, pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error as error:
        raise TemplateError(f"Template format error: AllowedPattern of parameter {name} is not a regular expression: {error}") from error  # fmt: skip  # noqa: E501


def _check_number(name: str, facts: Mapping[str, Any], value: str, told: str | None) -> None:
    try:
        number = float(value)
    except ValueError as error:
        raise TemplateError(told or f"Parameter '{name}' must be a number") from error
    if "MinValue" in facts and number < _limit(name, facts, "MinValue"):
        raise TemplateError(told or f"Parameter '{name}' must be a number not less than {facts['MinValue']}")
    if "MaxValue" in facts and number > _limit(name, facts, "MaxValue"):
        raise TemplateError(told or f"Parameter '{name}' must be a number not greater than {facts['MaxValue']}")


def _limit(name: str, facts: Mapping[str, Any], member: str) -> float:
    try:
        return float(facts[member])
    except (ValueError, TypeError) as error:
        raise TemplateError(f"Template format error: {member} of parameter {name} must be a number.") from error


def _is_list(kind: str) -> bool:
    stored = _STORED.fullmatch(kind)
    kind = stored["type"] if stored else kind
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
    """The form of a processed template: sections, resources, functions, references. Raises `TemplateError`."""
    unknown = sorted(set(template) - _SECTIONS)
    if unknown:
        raise TemplateError(f"Invalid template property or properties [{', '.join(unknown)}]")
    for section in ("Mappings", "Conditions", "Outputs", "Metadata", "Rules"):
        if not isinstance(template.get(section) or {}, dict):
            raise TemplateError(f"Template format error: {section} must be an object.")
    resources = template.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    for section, most in (("Resources", 500), ("Outputs", 200), ("Mappings", 200)):
        if len(template.get(section) or {}) > most:
            raise TemplateError(f"Template format error: Number of {section.lower()}, {len(template[section])}, is greater than maximum allowed, {most}")  # fmt: skip  # noqa: E501
    types = [_checked_resource(name, resource) for name, resource in resources.items()]
    unserved = sorted({name for name in types if not known_types(name)})
    if unserved:
        raise TemplateError(f"Template format error: Unrecognized resource types: [{', '.join(unserved)}]. fogbank does not serve them; `fogbank coverage` lists the types it serves.")  # fmt: skip  # noqa: E501
    _check_outputs(template.get("Outputs") or {})
    for name in intrinsics.functions([template.get(section) for section in ("Conditions", "Resources", "Outputs")]):
        if not intrinsics.known(name):
            raise TemplateError(f"Template error: {name} is not a function that is known or served here")
    _check_conditions(template)
    _check_references(template)


_MEMBERS = {"Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdateReplacePolicy",
            "UpdatePolicy", "CreationPolicy"}  # fmt: skip
_POLICIES = {"DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
             "UpdateReplacePolicy": ("Delete", "Retain", "Snapshot")}  # fmt: skip


def _checked_resource(name: str, resource: Any) -> str:
    """The type of a resource that has the form of one."""
    if not _LOGICAL_ID.fullmatch(name):
        raise TemplateError(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(resource, dict):
        raise TemplateError(f"Template format error: [/Resources/{name}] Every Resources object must be an object.")
    if not isinstance(resource.get("Type"), str):
        raise TemplateError(f"Template format error: [/Resources/{name}/Type] 'null' values are not allowed in templates")  # fmt: skip  # noqa: E501
    for member in sorted(resource.keys() - _MEMBERS):
        raise TemplateError(f"Invalid template resource property '{member}'")
    if not isinstance(resource.get("Properties") or {}, dict):
        raise TemplateError(f"Template format error: [/Resources/{name}/Properties] Every Properties member must be an object.")  # fmt: skip  # noqa: E501
    if not all(isinstance(one, str) for one in _depends_on(resource)):
        raise TemplateError("Template format error: Every DependsOn value must be a string.")
    kind = str(resource["Type"])
    for member, allowed in _POLICIES.items():
        chosen = resource.get(member, "Delete")
        if isinstance(chosen, str) and chosen not in allowed:
            raise TemplateError(f"Template format error: Unrecognized {member} {chosen} for resource {name}")
        if chosen == "Snapshot":  # Of none that is served here.
            told = "deletion policy Snapshot" if member == "DeletionPolicy" else "update replace policy Snapshot"
            raise TemplateError(f"Template error: resource type {kind} does not support {told}")
    for member in ("UpdatePolicy", "CreationPolicy"):
        if resource.get(member):
            raise TemplateError(f"{member} of the resource {name} is not served here.")
    return kind


def _check_outputs(outputs: Mapping[str, Any]) -> None:
    for name, facts in outputs.items():
        if not _LOGICAL_ID.fullmatch(name):
            raise TemplateError(f"Template format error: Output name {name} is non alphanumeric.")
        if not isinstance(facts, dict):
            raise TemplateError("Template format error: Every Outputs member must be an object.")
        if facts.get("Value") is None:
            raise TemplateError("Template format error: Every Outputs member must contain a Value object")
        if "Export" in facts and (not isinstance(facts["Export"], dict) or not facts["Export"].get("Name")):
            raise TemplateError(f"Template format error: Output {name} is malformed. Export must have a Name.")


def _check_conditions(template: Mapping[str, Any]) -> None:
    conditions = template.get("Conditions") or {}
    declared = template.get("Parameters") or {}
    unresolved = {
        target
        for target, _ in intrinsics.references(conditions)
        if target not in declared and target not in intrinsics.PSEUDO
    }
    if unresolved:
        raise TemplateError(f"Template format error: Unresolved dependencies [{', '.join(sorted(unresolved))}]. Cannot reference resources in the Conditions block of the template")  # fmt: skip  # noqa: E501
    for section in ("Resources", "Outputs"):
        parts = template.get(section) or {}
        named = [part["Condition"] for part in parts.values() if isinstance(part, dict) and "Condition" in part]
        for name in [*named, *intrinsics.conditions(parts)]:
            if not isinstance(name, str) or name not in conditions:
                raise TemplateError(f"Template format error: Unresolved condition dependency {name} in the {section} block of the template")  # fmt: skip  # noqa: E501


def _check_references(template: Mapping[str, Any]) -> None:
    resources, declared = template["Resources"], template.get("Parameters", {}) or {}
    for section in ("Resources", "Outputs"):
        unresolved = set()
        for part in (template.get(section) or {}).values():
            for target, attribute in intrinsics.references(part):
                if target in resources or (not attribute and (target in declared or target in intrinsics.PSEUDO)):
                    continue
                if attribute:
                    raise TemplateError(
                        f"Template error: instance of Fn::GetAtt references undefined resource {target}"
                    )
                unresolved.add(target)
            unresolved |= {one for one in _depends_on(part) if section == "Resources" and one not in resources}
        _raise_unresolved(unresolved, section)


def _raise_unresolved(names: set[str], section: str) -> None:
    if names:
        raise TemplateError(f"Template format error: Unresolved resource dependencies [{', '.join(sorted(names))}] in the {section} block of the template")  # fmt: skip  # noqa: E501


def check_chosen(template: Mapping[str, Any], scope: intrinsics.Scope) -> None:
    """What the parameters make of a template: rules that hold, nothing that refers to what its condition leaves out,
    and an order to make it in. Raises `TemplateError`."""
    rules.check(template, scope)
    for name in template.get("Conditions") or {}:
        scope.holds(name)
    wanted = planned(template, scope)
    for section in ("Resources", "Outputs"):
        unresolved: set[str] = set()
        for name, part in (template.get(section) or {}).items():
            there = name in wanted if section == "Resources" else "Condition" not in part or scope.holds(part["Condition"])  # fmt: skip  # noqa: E501
            if there:
                found = {target for target, _ in intrinsics.references(part, scope)}
                unresolved |= (found & template["Resources"].keys()) - wanted.keys()
        _raise_unresolved(unresolved, section)
    order({name: set(one.depends_on) for name, one in wanted.items()})


def _depends_on(resource: Mapping[str, Any]) -> list[Any]:
    given = resource.get("DependsOn") or []
    return list(given) if isinstance(given, list) else [given]


def depends(
    template: Mapping[str, Any], wanted: Mapping[str, Any], scope: intrinsics.Scope | None = None
) -> dict[str, set[str]]:
    """What each resource must wait for."""
    resources = template["Resources"]
    return {
        name: {
            target
            for target in [
                *_depends_on(resources[name]),
                *(t for t, _ in intrinsics.references(resources[name], scope)),
            ]
            if target in wanted
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
    waits = depends(template, wanted, scope)
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
