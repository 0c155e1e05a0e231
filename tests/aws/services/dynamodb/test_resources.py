"""The CloudFormation types: what a template says is what DescribeTable tells, made, changed and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fogbank.aws.service import ServiceError
from fogbank.aws.services.dynamodb.resources import GlobalTable, Table
from tests.aws.services.dynamodb.conftest import index, key_schema

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

TEMPLATE: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "id", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": key_schema("id", "sk"),
    "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
    "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": "true"},
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    "Tags": [{"Key": "team", "Value": "blue"}],
}
MORE = [*TEMPLATE["AttributeDefinitions"], {"AttributeName": "g", "AttributeType": "S"}]


class Stack:
    """The verbs of a type, as the stacks engine calls them."""

    def __init__(self, cloud: Cloud, kind: Any) -> None:
        self.cloud, self.kind = cloud, kind()
        self.ask = cloud.server.house.caller("000000000000", "us-east-1", "arn:aws:iam::000000000000:root")
        self.client = cloud.client("dynamodb")

    def create(self, wanted: dict[str, Any], name: str = "stack-Table-1A2B3C") -> str:
        table = str(self.cloud.run(self.kind.create(self.ask, wanted, name)))
        self.cloud.run(self.kind.finish(self.ask, table, wanted, name))
        return table

    def update(self, table: str, wanted: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
        self.cloud.run(self.kind.update(self.ask, table, wanted, old))
        return self.described(table)

    def read(self, table: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return dict(self.cloud.run(self.kind.read(self.ask, table, wanted)))

    def delete(self, table: str) -> None:
        self.cloud.run(self.kind.delete(self.ask, table, {}))

    def described(self, table: str) -> dict[str, Any]:
        return dict(self.client.describe_table(TableName=table)["Table"])


@pytest.fixture
def stack(shared: Cloud) -> Stack:
    return Stack(shared, Table)


def test_a_table_is_made_as_the_template_says_and_deleted_twice_without_harm(stack: Stack) -> None:
    table = stack.create(TEMPLATE)
    assert table == "stack-Table-1A2B3C"
    found = stack.described(table)
    assert stack.read(table, TEMPLATE) == {"Arn": found["TableArn"], "StreamArn": found["LatestStreamArn"]}
    ttl = stack.client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    backups = stack.client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    tags = stack.client.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "blue"}]
    stack.delete(table)
    stack.delete(table)
    assert stack.create({**TEMPLATE, "TableName": "my-own"}) == "my-own"
    stack.delete("my-own")


def test_numbers_and_truths_may_be_text(stack: Stack) -> None:
    wanted = {
        **TEMPLATE, "BillingMode": "PROVISIONED", "DeletionProtectionEnabled": "true",
        "ProvisionedThroughput": {"ReadCapacityUnits": "3", "WriteCapacityUnits": "4"},
    }  # fmt: skip
    found = stack.described(stack.create(wanted, "text-table"))
    assert found["DeletionProtectionEnabled"] is True
    assert found["ProvisionedThroughput"]["ReadCapacityUnits"] == 3


def test_what_changes_in_the_template_changes_in_the_table(stack: Stack) -> None:
    table = stack.create(TEMPLATE, "changing")
    indexed = {**TEMPLATE, "AttributeDefinitions": MORE, "GlobalSecondaryIndexes": [index("one", "g")]}
    found = stack.update(table, indexed, TEMPLATE)
    assert [each["IndexName"] for each in found["GlobalSecondaryIndexes"]] == ["one"]
    replaced = {
        **indexed,
        "GlobalSecondaryIndexes": [index("one", "g", projection="KEYS_ONLY"), index("two", "g", "id")],
    }
    found = stack.update(table, replaced, indexed)
    projections = {each["IndexName"]: each["Projection"]["ProjectionType"] for each in found["GlobalSecondaryIndexes"]}
    assert projections == {"one": "KEYS_ONLY", "two": "ALL"}
    bare = {name: TEMPLATE[name] for name in ("BillingMode", "AttributeDefinitions", "KeySchema")}
    found = stack.update(table, bare, replaced)
    assert "GlobalSecondaryIndexes" not in found
    assert "StreamSpecification" not in found
    assert "StreamArn" not in stack.read(table, bare)
    assert stack.client.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"] == []
    ttl = stack.client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "DISABLED"
    full = {
        **TEMPLATE,
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2},
        "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
        "SSESpecification": {"SSEEnabled": True},
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "DeletionProtectionEnabled": True,
        "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
        "ResourcePolicy": {"PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    }
    found = stack.update(table, full, bare)
    assert found["ProvisionedThroughput"]["WriteCapacityUnits"] == 2
    assert found["StreamSpecification"]["StreamViewType"] == "KEYS_ONLY"
    assert found["SSEDescription"]["Status"] == "ENABLED"
    assert found["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert found["DeletionProtectionEnabled"] is True
    assert stack.client.get_resource_policy(ResourceArn=found["TableArn"])["Policy"].startswith('{"Version"')
    ttl = stack.client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "expires"
    found = stack.update(table, {**full, "StreamSpecification": {"StreamViewType": "OLD_IMAGE"}}, full)
    assert found["StreamSpecification"]["StreamViewType"] == "OLD_IMAGE"


def test_what_is_not_served_is_refused_by_name(stack: Stack) -> None:
    for property_name in ("KinesisStreamSpecification", "ImportSourceSpecification", "VectorIndexes"):
        with pytest.raises(ServiceError, match=f"{property_name} is not supported by fogbank"):
            stack.create({**TEMPLATE, property_name: {}}, "refused")


def test_a_global_table_of_one_replica_is_a_table(shared: Cloud) -> None:
    stack = Stack(shared, GlobalTable)
    wanted = {
        "AttributeDefinitions": MORE,
        "KeySchema": key_schema("id", "sk"),
        "BillingMode": "PROVISIONED",
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        "WriteProvisionedThroughputSettings": {
            "WriteCapacityAutoScalingSettings": {"MinCapacity": 5, "MaxCapacity": 9}
        },
        "GlobalSecondaryIndexes": [
            {
                **index("one", "g"),
                "WriteProvisionedThroughputSettings": {"WriteCapacityAutoScalingSettings": {"MinCapacity": 2}},
            }
        ],
        "Replicas": [
            {
                "Region": "us-east-1",
                "Tags": [{"Key": "a", "Value": "b"}],
                "ReadProvisionedThroughputSettings": {"ReadCapacityUnits": 7},
                "GlobalSecondaryIndexes": [
                    {"IndexName": "one", "ReadProvisionedThroughputSettings": {"ReadCapacityUnits": 3}}
                ],
            }
        ],
    }
    table = stack.create(wanted, "global")
    found = stack.described(table)
    units = [found["ProvisionedThroughput"], found["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]]
    assert [(each["ReadCapacityUnits"], each["WriteCapacityUnits"]) for each in units] == [(7, 5), (3, 2)]
    assert stack.read(table, wanted).keys() == {"Arn", "StreamArn", "TableId"}
    with pytest.raises(ServiceError, match="more than one replica"):
        stack.create({**wanted, "Replicas": wanted["Replicas"] * 2}, "global-2")
