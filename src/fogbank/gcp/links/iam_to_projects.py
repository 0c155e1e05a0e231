"""Projects have a policy from their beginning on: it gives the accounts that come with a project what they need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fogbank.gcp.identity import projects
from fogbank.gcp.protocol.descriptors import Package

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_IAM = Package("google.iam.v1")
POLICIED = re.compile(r"projects/[^/]+")


def resource_id(_tx: Tx, _name: str) -> str:
    """Every project is there."""
    return "project"


def first_policy(name: str) -> Any:
    """What holds as long as nobody has set another: "Default service accounts", "Service agents"."""
    project = name.partition("/")[2]
    compute, appspot = projects.compute_account(project), projects.appspot_account(project)
    policy = _IAM.Policy(version=1)
    for role, accounts in {
        "roles/cloudbuild.builds.builder": [compute],
        "roles/editor": [compute, appspot],
        "roles/iam.serviceAccountTokenCreator": [projects.service_agent(project, "gcp-sa-pubsub")],
    }.items():
        policy.bindings.add(role=role, members=[f"serviceAccount:{account}" for account in accounts])
    return policy
