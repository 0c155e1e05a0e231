"""What a template's functions mean for one stack at this moment: its resources, the exports of others, its outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fogbank.aws.stacks import intrinsics, plan, records
from fogbank.aws.stacks.records import Stack, Wanted
from fogbank.aws.stacks.template import TemplateError

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.aws.stacks.ledger import Ledger
    from fogbank.aws.stacks.plan import Planned
    from fogbank.kernel.store import Tx


class Values:
    def __init__(self, house: House, ledger: Ledger) -> None:
        self._house, self._ledger = house, ledger
        self._imported: set[str] = set()  # Exports that were asked for.

    async def scope(self, wanted: Wanted) -> intrinsics.Scope:
        stack, template = self._ledger.stack, wanted.template
        values = plan.parameter_values(template, wanted.parameters | wanted.fetched)
        exports = await self._house.store.transact(_exports, stack.account, stack.region)
        return intrinsics.Scope(
            parameters={**values, **pseudo(stack)},
            conditions=template.get("Conditions", {}) or {},
            mappings=template.get("Mappings", {}) or {},
            resource=self._ref,
            attribute=self._attribute,
            exported=lambda name: self._import(exports, name),
        )

    async def planned(self, wanted: Wanted | None) -> dict[str, Planned]:
        """The resources that a stack has as `wanted`: none where it never was anything."""
        return plan.planned(wanted.template, await self.scope(wanted)) if wanted else {}

    def _import(self, exports: dict[str, str], name: str) -> str:
        if name not in exports:
            raise TemplateError(f"No export named {name} found.")
        self._imported.add(name)
        return exports[name]

    def _ref(self, name: str) -> Any:
        row = self._ledger.resources.get(name)
        if row is None or not row.physical_id:
            raise TemplateError(f"Template format error: Unresolved resource dependencies [{name}] in the Resources block of the template")  # fmt: skip  # noqa: E501
        return row.physical_id

    def _attribute(self, name: str, attribute: str) -> Any:
        row = self._ledger.resources.get(name)
        if row is None or not row.physical_id:
            raise TemplateError(f"Template error: instance of Fn::GetAtt references undefined resource {name}")
        if attribute in row.attributes:
            return row.attributes[attribute]
        if row.type.startswith("Custom::") or row.type == "AWS::CloudFormation::CustomResource":
            raise TemplateError(f"CustomResource attribute error: Vendor response doesn't contain {attribute} key in object {self._ledger.stack.id}|{name}")  # fmt: skip  # noqa: E501
        if attribute.startswith("Outputs."):
            raise TemplateError(f"Template error: Output {attribute.removeprefix('Outputs.')} not found in stack {row.physical_id}")  # fmt: skip  # noqa: E501
        raise TemplateError(
            f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt"
        )

    async def outputs(self, wanted: Wanted) -> list[dict[str, str]]:
        scope = await self.scope(wanted)
        outputs = []
        for name, facts in (wanted.template.get("Outputs") or {}).items():
            if "Condition" in facts and not scope.holds(facts["Condition"]):
                continue
            output = {"OutputKey": name, "OutputValue": _output(name, intrinsics.resolve(facts["Value"], scope))}
            if "Description" in facts:
                output["Description"] = str(facts["Description"])
            if "Export" in facts:
                output["ExportName"] = _output(name, intrinsics.resolve(facts["Export"]["Name"], scope))
            outputs.append(output)
        return outputs

    async def keep(self, outputs: list[dict[str, str]]) -> str:
        """Outputs and exports together; the answer is why not, if an export belongs to another stack or is in use."""
        return await self._house.store.transact(self._keep, outputs)

    def _keep(self, tx: Tx, outputs: list[dict[str, str]]) -> str:
        stack = self._ledger.fresh(tx)
        place = (stack.account, stack.region)
        for name in self._imported:
            if records.EXPORTS.get(tx, *place, name) is None:  # Its stack was deleted meanwhile.
                return f"No export named {name} found."
        new = {output["ExportName"]: output["OutputValue"] for output in outputs if "ExportName" in output}
        for name, value in new.items():
            owner = records.EXPORTERS.get(tx, *place, name)
            if owner not in (None, stack.id):
                return f"Export with name {name} is already exported by stack {(owner or '').split('/')[1]}."
            users = records.IMPORTS.all(tx, *place, name)
            if users and records.EXPORTS.get(tx, *place, name) not in (None, value):
                return f"Export {name} cannot be updated as it is in use by {' and '.join(users)}"
        for output in stack.outputs:
            name = output.get("ExportName", "")
            if name and name not in new:
                users = records.IMPORTS.all(tx, *place, name)
                if users:
                    return f"Export {name} cannot be deleted as it is in use by {' and '.join(users)}"
                records.EXPORTS.delete(tx, *place, name)
                records.EXPORTERS.delete(tx, *place, name)
        for name, value in new.items():
            records.EXPORTS.put(tx, *place, name, row=value)
            records.EXPORTERS.put(tx, *place, name, row=stack.id)
        self._ledger.stack = replace(records.set_imports(tx, stack, self._imported), outputs=outputs)
        records.put(tx, self._ledger.stack)
        return ""


def pseudo(stack: Stack) -> dict[str, Any]:
    return {
        "AWS::AccountId": stack.account,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": stack.region,
        "AWS::StackId": stack.id,
        "AWS::StackName": stack.name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def _output(name: str, value: Any) -> str:
    if isinstance(value, list | dict) or value is None or value is intrinsics.NO_VALUE:
        raise TemplateError(f"Template format error: The Value field of every Outputs member must evaluate to a String. Output {name} does not.")  # fmt: skip  # noqa: E501
    return intrinsics.text(value)


def _exports(tx: Tx, account: str, region: str) -> dict[str, str]:
    return {str(key[-1]): value for key, value in records.EXPORTS.scan(tx, account, region)}
