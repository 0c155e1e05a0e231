"""What a change set would do: resource by resource, and for those that change property by property.

What only a deploy will know (the ids of new resources) stands here as itself, so what refers to a resource that will be
replaced is seen to change. API reference, ResourceChange and ResourceChangeDetail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.stacks import intrinsics, plan, records
from fogbank.aws.stacks.template import TemplateError
from fogbank.aws.stacks.values import pseudo

if TYPE_CHECKING:
    from fogbank.aws.stacks.records import Stack, Wanted
    from fogbank.kernel.store import Tx

_BESIDE = ("DeletionPolicy", "UpdateReplacePolicy", "Metadata", "UpdatePolicy", "CreationPolicy")


@dataclass(slots=True)
class _Sight:
    """A template with the values it would have, as far as can be seen."""

    wanted: Wanted
    stack: Stack
    replaced: set[str] = field(default_factory=set)

    def scope(self) -> intrinsics.Scope:
        template = self.wanted.template
        values = plan.parameter_values(template, self.wanted.parameters | self.wanted.fetched)
        return intrinsics.Scope(
            parameters={**values, **pseudo(self.stack)},
            conditions=template.get("Conditions") or {}, mappings=template.get("Mappings") or {},
            resource=lambda name: f"{{{name}{self._mark(name)}}}",
            attribute=lambda name, attribute: f"{{{name}.{attribute}{self._mark(name)}}}",
            exported=lambda name: f"{{{name}}}",
        )  # fmt: skip

    def _mark(self, name: str) -> str:
        return " anew" if name in self.replaced else ""

    def properties(self, name: str) -> dict[str, Any]:
        given = self.wanted.template["Resources"][name].get("Properties") or {}
        scope = self.scope()
        seen: dict[str, Any] = {}
        for member, value in given.items():
            try:
                seen[member] = intrinsics.resolve(value, scope)
            except TemplateError:  # Something that can be worked out only then: selected from a list not there yet.
                seen[member] = value
        return {member: value for member, value in seen.items() if value is not intrinsics.NO_VALUE}


def of(tx: Tx, stack: Stack, wanted: Wanted) -> list[dict[str, Any]]:
    will = _Sight(wanted, stack)
    planned = plan.planned(wanted.template, will.scope())
    was = _Sight(stack.current, stack) if stack.current else None
    before = plan.planned(stack.current.template, was.scope()) if stack.current and was else {}
    rows = {row.logical_id: row for row in records.RESOURCES.all(tx, stack.id)}
    found: dict[str, dict[str, Any]] = {}
    for name in plan.order({name: set(one.depends_on) for name, one in planned.items()}):
        if name not in before or was is None:
            found[name] = _change("Add", name, planned[name].type, "")
            continue
        physical_id = rows[name].physical_id if name in rows else ""
        change = _modified(name, was, will, physical_id)
        if change is not None:
            found[name] = change
            if change["ResourceChange"].get("Replacement") == "True":
                will.replaced.add(name)
    for name in before.keys() - planned.keys():
        found[name] = _change("Remove", name, before[name].type, rows[name].physical_id if name in rows else "")
    return [found[name] for name in sorted(found)]


def _change(action: str, name: str, kind: str, physical_id: str) -> dict[str, Any]:
    resource = {"Action": action, "LogicalResourceId": name, "ResourceType": kind, "Scope": [], "Details": []}
    return {
        "Type": "Resource",
        "ResourceChange": resource | ({"PhysicalResourceId": physical_id} if physical_id else {}),
    }


def _modified(name: str, was: _Sight, will: _Sight, physical_id: str) -> dict[str, Any] | None:
    old, new = was.properties(name), will.properties(name)
    resource, earlier = will.wanted.template["Resources"][name], was.wanted.template["Resources"][name]
    changed = sorted(member for member in {*old, *new} if old.get(member) != new.get(member))
    beside = [member for member in _BESIDE if resource.get(member) != earlier.get(member)]
    tags = ["Tags"] if was.wanted.tags != will.wanted.tags else []
    scope = [*(["Properties"] if changed else []), *beside, *tags]
    if not scope:
        return None
    made = _change("Modify", name, resource["Type"], physical_id)
    details = [_detail(member, old, new, earlier, resource) for member in changed]
    made["ResourceChange"] |= {
        "Replacement": "True" if plan.replaces(resource["Type"], old, new) else "False",
        "Scope": scope,
        "Details": [*details, *({"Target": {"Attribute": member, "RequiresRecreation": "Never"}, "Evaluation": "Static",
                                 "ChangeSource": "DirectModification"} for member in [*beside, *tags])],
    }  # fmt: skip
    return made


def _detail(
    member: str, old: dict[str, Any], new: dict[str, Any], earlier: dict[str, Any], resource: dict[str, Any]
) -> dict[str, Any]:
    given, had = ((one.get("Properties") or {}).get(member) for one in (resource, earlier))
    recreated = plan.replaces(resource["Type"], {member: 1}, {})
    target = {"Attribute": "Properties", "Name": member, "RequiresRecreation": "Always" if recreated else "Never"}
    target |= {"BeforeValue": _text(old[member])} if member in old else {}
    target |= {"AfterValue": _text(new[member])} if member in new else {}
    if given != had:
        return {"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"}
    cause = next(iter(intrinsics.references(given)), ("", ""))
    if " anew}" in _text(new.get(member, "")):
        source = "ResourceAttribute" if cause[1] else "ResourceReference"
        return {"Target": target, "Evaluation": "Dynamic", "ChangeSource": source, "CausingEntity": ".".join(filter(None, cause))}  # fmt: skip  # noqa: E501
    return {"Target": target, "Evaluation": "Static", "ChangeSource": "ParameterReference", "CausingEntity": cause[0]}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
