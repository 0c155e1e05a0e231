"""CloudFormation, told through boto3 and its waiters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.support.cloud import Cloud
from tests.support.waiting import eventually

QUEUE = {"Type": "AWS::SQS::Queue"}
FAST = {"Delay": 0.05, "MaxAttempts": 200}


@pytest.fixture
def stacks(cloud: Cloud) -> Any:
    return cloud.client("cloudformation")


def template(**sections: Any) -> str:
    return json.dumps(sections)


def create(stacks: Any, body: str, name: str = "app", **options: Any) -> Any:
    stacks.create_stack(StackName=name, TemplateBody=body, **options)
    stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=FAST)
    return stacks.describe_stacks(StackName=name)["Stacks"][0]


def update(stacks: Any, body: str, name: str = "app", **options: Any) -> Any:
    stacks.update_stack(StackName=name, TemplateBody=body, **options)
    stacks.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig=FAST)
    return stacks.describe_stacks(StackName=name)["Stacks"][0]


def status(stacks: Any) -> str:
    return str(stacks.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"])


def outputs(stack: Any) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def test_functions_parameters_and_conditions_come_out_as_values(stacks: Any) -> None:
    body = template(
        Parameters={
            "Env": {"Type": "String", "AllowedValues": ["dev", "prod"]},
            "Zones": {"Type": "CommaDelimitedList"},
        },
        Mappings={"Size": {"dev": {"delay": "1"}, "prod": {"delay": "9"}}},
        Conditions={"IsProd": {"Fn::Equals": [{"Ref": "Env"}, "prod"]}},
        Resources={
            "Q": {**QUEUE, "Properties": {"DelaySeconds": {"Fn::FindInMap": ["Size", {"Ref": "Env"}, "delay"]}}},
            "OnlyProd": {**QUEUE, "Condition": "IsProd"},
        },
        Outputs={
            "Arn": {"Value": {"Fn::GetAtt": ["Q", "Arn"]}},
            "Text": {
                "Value": {"Fn::Sub": ["${AWS::StackName}-${x}-${!kept}", {"x": {"Fn::Select": [1, {"Ref": "Zones"}]}}]}
            },
            "If": {"Value": {"Fn::If": ["IsProd", "big", {"Fn::Join": ["/", ["s", {"Ref": "AWS::Region"}]]}]}},
            "Code": {"Value": {"Fn::Base64": "hi"}},
            "Nets": {"Value": {"Fn::Join": [",", {"Fn::Cidr": ["10.0.0.0/16", 2, 8]}]}},
        },
    )
    given = [{"ParameterKey": "Env", "ParameterValue": "dev"}, {"ParameterKey": "Zones", "ParameterValue": "a, b"}]
    found = outputs(create(stacks, body, Parameters=given))
    assert found["Arn"].startswith("arn:aws:sqs:us-east-1:000000000000:app-Q-")
    assert (found["Text"], found["If"], found["Code"]) == ("app-b-${kept}", "s/us-east-1", "aGk=")
    assert found["Nets"] == "10.0.0.0/24,10.0.1.0/24"
    assert [r["LogicalResourceId"] for r in stacks.list_stack_resources(StackName="app")["StackResourceSummaries"]] == [
        "Q"
    ]


def test_an_update_changes_in_place_what_it_can_and_replaces_what_it_must(cloud: Cloud, stacks: Any) -> None:
    def body(delay: int, name: str) -> str:
        return template(Resources={
            "Stays": {**QUEUE, "Properties": {"DelaySeconds": delay}},
            "Moves": {**QUEUE, "Properties": {"QueueName": name}},
        })  # fmt: skip

    def ids() -> dict[str, str]:
        rows = stacks.describe_stack_resources(StackName="app")["StackResources"]
        return {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}

    create(stacks, body(1, "first"))
    before = ids()
    update(stacks, body(2, "second"))
    after = ids()
    assert after["Stays"] == before["Stays"] and after["Moves"].endswith("/second")
    sqs = cloud.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=after["Stays"], AttributeNames=["DelaySeconds"])["Attributes"]
    assert attributes["DelaySeconds"] == "2"
    assert [url for url in sqs.list_queues()["QueueUrls"] if url.endswith("/first")] == []


def test_a_create_that_fails_is_rolled_back_and_says_why(cloud: Cloud, stacks: Any) -> None:
    bad = {**QUEUE, "Properties": {"DelaySeconds": 901}, "DependsOn": "Good"}
    stacks.create_stack(StackName="app", TemplateBody=template(Resources={"Good": QUEUE, "Bad": bad}))
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_create_complete").wait(StackName="app", WaiterConfig=FAST)
    eventually(lambda: status(stacks) == "ROLLBACK_COMPLETE")
    events = stacks.describe_stack_events(StackName="app")["StackEvents"]
    [failure] = [e for e in events if e["ResourceStatus"] == "CREATE_FAILED"]
    assert failure["LogicalResourceId"] == "Bad" and "DelaySeconds" in failure["ResourceStatusReason"]
    assert "QueueUrls" not in cloud.client("sqs").list_queues()


def test_an_update_that_fails_leaves_everything_as_it_was(cloud: Cloud, stacks: Any) -> None:
    create(stacks, template(Resources={"Q": {**QUEUE, "Properties": {"DelaySeconds": 1}}}))
    worse = template(Resources={
        "Q": {**QUEUE, "Properties": {"DelaySeconds": 5}},
        "Bad": {**QUEUE, "Properties": {"DelaySeconds": 901}, "DependsOn": "Q"},
    })  # fmt: skip
    stacks.update_stack(StackName="app", TemplateBody=worse)
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_update_complete").wait(StackName="app", WaiterConfig=FAST)
    eventually(lambda: status(stacks) == "UPDATE_ROLLBACK_COMPLETE")
    sqs = cloud.client("sqs")
    [url] = sqs.list_queues()["QueueUrls"]
    delay = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"]["DelaySeconds"]
    assert delay == "1"


def test_a_deleted_stack_is_found_by_its_arn_only(stacks: Any) -> None:
    arn = create(stacks, template(Resources={"Q": QUEUE}))["StackId"]
    stacks.delete_stack(StackName="app")
    stacks.get_waiter("stack_delete_complete").wait(StackName="app", WaiterConfig=FAST)
    with pytest.raises(ClientError, match="Stack with id app does not exist"):
        stacks.describe_stacks(StackName="app")
    assert stacks.describe_stacks(StackName=arn)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"


def test_a_change_set_tells_what_it_would_do_and_one_without_changes_says_so(stacks: Any) -> None:
    body = template(Resources={"Q": QUEUE})
    create(stacks, body)
    made = stacks.create_change_set(StackName="app", ChangeSetName="none", TemplateBody=body)
    found = stacks.describe_change_set(ChangeSetName=made["Id"])
    assert found["Status"] == "FAILED"
    assert found["StatusReason"].startswith("The submitted information didn't contain changes.")
    more = template(Resources={"Q": {**QUEUE, "Properties": {"DelaySeconds": 3}}, "R": QUEUE})
    made = stacks.create_change_set(StackName="app", ChangeSetName="more", TemplateBody=more)
    changes = [one["ResourceChange"] for one in stacks.describe_change_set(ChangeSetName=made["Id"])["Changes"]]
    assert [(c["Action"], c["LogicalResourceId"]) for c in changes] == [("Modify", "Q"), ("Add", "R")]
    assert changes[0]["Replacement"] == "False"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("Resources: {A: {Type: AWS::SQS::Queue}, A: {Type: AWS::SQS::Queue}}", "duplicate key"),
        ("{", "not well-formed"),
        (template(Resources={}), "At least one Resources member must be defined"),
        (template(Resources={"A": {**QUEUE, "DependsOn": "B"}, "B": {**QUEUE, "DependsOn": "A"}}),
         r"Circular dependency between resources: \[A, B\]"),
        (template(Resources={"A": {**QUEUE, "Properties": {"QueueName": {"Ref": "Nope"}}}}),
         r"Unresolved resource dependencies \[Nope\] in the Resources block"),
        (template(Resources={"A": {"Type": "AWS::EC2::Instance"}}),
         r"Unrecognized resource types: \[AWS::EC2::Instance\]"),
        (template(Resources={"A": QUEUE}, Parameters={"P": {"Type": "String"}}), r"Parameters: \[P\] must have values"),
        ("Resources:\n" + "".join(f"  A{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'x'}]\n" for i in range(9)),
         "nested too deeply or repeats too much"),
    ],
)  # fmt: skip
def test_a_broken_template_is_refused_in_cloudformations_words(stacks: Any, body: str, told: str) -> None:
    with pytest.raises(ClientError, match=told):
        stacks.create_stack(StackName="app", TemplateBody=body)
    assert stacks.describe_stacks()["Stacks"] == []


def test_sam_refuses_provisioned_concurrency_without_an_alias_in_its_own_words(stacks: Any) -> None:
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {"Handler": "a.b", "Runtime": "python3.12", "CodeUri": "s3://b/k",
                       "ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 5}},
    }  # fmt: skip
    body = template(Transform="AWS::Serverless-2016-10-31", Resources={"CreateItemFunction": function})
    made = stacks.create_change_set(
        StackName="app", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )  # fmt: skip
    assert stacks.describe_change_set(ChangeSetName=made["Id"])["StatusReason"] == (
        "Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application Specification document. "
        "Number of errors found: 1. Resource with id [CreateItemFunction] is invalid. "
        "To set ProvisionedConcurrencyConfig AutoPublishALias must be defined on the function"
    )


def test_stacks_survive_a_restart(cloud: Cloud, stacks: Any) -> None:
    create(stacks, template(Resources={"Q": QUEUE}, Outputs={"U": {"Value": {"Ref": "Q"}}}))
    cloud.restart()
    again = cloud.client("cloudformation").describe_stacks(StackName="app")["Stacks"][0]
    assert again["StackStatus"] == "CREATE_COMPLETE" and "app-Q-" in outputs(again)["U"]


def exporting(value: str) -> str:
    return template(
        Resources={"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "exported"}}},
        Outputs={"Name": {"Value": value, "Export": {"Name": "shop-name"}}},
    )


def importing() -> str:
    name = {"Fn::ImportValue": "shop-name"}
    return template(Resources={"I": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}})


def test_an_export_that_is_in_use_can_neither_change_nor_go(cloud: Cloud, stacks: Any) -> None:
    """User Guide, "Get exported outputs from a deployed CloudFormation stack": the rules of exports."""
    create(stacks, exporting("imported"), "exporter")
    create(stacks, importing(), "importer")
    assert cloud.client("sqs").get_queue_url(QueueName="imported")["QueueUrl"].endswith("/imported")
    assert stacks.list_imports(ExportName="shop-name")["Imports"] == ["importer"]
    with pytest.raises(ClientError) as refused:
        stacks.delete_stack(StackName="exporter")
    assert "Export shop-name cannot be deleted as it is in use by importer" in str(refused.value)
    stacks.update_stack(StackName="exporter", TemplateBody=exporting("other"))
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_update_complete").wait(StackName="exporter", WaiterConfig={"Delay": 1})
    assert stacks.describe_stacks(StackName="exporter")["Stacks"][0]["Outputs"][0]["OutputValue"] == "imported"
    stacks.delete_stack(StackName="importer")
    stacks.get_waiter("stack_delete_complete").wait(StackName="importer", WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match="is not imported by any stack"):
        stacks.list_imports(ExportName="shop-name")
    stacks.delete_stack(StackName="exporter")
    stacks.get_waiter("stack_delete_complete").wait(StackName="exporter", WaiterConfig={"Delay": 1})


def test_what_is_retained_except_on_create_goes_only_if_its_own_creation_fails(cloud: Cloud, stacks: Any) -> None:
    sqs = cloud.client("sqs")
    kept = {"Type": "AWS::SQS::Queue", "DeletionPolicy": "RetainExceptOnCreate", "Properties": {"QueueName": "kept"}}
    broken = {"Type": "AWS::SQS::Queue", "DependsOn": "K", "Properties": {"QueueName": "not a name"}}
    stacks.create_stack(StackName="fails", TemplateBody=template(Resources={"K": kept, "B": broken}))
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_create_complete").wait(StackName="fails", WaiterConfig={"Delay": 1})
    assert "QueueUrls" not in sqs.list_queues()
    create(stacks, template(Resources={"K": kept}), "keeps")
    stacks.delete_stack(StackName="keeps")
    stacks.get_waiter("stack_delete_complete").wait(StackName="keeps", WaiterConfig={"Delay": 1})
    assert len(sqs.list_queues()["QueueUrls"]) == 1


def test_loops_are_unrolled_and_the_functions_of_the_language_extensions_work(cloud: Cloud, stacks: Any) -> None:
    """User Guide, "Fn::ForEach", "Fn::Length", "Fn::ToJsonString"."""
    loop = ["Name", {"Ref": "Names"}, {"Queue&{Name}": {
        "Type": "AWS::SQS::Queue", "DeletionPolicy": {"Ref": "Policy"},
        "Properties": {"QueueName": {"Fn::Sub": "shop-${Name}"}, "DelaySeconds": {"Fn::Length": {"Ref": "Names"}}},
    }}]  # fmt: skip
    body = template(
        Transform="AWS::LanguageExtensions",
        Parameters={
            "Names": {"Type": "CommaDelimitedList", "Default": "in-1,out-2"},
            "Policy": {"Type": "String", "Default": "Delete"},
        },
        Resources={"Fn::ForEach::Queues": loop},
        Outputs={
            "Fn::ForEach::Out": ["Name", ["in-1", "out-2"], {
                "Url&{Name}": {"Value": {"Fn::GetAtt": ["Queue&{Name}", "QueueName"]}},
            }],
            "Json": {"Value": {"Fn::ToJsonString": {"names": {"Ref": "Names"}, "n": 1}}},
        },
    )  # fmt: skip
    create(stacks, body, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    told = outputs(stacks.describe_stacks(StackName="app")["Stacks"][0])
    assert told == {"Urlin1": "shop-in-1", "Urlout2": "shop-out-2", "Json": '{"names":["in-1","out-2"],"n":1}'}
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName="shop-in-1")["QueueUrl"]
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"]["DelaySeconds"] == "2"


READY: dict[str, Any] = {
    "F": {"Type": "AWS::Lambda::Function", "Properties": {
        "Code": {"ZipFile": "import missing"}, "Handler": "index.handler", "Runtime": "python3.11",
        "Role": "arn:aws:iam::000000000000:role/any"}},
    "V": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "F"}}},
    "A": {"Type": "AWS::Lambda::Alias", "Properties": {
        "FunctionName": {"Ref": "F"}, "FunctionVersion": {"Fn::GetAtt": ["V", "Version"]}, "Name": "live",
        "ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 1}}},
}  # fmt: skip
ATTACHED: dict[str, Any] = {
    "R": {"Type": "AWS::IAM::Role", "Properties": {
        "RoleName": "mine", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
        "ManagedPolicyArns": ["arn:aws:iam::000000000000:policy/none"]}},
}  # fmt: skip


@pytest.mark.parametrize("resources", [READY, ATTACHED])
def test_a_resource_that_was_half_made_when_a_step_failed_is_rolled_back(
    cloud: Cloud, stacks: Any, resources: dict[str, Any]
) -> None:
    with pytest.raises(WaiterError):
        create(stacks, template(Resources=resources), Capabilities=["CAPABILITY_NAMED_IAM"])
    eventually(lambda: status(stacks) == "ROLLBACK_COMPLETE")
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("iam").list_roles()["Roles"] == []
