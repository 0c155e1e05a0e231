"""Secrets Manager, told through boto3."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.support.code import deploy
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

TOKENS = [f"{digit * 8}-0000-4000-8000-000000000000" for digit in "12345"]


@pytest.fixture
def secrets(cloud: Cloud) -> Any:
    return cloud.client("secretsmanager")


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def text(secrets: Any, secret_id: str = "db", **more: Any) -> str:
    return str(secrets.get_secret_value(SecretId=secret_id, **more)["SecretString"])


def test_a_secret_is_found_by_name_and_by_both_forms_of_its_arn_after_a_restart(cloud: Cloud, secrets: Any) -> None:
    made = secrets.create_secret(Name="prod/db", SecretString="s3cret", Description="of the shop")
    partial, _, letters = made["ARN"].rpartition("-")
    assert partial.endswith(":secret:prod/db") and len(letters) == 6
    cloud.restart()
    secrets = cloud.client("secretsmanager")
    for secret_id in ("prod/db", made["ARN"], partial):
        found = secrets.get_secret_value(SecretId=secret_id)
        assert (found["SecretString"], found["VersionId"], found["VersionStages"]) == (
            "s3cret", made["VersionId"], ["AWSCURRENT"],
        )  # fmt: skip
    assert secrets.describe_secret(SecretId="prod/db")["Description"] == "of the shop"


def test_bytes_come_back_as_bytes(secrets: Any) -> None:
    secrets.create_secret(Name="key", SecretBinary=b"\x00\xff")
    assert secrets.get_secret_value(SecretId="key")["SecretBinary"] == b"\x00\xff"


def test_what_is_missing_is_told_in_its_own_words(secrets: Any) -> None:
    told = ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    assert refusal(secrets.get_secret_value, SecretId="none") == told
    secrets.create_secret(Name="empty")
    code, said = refusal(secrets.get_secret_value, SecretId="empty")
    assert code == "ResourceNotFoundException"
    assert said == "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"


def test_labels_follow_the_values(secrets: Any) -> None:
    secrets.create_secret(Name="db", SecretString="one", ClientRequestToken=TOKENS[0])
    secrets.put_secret_value(SecretId="db", SecretString="two", ClientRequestToken=TOKENS[1])
    secrets.put_secret_value(SecretId="db", SecretString="three", ClientRequestToken=TOKENS[2])
    assert (text(secrets), text(secrets, VersionStage="AWSPREVIOUS")) == ("three", "two")
    assert text(secrets, VersionId=TOKENS[0]) == "one"
    stages = secrets.describe_secret(SecretId="db")["VersionIdsToStages"]
    assert stages == {TOKENS[1]: ["AWSPREVIOUS"], TOKENS[2]: ["AWSCURRENT"]}
    secrets.put_secret_value(
        SecretId="db", SecretString="next", ClientRequestToken=TOKENS[3], VersionStages=["AWSPENDING"]
    )
    assert text(secrets) == "three"
    secrets.update_secret_version_stage(
        SecretId="db", VersionStage="AWSCURRENT", MoveToVersionId=TOKENS[3], RemoveFromVersionId=TOKENS[2]
    )
    assert (text(secrets), text(secrets, VersionStage="AWSPREVIOUS")) == ("next", "three")
    code, said = refusal(
        secrets.update_secret_version_stage, SecretId="db", VersionStage="AWSCURRENT", MoveToVersionId=TOKENS[0]
    )
    assert code == "InvalidParameterException" and "RemoveFromVersionId can't be empty" in said


def test_a_request_that_is_sent_twice_counts_once(secrets: Any) -> None:
    for _ in range(2):
        made = secrets.create_secret(Name="db", SecretString="one", ClientRequestToken=TOKENS[0])
        secrets.put_secret_value(SecretId="db", SecretString="two", ClientRequestToken=TOKENS[1])
    assert made["VersionId"] == TOKENS[0]
    assert len(secrets.list_secret_version_ids(SecretId="db")["Versions"]) == 2
    code, _ = refusal(secrets.put_secret_value, SecretId="db", SecretString="other", ClientRequestToken=TOKENS[1])
    assert code == "ResourceExistsException"
    assert refusal(secrets.create_secret, Name="db", SecretString="x")[0] == "ResourceExistsException"


def test_a_deleted_secret_can_be_restored_until_its_window_has_passed(cloud: Cloud, secrets: Any) -> None:
    secrets.create_secret(Name="db", SecretString="kept")
    secrets.delete_secret(SecretId="db", RecoveryWindowInDays=7)
    code, said = refusal(secrets.get_secret_value, SecretId="db")
    assert (code, "marked for deletion" in said) == ("InvalidRequestException", True)
    assert "scheduled for deletion" in refusal(secrets.create_secret, Name="db", SecretString="x")[1]
    assert secrets.list_secrets()["SecretList"] == []
    assert len(secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]) == 1
    secrets.restore_secret(SecretId="db")
    assert text(secrets) == "kept"
    secrets.delete_secret(SecretId="db", RecoveryWindowInDays=7)
    cloud.advance(seconds=7 * 86_400 + 3_601)
    assert refusal(secrets.describe_secret, SecretId="db")[0] == "ResourceNotFoundException"
    assert refusal(secrets.delete_secret, SecretId="db", RecoveryWindowInDays=3)[0] == "InvalidParameterException"


def test_a_forced_delete_is_at_once_and_may_come_again(secrets: Any) -> None:
    secrets.create_secret(Name="db", SecretString="x")
    for _ in range(2):
        secrets.delete_secret(SecretId="db", ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name="db", SecretString="again")
    assert refusal(secrets.list_secrets, NextToken="junk")[0] == "InvalidNextTokenException"


def test_secrets_are_filtered_by_how_their_names_and_tags_begin(secrets: Any) -> None:
    for name, colour in (("prod/db", "blue"), ("prod/key", "red"), ("test/db", "blue")):
        secrets.create_secret(Name=name, SecretString="x", Tags=[{"Key": "colour", "Value": colour}])

    def names(**asked: Any) -> set[str]:
        pages = secrets.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 1}, **asked)
        return {one["Name"] for page in pages for one in page["SecretList"]}

    assert names() == {"prod/db", "prod/key", "test/db"}
    assert names(Filters=[{"Key": "name", "Values": ["prod"]}]) == {"prod/db", "prod/key"}
    both = [{"Key": "name", "Values": ["prod"]}, {"Key": "tag-value", "Values": ["blue"]}]
    assert names(Filters=both) == {"prod/db"}
    assert names(Filters=[{"Key": "name", "Values": ["!prod"]}]) == {"test/db"}
    batch = secrets.batch_get_secret_value(SecretIdList=["prod/db", "none"])
    assert [one["Name"] for one in batch["SecretValues"]] == ["prod/db"]
    assert [one["ErrorCode"] for one in batch["Errors"]] == ["ResourceNotFoundException"]


def test_a_password_has_each_kind_that_is_asked_for_and_none_that_is_excluded(secrets: Any) -> None:
    for _ in range(30):
        made = secrets.get_random_password(PasswordLength=4, ExcludeCharacters="abc")["RandomPassword"]
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation)
        assert all(set(made) & set(kind) for kind in kinds) and not set(made) & set("abc")
    digits = secrets.get_random_password(ExcludeLowercase=True, ExcludeUppercase=True, ExcludePunctuation=True)
    assert len(digits["RandomPassword"]) == 32 and digits["RandomPassword"].isdigit()


ROTATES = """
import os, boto3
def handler(event, context):
    secrets = boto3.client("secretsmanager")
    secret_id, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    versions = secrets.describe_secret(SecretId=secret_id)["VersionIdsToStages"]
    if "AWSPENDING" not in versions[token]:
        raise ValueError("not pending")
    if step == "createSecret":
        try:
            secrets.get_secret_value(SecretId=secret_id, VersionId=token, VersionStage="AWSPENDING")
        except secrets.exceptions.ResourceNotFoundException:
            value = secrets.get_secret_value(SecretId=secret_id)["SecretString"] + "+"
            secrets.put_secret_value(SecretId=secret_id, ClientRequestToken=token, SecretString=value,
                                     VersionStages=["AWSPENDING"])
    if step == "finishSecret" and os.environ.get("FAIL") is None:
        current = next(v for v, stages in versions.items() if "AWSCURRENT" in stages)
        secrets.update_secret_version_stage(SecretId=secret_id, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                            RemoveFromVersionId=current)
