"""Who may call a function: the resource-based policy, and what it says of a service that calls.

Lambda Developer Guide, "Viewing resource-based IAM policies in Lambda".
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import state

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

# AddPermission: "The Amazon Web Services service, Amazon Web Services account, IAM user, or IAM role".
_PRINCIPAL = re.compile(r"\*|\d{12}|arn:aws[a-z-]*:(iam|sts)::\d{12}:.+|[a-z0-9.-]+\.[a-z0-9.-]+")
_ACTION = re.compile(r"(lambda:[*]|lambda:[a-zA-Z]+|[*])")
_STATEMENT_ID = re.compile(r"([a-zA-Z0-9-_]+)")
_ARN_CONDITIONS = ("ArnLike", "ArnEquals", "StringLike", "StringEquals")


def check(tx: Tx, function: state.Function, who: state.Named, principal: str, source_arn: str) -> None:
    """Raises AccessDeniedException unless a statement of the policy lets the service call from there."""
    policy = state.POLICIES.get_shared(tx, function.id, who.qualifier)
    for statement in policy.statements if policy else ():
        if _allows(statement, "lambda:InvokeFunction", principal, _facts(source_arn)):
            return
    raise ServiceError(
        "AccessDeniedException",
        f"User: {principal} is not authorized to perform: lambda:InvokeFunction on resource: {who.arn} because no "
        "resource-based policy allows the lambda:InvokeFunction action",
        status=403,
    )


def allows_url(tx: Tx, function: state.Function, qualifier: str, auth_type: str) -> bool:
    """Whether the policy opens the function's URL to everybody ("Control access to Lambda function URLs")."""
    policy = state.POLICIES.get(tx, function.id, qualifier)
    facts = {"lambda:functionurlauthtype": auth_type}
    return any(_allows(one, "lambda:InvokeFunctionUrl", "*", facts) for one in (policy.statements if policy else ()))


def _facts(source_arn: str) -> dict[str, str]:
    """What conditions may ask of a service that calls."""
    return {
        "aws:sourcearn": source_arn,
        "aws:sourceaccount": source_arn.split(":")[4] if source_arn.count(":") >= 5 else "",
    }


def _allows(statement: dict[str, Any], action: str, principal: str, facts: dict[str, str]) -> bool:
    allowed = statement["Principal"]
    named = allowed == "*" or (isinstance(allowed, dict) and principal in (allowed.get("Service"), allowed.get("AWS")))
    if not named or statement["Effect"] != "Allow":
        return False
    if not fnmatch.fnmatchcase(action, statement["Action"]):
        return False
    return all(_holds(kind, wanted, facts) for kind, wanted in statement.get("Condition", {}).items())


def _holds(kind: str, wanted: dict[str, str], facts: dict[str, str]) -> bool:
    for name, pattern in wanted.items():
        value = facts.get(name.lower())
        if value is None or kind not in _ARN_CONDITIONS:
            return False
        if name.lower() == "aws:sourceaccount" and not value:
            continue  # S3's ARNs carry no account: the account of the bucket is ours, as there is no other here.
        if not fnmatch.fnmatchcase(value, pattern):
            return False
    return True


def statement(request: dict[str, Any], arn: str) -> dict[str, Any]:
    """Of a policy, from AddPermission's parameters."""
    principal = request["Principal"]
    if not _PRINCIPAL.fullmatch(principal):
        told = "The provided principal was invalid. Please check the principal and try again."
        raise ServiceError("InvalidParameterValueException", told)
    for name, pattern in (("action", _ACTION), ("statementId", _STATEMENT_ID)):
        given = request[name[:1].upper() + name[1:]]
        if not pattern.fullmatch(given):
            told = f"1 validation error detected: Value '{given}' at '{name}' failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern.pattern}"  # noqa: E501
            raise ServiceError("ValidationException", told)
    service = principal.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    made: dict[str, Any] = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"Service" if service else "AWS": _who(principal)},
        "Action": request["Action"],
        "Resource": arn,
    }
    conditions: dict[str, dict[str, str]] = {}
    if "SourceArn" in request:
        conditions.setdefault("ArnLike", {})["AWS:SourceArn"] = request["SourceArn"]
    if "SourceAccount" in request:
        conditions.setdefault("StringEquals", {})["AWS:SourceAccount"] = request["SourceAccount"]
    if "FunctionUrlAuthType" in request:
        conditions.setdefault("StringEquals", {})["lambda:FunctionUrlAuthType"] = request["FunctionUrlAuthType"]
    if "PrincipalOrgID" in request:
        conditions.setdefault("StringEquals", {})["aws:PrincipalOrgID"] = request["PrincipalOrgID"]
    if "EventSourceToken" in request:
        conditions.setdefault("StringEquals", {})["lambda:EventSourceToken"] = request["EventSourceToken"]
    if "InvokedViaFunctionUrl" in request:
        told = "true" if request["InvokedViaFunctionUrl"] else "false"
        conditions.setdefault("Bool", {})["lambda:InvokedViaFunctionUrl"] = told
    if conditions:
        made["Condition"] = conditions
    return made


def _who(principal: str) -> str:
    return f"arn:aws:iam::{principal}:root" if principal.isdigit() and len(principal) == 12 else principal
