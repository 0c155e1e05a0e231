"""A function's resource-based policy: who may call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.lambda_ import permissions, state

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_POLICY_BYTES_MAX = 20 * 1024  # Lambda quotas: "Function resource-based policy".


class Policies(Operations):
    service: ClassVar = "lambda"

    def add_permission(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        who = state.named(call, request["FunctionName"], request.get("Qualifier"))
        function = state.find(tx, who)
        state.published(tx, function, who)
        before = state.POLICIES.get(tx, function.id, who.qualifier) or state.Policy("")
        if before.revision:
            state.check_revision(request.get("RevisionId"), before.revision)
        if any(known["Sid"] == request["StatementId"] for known in before.statements):
            raise ServiceError(
                "ResourceConflictException",
                f"The statement id ({request['StatementId']}) provided already exists. Please provide a new statement "
                "id, or remove the existing statement.",
                status=409,
                fields={"Type": "User"},
            )
        made = permissions.statement(request, who.arn)
        after = state.Policy(call.new_id(), [*before.statements, made])
        if len(_document(after)) > _POLICY_BYTES_MAX:
            raise ServiceError(
                "PolicyLengthExceededException",
                f"The final policy size ({len(_document(after))}) is bigger than the limit ({_POLICY_BYTES_MAX}).",
            )
        state.POLICIES.put(tx, function.id, who.qualifier, row=after)
        return {"Statement": orjson.dumps(made).decode()}

    def remove_permission(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        who, function, policy = self._find(tx, call, request)
        state.check_revision(request.get("RevisionId"), policy.revision)
        left = [known for known in policy.statements if known["Sid"] != request["StatementId"]]
        if len(left) == len(policy.statements):
            raise ServiceError(
                "ResourceNotFoundException",
                f"Statement {request['StatementId']} is not found in resource policy.",
                fields={"Type": "User"},
            )
        if left:
            state.POLICIES.put(tx, function.id, who.qualifier, row=state.Policy(call.new_id(), left))
        else:
            state.POLICIES.delete(tx, function.id, who.qualifier)

    def get_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        _, _, policy = self._find(tx, call, request)
        return {"Policy": _document(policy), "RevisionId": policy.revision}

    def _find(self, tx: Tx, call: Call, request: dict[str, Any]) -> tuple[state.Named, state.Function, state.Policy]:
        who = state.named(call, request["FunctionName"], request.get("Qualifier"))
        function = state.find(tx, who)
        policy = state.POLICIES.get(tx, function.id, who.qualifier)
        if policy is None:
            raise ServiceError(
                "ResourceNotFoundException", "The resource you requested does not exist.", fields={"Type": "User"}
            )
        return who, function, policy


def _document(policy: state.Policy) -> str:
    return orjson.dumps({"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}).decode()
