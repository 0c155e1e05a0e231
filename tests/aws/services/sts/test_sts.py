"""STS, told through boto3."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.cloud import REGION, Cloud

ROLE = "arn:aws:iam::111122223333:role/team/worker"


@pytest.fixture
def sts(cloud: Cloud) -> Any:
    return cloud.client("sts")


def test_who_assumes_a_role_is_told_to_be_it(cloud: Cloud, sts: Any) -> None:
    answer = sts.assume_role(
        RoleArn=ROLE, RoleSessionName="me", SourceIdentity="ann", Tags=[{"Key": "a", "Value": "b"}]
    )
    keys, user = answer["Credentials"], answer["AssumedRoleUser"]
    as_role = boto3.client(
        "sts", endpoint_url=cloud.url, region_name=REGION, aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"],
    )  # fmt: skip
    me = as_role.get_caller_identity()
    assert (me["Arn"], me["UserId"], me["Account"]) == (user["Arn"], user["AssumedRoleId"], "111122223333")
    assert user["AssumedRoleId"].startswith("AROA")
    assert (answer["SourceIdentity"], answer["PackedPolicySize"]) == ("ann", 1)
    assert sts.get_access_key_info(AccessKeyId=keys["AccessKeyId"])["Account"] == "111122223333"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"RoleSessionName": "a b"}, "ValidationError"),
        ({"Policy": "{"}, "MalformedPolicyDocument"),
        ({"SerialNumber": "arn:aws:iam::000000000000:mfa/me", "TokenCode": "123456"}, "ValidationError"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]}, "InvalidParameterValue"),
        ({"TransitiveTagKeys": ["a"]}, "InvalidParameterValue"),
    ],
)
def test_what_a_session_cannot_be_is_refused(sts: Any, given: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as error:
        sts.assume_role(**{"RoleArn": ROLE, "RoleSessionName": "me", **given})
    assert error.value.response["Error"]["Code"] == code
