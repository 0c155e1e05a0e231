"""IAM's roles and policies, told through boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.cloud import Cloud

LAMBDA = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [LAMBDA]})
ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
AWS = "arn:aws:iam::aws:policy/"


@pytest.fixture
def iam(cloud: Cloud) -> Any:
    client = cloud.client("iam")
    client.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    return client


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**request)
    return str(error.value.response["Error"]["Code"])


def test_every_list_comes_in_pages(iam: Any) -> None:
    for name in "cab":
        iam.put_role_policy(RoleName="r", PolicyName=name, PolicyDocument=ALLOW)
        iam.attach_role_policy(RoleName="r", PolicyArn=f"{AWS}{name}")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        iam.create_policy(PolicyName=name, PolicyDocument=ALLOW)
    for operation, request, member, name in (
        ("list_role_policies", {"RoleName": "r"}, "PolicyNames", None),
        ("list_attached_role_policies", {"RoleName": "r"}, "AttachedPolicies", "PolicyName"),
        ("list_roles", {}, "Roles", "RoleName"),
        ("list_policies", {"Scope": "Local"}, "Policies", "PolicyName"),
    ):
        pages = list(iam.get_paginator(operation).paginate(**request, PaginationConfig={"PageSize": 2}))
        found = [row[name] if name else row for page in pages for row in page[member]]
        assert [one for one in found if one != "r"] == ["a", "b", "c"], operation
        assert len(pages) == 2, operation


def test_policies_are_listed_by_path_and_by_use(iam: Any) -> None:
    used = iam.create_policy(PolicyName="used", PolicyDocument=ALLOW, Path="/team/")["Policy"]["Arn"]
    bound = iam.create_policy(PolicyName="bound", PolicyDocument=ALLOW)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="r", PolicyArn=used)
    iam.create_role(RoleName="b", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=bound)

    def names(**asked: Any) -> list[str]:
        return [one["PolicyName"] for one in iam.list_policies(**asked)["Policies"]]

    assert names(PathPrefix="/team/") == ["used"]
    assert names(OnlyAttached=True) == ["used"]
    assert names(PolicyUsageFilter="PermissionsBoundary") == ["bound"]
    assert iam.list_policies(OnlyAttached=True)["Policies"][0]["AttachmentCount"] == 1
    assert iam.get_role(RoleName="b")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == bound
    assert iam.list_attached_role_policies(RoleName="r", PathPrefix="/other/")["AttachedPolicies"] == []


def test_a_policys_default_version_can_be_another_and_goes_last(iam: Any) -> None:
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW, Tags=[{"Key": "a", "Value": "b"}])["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    shown = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (shown["DefaultVersionId"], shown["Tags"]) == ("v2", [{"Key": "a", "Value": "b"}])
    assert refused(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v2") == "DeleteConflict"
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v9") == "NoSuchEntity"
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)


@pytest.mark.parametrize("given", [{"RoleName": "a b"}, {"Path": "no/slashes"}, {"MaxSigninSessionDuration": 3600}])
def test_what_a_role_cannot_be_is_refused(iam: Any, given: dict[str, Any]) -> None:
    request = {"RoleName": "new", "AssumeRolePolicyDocument": TRUST, **given}
    assert refused(iam.create_role, **request) in ("ValidationError", "InvalidInput")


def test_a_role_has_ten_managed_policies_at_most(iam: Any) -> None:
    """ "IAM and AWS STS quotas": managed policies attached to a role."""
    for number in range(10):
        iam.attach_role_policy(RoleName="r", PolicyArn=f"{AWS}p{number}")
    assert refused(iam.attach_role_policy, RoleName="r", PolicyArn=f"{AWS}more") == "LimitExceeded"
