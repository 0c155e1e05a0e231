"""What IAM remembers: roles and managed policies of an account. IAM has no regions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fogbank.aws.service import Call, ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

AWS_MANAGED = "arn:aws:iam::aws:policy/"


@dataclass(frozen=True, slots=True)
class Role:
    id: str
    account: str
    name: str
    path: str
    trust: str  # JSON
    created_ms: int
    description: str = ""
    session_s: int = 3600
    inline: dict[str, str] = field(default_factory=dict)  # Policies by name: JSON.
    attached: list[str] = field(default_factory=list)  # ARNs of managed policies.
    tags: dict[str, str] = field(default_factory=dict)
    boundary: str = ""

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class Policy:
    id: str
    account: str
    name: str
    path: str
    description: str
    created_ms: int
    modified_ms: int
    versions: dict[str, str]  # "v1" → JSON
    default: str = "v1"
    last: int = 1
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:policy{self.path}{self.name}"


ROLES = Records(Role, "iam", "role")  # (account, name)
POLICIES = Records(Policy, "iam", "policy")  # (account, ARN)


def missing(what: str) -> ServiceError:
    return ServiceError("NoSuchEntity", what, status=404)


def role(tx: Tx, call: Call, name: str) -> Role:
    found = ROLES.get(tx, call.account, name)
    if found is None:
        raise missing(f"The role with name {name} cannot be found.")
    return found


def policy(tx: Tx, call: Call, arn: str) -> Policy:
    found = POLICIES.get(tx, call.account, arn)
    if found is None:
        raise missing(f"Policy {arn} was not found.")
    return found


def check_attachable(tx: Tx, call: Call, arn: str) -> None:
    """An ARN of AWS's own is taken as it is: which there are changes by the week."""
    if arn.startswith(AWS_MANAGED):
        return
    if POLICIES.get(tx, call.account, arn) is None:
        raise missing(f"Policy {arn} does not exist or is not attachable.")