"""


def rotating(cloud: Cloud, **settings: Any) -> str:
    functions = cloud.client("lambda")
    arn = deploy(functions, "rotate", ROTATES, Timeout=30, **settings)
    functions.add_permission(
        FunctionName="rotate", StatementId="s", Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com"
    )
    return arn


def test_a_function_rotates_a_secret_in_four_steps_at_once_and_by_its_rules(cloud: Cloud, secrets: Any) -> None:
    secrets.create_secret(Name="db", SecretString="v")
    arn = rotating(cloud)
    secrets.rotate_secret(SecretId="db", RotationLambdaARN=arn, RotationRules={"AutomaticallyAfterDays": 10})
    assert (text(secrets), text(secrets, VersionStage="AWSPREVIOUS")) == ("v+", "v")
    told = secrets.describe_secret(SecretId="db")
    assert told["RotationEnabled"] is True and "AWSPENDING" not in str(told["VersionIdsToStages"])
    cloud.advance(seconds=10 * 86_400 + 1)
    eventually(lambda: text(secrets) == "v++")


def test_a_rotation_that_fails_says_where_and_leaves_the_value(cloud: Cloud, secrets: Any) -> None:
    secrets.create_secret(Name="db", SecretString="v")
    arn = rotating(cloud, Environment={"Variables": {"FAIL": "1"}})
    code, said = refusal(secrets.rotate_secret, SecretId="db", RotationLambdaARN=arn)
    assert (code, "without moving AWSCURRENT" in said) == ("InvalidRequestException", True)
    assert text(secrets) == "v"


def test_a_template_makes_a_secret_and_others_refer_to_what_is_in_it(cloud: Cloud, secrets: Any) -> None:
    stacks, functions = cloud.client("cloudformation"), cloud.client("lambda")
    generate = {"SecretStringTemplate": json.dumps({"user": "admin"}), "GenerateStringKey": "password"}
    reference = "user {{resolve:secretsmanager:shop:SecretString:user}} / {{resolve:secretsmanager:shop}}"
    template = {
        "Resources": {
            "Shop": {
                "Type": "AWS::SecretsManager::Secret",
                "Properties": {"Name": "shop", "GenerateSecretString": generate},
            },
            "Reader": {
                "Type": "AWS::Lambda::Function",
                "DependsOn": "Shop",
                "Properties": {
                    "FunctionName": "reader", "Runtime": "python3.11", "Handler": "index.handler",
                    "Role": "arn:aws:iam::000000000000:role/r", "Code": {"ZipFile": "x = 1"},
                    "Environment": {"Variables": {"DB": reference}},
                },
            },
        }
    }  # fmt: skip
    stacks.create_stack(StackName="s", TemplateBody=json.dumps(template))
    stacks.get_waiter("stack_create_complete").wait(StackName="s", WaiterConfig={"Delay": 1})
    value = text(secrets, "shop")
    assert (json.loads(value)["user"], len(json.loads(value)["password"])) == ("admin", 32)
    given = functions.get_function_configuration(FunctionName="reader")["Environment"]["Variables"]["DB"]
    assert given == f"user admin / {value}"
    events = stacks.describe_stack_events(StackName="s")["StackEvents"]
    assert json.loads(value)["password"] not in str(events), "what is fetched is not written down"


def test_many_values_are_read_by_filters_in_pages(secrets: Any) -> None:
    """BatchGetSecretValue: "You must include Filters or SecretIdList, but not both"."""
    for name in ("prod/a", "prod/b", "prod/c", "Prod/d", "test/a"):
        secrets.create_secret(Name=name, SecretString=name)
    filters = [{"Key": "name", "Values": ["prod/"]}]  # "name: […] case-sensitive".
    first = secrets.batch_get_secret_value(Filters=filters, MaxResults=2)
    second = secrets.batch_get_secret_value(Filters=filters, MaxResults=2, NextToken=first["NextToken"])
    found = [[one["SecretString"] for one in page["SecretValues"]] for page in (first, second)]
    assert found == [["prod/a", "prod/b"], ["prod/c"]]
    assert "NextToken" not in second
    both = {"Filters": filters, "SecretIdList": ["prod/a"]}
    assert refusal(secrets.batch_get_secret_value, **both)[0] == "InvalidParameterException"
    assert secrets.list_secrets(Filters=[{"Key": "owning-service", "Values": ["p"]}])["SecretList"] == []


def test_secrets_are_listed_in_the_order_that_is_asked_for(cloud: Cloud, secrets: Any) -> None:
    for name in "bca":
        secrets.create_secret(Name=name, SecretString="x")
        cloud.advance(seconds=1)
    secrets.update_secret(SecretId="c", SecretString="y")

    def names(**asked: str) -> list[str]:
        return [one["Name"] for one in secrets.list_secrets(**asked)["SecretList"]]

    assert names(SortBy="name", SortOrder="asc") == ["a", "b", "c"]
    assert names(SortBy="last-changed-date") == ["c", "a", "b"]
    assert names(SortOrder="asc") == ["b", "c", "a"]


def test_versions_are_listed_in_pages(secrets: Any) -> None:
    for number, token in enumerate(TOKENS):
        (secrets.create_secret if not number else secrets.put_secret_value)(
            **{"Name" if not number else "SecretId": "db"}, SecretString=str(number), ClientRequestToken=token
        )
    request = {"SecretId": "db", "IncludeDeprecated": True, "MaxResults": 3}
    first = secrets.list_secret_version_ids(**request)
    second = secrets.list_secret_version_ids(**request, NextToken=first["NextToken"])
    assert sorted(one["VersionId"] for page in (first, second) for one in page["Versions"]) == TOKENS
    assert "NextToken" not in second


@pytest.mark.parametrize(
    ("operation", "given", "code"),
    [
        ("create_secret", {"Name": "x", "AddReplicaRegions": [{"Region": "eu-west-1"}]}, "InvalidParameterException"),
        ("put_resource_policy", {"PolicyName": "other", "ResourcePolicy": "{}"}, "InvalidParameterException"),
        ("get_resource_policy", {"PolicyName": "other"}, "ResourceNotFoundException"),
        (
            "put_resource_policy",
            {"BlockPublicPolicy": True, "ResourcePolicy": json.dumps({"Statement": [
                {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "*", "Resource": "*"}]})},
            "PublicPolicyException",
        ),
        (
            "rotate_secret",
            {"RotationLambdaARN": "arn:aws:lambda:us-east-1:000000000000:function:f",
             "RotationRules": {"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"}},
            "InvalidParameterException",
        ),
    ],
)  # fmt: skip
def test_what_a_secret_would_not_be_is_refused(secrets: Any, operation: str, given: Any, code: str) -> None:
    secrets.create_secret(Name="db", SecretString="x")
    request = given if operation == "create_secret" else {"SecretId": "db", **given}
    assert refusal(getattr(secrets, operation), **request)[0] == code


def test_a_rotation_waits_for_one_that_has_not_ended(cloud: Cloud, secrets: Any) -> None:
    """RotateSecret: "assumes that a previous rotation request is still in progress and returns an error"."""
    secrets.create_secret(Name="db", SecretString="x", ClientRequestToken=TOKENS[0])
    pending = {"SecretString": "y", "VersionStages": ["AWSPENDING"], "ClientRequestToken": TOKENS[1]}
    secrets.put_secret_value(SecretId="db", **pending)
    arn = deploy(cloud.client("lambda"), "f", "def handler(event, context):\n    return 1\n")
    code, told = refusal(secrets.rotate_secret, SecretId="db", RotationLambdaARN=arn)
    assert (code, told) == (
        "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.",
    )  # fmt: skip
