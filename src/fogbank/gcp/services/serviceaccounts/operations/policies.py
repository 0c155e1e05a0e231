"""Policies of service accounts, which this API has methods of its own for."""

from __future__ import annotations

from fogbank.gcp.protocol import policies
from fogbank.gcp.service import Service


class Policies(Service):
    service = "google.iam.admin.v1.IAM"

    get_iam_policy = policies.get_iam_policy
    set_iam_policy = policies.set_iam_policy
    test_iam_permissions = policies.test_iam_permissions
