"""Templates: what they may say, and in which words they are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fogbank.aws.stacks import intrinsics, plan
from fogbank.aws.stacks.template import TemplateError, parse
from tests.support.cloud import Cloud
from tests.support.stacks import QUEUE, Stacks, queue, template

ON = {"Fn::Equals": ["a", "a"]}


def value_of(value: Any, **sections: Any) -> Any:
    """A value worked out in a template with these sections."""
    parameters = {"AWS::Region": "us-east-1", "AWS::AccountId": "0", **sections.pop("parameters", {})}

    def unknown(*names: str) -> Any:
        raise TemplateError(f"no {names}")

    scope = intrinsics.Scope(
        parameters, sections.get("conditions", {}), sections.get("mappings", {}), unknown, unknown, unknown
    )
    return intrinsics.resolve(value, scope)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"Fn::Join": ["-", ["a", {"Ref": "AWS::Region"}, 1, True]]}, "a-us-east-1-1-true"),
        ({"Fn::Join": [",", {"Fn::GetAZs": ""}]}, "us-east-1a,us-east-1b,us-east-1c"),
        ({"Fn::Select": ["1", {"Fn::Split": ["|", "a|b|c"]}]}, "b"),
        ({"Fn::Sub": "${AWS::Region}:${!kept}:$x"}, "us-east-1:${kept}:$x"),
        ({"Fn::Sub": ["${a}${b}", {"a": 1, "b": {"Ref": "AWS::AccountId"}}]}, "10"),
        ({"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "k"]}, "v"),
        ({"Fn::FindInMap": ["M", "nowhere", "k", {"DefaultValue": {"Ref": "AWS::Region"}}]}, "us-east-1"),
        ({"Fn::Cidr": ["10.0.0.0/24", 3, 4]}, ["10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/28"]),
        ({"Fn::Base64": {"Fn::Sub": "${AWS::Region}"}}, "dXMtZWFzdC0x"),
        ({"Fn::If": ["On", {"Ref": "AWS::NoValue"}, "x"]}, intrinsics.NO_VALUE),
        ({"a": {"Fn::If": ["On", {"Ref": "AWS::NoValue"}, "x"]}, "b": 1}, {"b": 1}),
        ({"Fn::And": [{"Condition": "On"}, {"Fn::Not": [{"Condition": "Off"}]}]}, True),
        ({"Fn::Or": [{"Condition": "Off"}, {"Fn::Equals": [1, "1"]}]}, True),
        ({"Fn::Length": {"Fn::Split": [",", "a,b"]}}, 2),
        ({"Fn::ToJsonString": {"a": {"Ref": "AWS::Region"}}}, '{"a":"us-east-1"}'),
    ],
)
def test_a_function_gives_what_its_reference_says(value: Any, found: Any) -> None:
    """User Guide, "Intrinsic function reference"."""
    conditions = {"On": ON, "Off": {"Fn::Not": [{"Condition": "On"}]}}
    assert value_of(value, conditions=conditions, mappings={"M": {"us-east-1": {"k": "v"}}}) == found


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"Fn::Join": ["-"]}, "every Fn::Join object requires two parameters"),
        ({"Fn::Select": ["-1", ["a", "b"]]}, "every Fn::Select object requires two parameters"),
        ({"Fn::Select": [2, ["a", "b"]]}, "Fn::Select cannot select nonexistent value at index 2"),
        ({"Fn::Split": ["", "a"]}, "every Fn::Split object requires two parameters"),
        ({"Fn::Sub": ["${x}"]}, "One or more Fn::Sub intrinsic functions don't specify expected arguments"),
        ({"Fn::FindInMap": ["M", "a", "b"]}, "Unable to get mapping for M::a::b"),
        ({"Fn::Cidr": ["10.0.0.0/24", 300, 4]}, "count must be between 1 and 256"),
        ({"Fn::Cidr": ["10.0.0.0/24", 3, 7]}, "cannot cut 3 blocks"),
        ({"Fn::Cidr": ["everywhere", 3, 7]}, "every Fn::Cidr object requires"),
        ({"Fn::And": [True]}, "every Fn::And object requires a list of at least 2 and at most 10"),
        ({"Fn::Not": [True, True]}, "every Fn::Not object requires one boolean parameter"),
        ({"Fn::Equals": ["a"]}, "every Fn::Equals object requires a list of 2 string parameters"),
        ({"Fn::GetAtt": "A"}, "every Fn::GetAtt object requires two non-empty parameters"),
        ({"Fn::If": ["A", 1]}, "Fn::If requires a list argument"),
        ({"Fn::If": ["A", 1, 2]}, r"Circular dependency between conditions: \[A\]"),
        ({"Ref": ["A"]}, "Every Ref object must have a single String value"),
        ({"Fn::Nope": 1}, "Fn::Nope is not a function"),
    ],
)
def test_a_function_that_is_used_wrongly_is_refused_in_cloudformations_words(value: Any, told: str) -> None:
    circle = {"A": {"Fn::Not": [{"Condition": "B"}]}, "B": {"Fn::Not": [{"Condition": "A"}]}}
    with pytest.raises(TemplateError, match=told):
        value_of(value, conditions=circle)


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"Resources": {"Q": {**QUEUE, "Condition": "Nope"}}},
         "Unresolved condition dependency Nope in the Resources block of the template"),
        ({"Resources": {"Q": QUEUE}, "Conditions": {"C": {"Fn::Equals": [{"Ref": "Q"}, "x"]}}},
         r"Unresolved dependencies \[Q\]. Cannot reference resources in the Conditions block of the template"),
        ({"Resources": {"Q": QUEUE}, "Conditions": {"C": {"Condition": "C"}}},
         "Circular dependency between conditions"),
        ({"Resources": {"Q": {**QUEUE, "Condition": "No"}, "R": queue(QueueName={"Fn::GetAtt": ["Q", "QueueName"]})},
          "Conditions": {"No": {"Fn::Not": [ON]}}},
         r"Unresolved resource dependencies \[Q\] in the Resources block of the template"),
        ({"Resources": {"Q": queue(QueueName={"Fn::GetAtt": ["Q", "QueueName"]})}},
         r"Circular dependency between resources: \[Q\]"),
        ({"Resources": {"Q": QUEUE}, "Outputs": {"O": {"Description": "x"}}},
         "Every Outputs member must contain a Value object"),
        ({"Resources": {"Q": {**QUEUE, "Propertys": {}}}}, "Invalid template resource property 'Propertys'"),
        ({"Resources": {"Q": {**QUEUE, "DeletionPolicy": "Keep"}}}, "Unrecognized DeletionPolicy Keep"),
        ({"Resources": {"Q": {**QUEUE, "DeletionPolicy": "Snapshot"}}},
         "resource type AWS::SQS::Queue does not support deletion policy Snapshot"),
        ({"Resources": {"Q": queue(QueueName={"Fn::Macro": 1})}}, "Fn::Macro is not a function"),
        ({"Resources": {"Q": QUEUE}, "Parameters": {"P": {"Type": "Text", "Default": "x"}}},
         "Unrecognized parameter type: Text"),
        ({"Resources": {"Q": QUEUE}, "Parameters": {"P": {"Type": "String", "Default": "x", "AllowedPattern": "("}}},
         "AllowedPattern of parameter P is not a regular expression"),
        ({"Resources": {"Q": QUEUE}, "Parameters": {"P": {"Type": "Number", "Default": "x"}}},
         "Parameter 'P' must be a number"),
        ({"Resources": {"Q": QUEUE}, "Transform": "My-Macro"}, "No transform named My-Macro found."),
        ({"Resources": {f"Q{i}": QUEUE for i in range(501)}},
         "Number of resources, 501, is greater than maximum allowed, 500"),
        ({"Resources": {"Q": QUEUE},
          "Parameters": {"P": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/x"}}},
         r"Unable to fetch parameters \[/x\] from parameter store for this account."),
        ({"Resources": {"A": {"Type": "AWS::Lambda::Alias", "UpdatePolicy": {"CodeDeployLambdaAliasUpdate": {}}}}},
         "UpdatePolicy of the resource A is not served here"),
    ],
)  # fmt: skip
def test_a_template_that_is_wrong_is_refused_before_anything_is_made(
    stacks: Stacks, sections: dict[str, Any], told: str
) -> None:
    with pytest.raises(ClientError, match=told) as refused:
        stacks.client.create_stack(
            StackName="app", TemplateBody=template(**sections), Capabilities=["CAPABILITY_AUTO_EXPAND"]
        )
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert stacks.client.describe_stacks()["Stacks"] == []


def test_what_only_the_branch_not_taken_refers_to_is_no_circle(stacks: Stacks) -> None:
    other = {"Fn::If": ["On", {"Ref": "AWS::NoValue"}, {"Fn::GetAtt": ["B", "QueueName"]}]}
    resources = {"A": queue(QueueName=other), "B": queue(QueueName={"Fn::Sub": "${A.QueueName}-b"})}
    stacks.create(template(Conditions={"On": ON}, Resources=resources))
    assert stacks.ids()["B"].endswith("-b")


def test_an_output_is_text(stacks: Stacks) -> None:
    stacks.create(template(Resources={"Q": QUEUE}, Outputs={"N": {"Value": 3}, "B": {"Value": True}}))
    assert stacks.outputs() == {"N": "3", "B": "true"}
    wrong = template(Resources={"Q": QUEUE}, Outputs={"L": {"Value": {"Fn::GetAZs": ""}}})
    stacks.update(wrong, ends="UPDATE_ROLLBACK_COMPLETE")
    assert any("must evaluate to a String" in reason for reason in stacks.reasons())


def test_rules_hold_or_the_stack_is_not_made(stacks: Stacks) -> None:
    """User Guide, "Rules"."""
    body = template(
        Parameters={"Env": {"Type": "String"}, "Size": {"Type": "String"}},
        Rules={"Sizes": {
            "RuleCondition": {"Fn::Equals": [{"Ref": "Env"}, "test"]},
            "Assertions": [{"Assert": {"Fn::Contains": [["small"], {"Ref": "Size"}]}, "AssertDescription": "be small"}],
        }},
        Resources={"Q": QUEUE},
    )  # fmt: skip

    def given_(env: str) -> list[dict[str, str]]:
        return [{"ParameterKey": "Env", "ParameterValue": env}, {"ParameterKey": "Size", "ParameterValue": "large"}]

    with pytest.raises(ClientError, match="Sizes: be small"):
        stacks.client.create_stack(StackName="app", TemplateBody=body, Parameters=given_("test"))
    stacks.create(body, Parameters=given_("prod"))


def test_pieces_of_a_template_may_lie_in_a_bucket(cloud: Cloud, stacks: Stacks) -> None:
    """User Guide, "AWS::Include transform"."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="pieces")
    s3.put_object(Bucket="pieces", Key="queue.yaml", Body=b"DelaySeconds: !Ref Delay\nVisibilityTimeout: 7\n")
    s3.put_object(Bucket="pieces", Key="more.json", Body=json.dumps({"Outputs": {"O": {"Value": "x"}}}).encode())
    include = {"Name": "AWS::Include", "Parameters": {"Location": "s3://pieces/queue.yaml"}}
    body = template(
        Transform=[{"Name": "AWS::Include", "Parameters": {"Location": {"Fn::Sub": "s3://${Bucket}/more.json"}}}],
        Parameters={"Delay": {"Type": "Number", "Default": 4}, "Bucket": {"Type": "String", "Default": "pieces"}},
        Resources={"Q": {**QUEUE, "Properties": {"Fn::Transform": include, "VisibilityTimeout": 8}}},
    )
    stacks.create(body, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=stacks.ids()["Q"], AttributeNames=["All"])["Attributes"]
    assert (found["DelaySeconds"], found["VisibilityTimeout"], stacks.outputs()) == ("4", "8", {"O": "x"})


def test_capabilities_are_asked_for_in_cloudformations_words(stacks: Stacks) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
    named = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}, "RoleName": "r"}}
    for resources, needed in (({"R": role}, "CAPABILITY_IAM"), ({"R": named}, "CAPABILITY_NAMED_IAM")):
        with pytest.raises(ClientError) as refused:
            stacks.client.create_stack(StackName="app", TemplateBody=template(Resources=resources))
        error = refused.value.response["Error"]
        assert error["Code"] == "InsufficientCapabilitiesException"
        assert error["Message"] == f"Requires capabilities : [{needed}]"


def test_a_parameter_that_is_not_echoed_is_shown_nowhere(stacks: Stacks) -> None:
    """Parameters section, NoEcho: "masked as asterisks (*****)"."""
    body = template(Parameters={"Secret": {"Type": "String", "NoEcho": True}}, Resources={"Q": QUEUE})
    stacks.create(body, Parameters=[{"ParameterKey": "Secret", "ParameterValue": "hush"}])
    assert stacks.described()["Parameters"] == [{"ParameterKey": "Secret", "ParameterValue": "****"}]
    more = template(Parameters={"Secret": {"Type": "String", "NoEcho": True}}, Resources={"Q": QUEUE, "R": QUEUE})
    stacks.update(more, Parameters=[{"ParameterKey": "Secret", "UsePreviousValue": True}])
    assert stacks.ids().keys() == {"Q", "R"}


def test_metadata_of_a_resource_is_shown(stacks: Stacks) -> None:
    stacks.create(template(Resources={"Q": {**QUEUE, "Metadata": {"why": "because"}}}))
    found = stacks.client.describe_stack_resource(StackName="app", LogicalResourceId="Q")["StackResourceDetail"]
    assert json.loads(found["Metadata"]) == {"why": "because"}


@pytest.mark.parametrize(
    "resource",
    [
        {"Type": "AWS::Serverless::Function"},
        {"Type": "AWS::Serverless::Function", "Properties": []},
        {"Type": "AWS::Serverless::Function", "Properties": {"Events": {"E": 3}, "Handler": {"a": 1}}},
        {"Type": "AWS::Serverless::Api", "Properties": {"StageName": 3, "DefinitionBody": {"paths": [1]}}},
        {"Type": "AWS::Serverless::Nope", "Properties": {}},
        "text",
    ],
)
def test_what_the_transform_cannot_make_sense_of_is_a_failed_change_set(stacks: Stacks, resource: Any) -> None:
    body = template(Transform="AWS::Serverless-2016-10-31", Resources={"F": resource})
    made = stacks.client.create_change_set(
        StackName="app", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )  # fmt: skip
    found = stacks.client.describe_change_set(ChangeSetName=made["Id"])
    assert (found["Status"], found["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    failures = (
        "Transform AWS::Serverless-2016-10-31 failed with: ",
        "Template format error: Unrecognized resource types",
    )
    assert found["StatusReason"].startswith(failures)


LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.text("AB.${}:", max_size=6) | st.just("Ref")
FUNCTIONS = [
    "Fn::Sub", "Fn::GetAtt", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::If", "Fn::And", "Fn::Not", "Fn::Equals",
    "Fn::Cidr", "Fn::FindInMap", "Fn::Base64", "Fn::GetAZs", "Fn::ImportValue", "Fn::Length", "Fn::ToJsonString",
]  # fmt: skip
KEYS = st.sampled_from(["Ref", "Condition", "Type", "Properties", "Value", "Export", "Default", "A", *FUNCTIONS])
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
SECTIONS = st.sampled_from(["Resources", "Outputs", "Parameters", "Conditions", "Mappings", "Rules", "Transform"])


@settings(max_examples=400, deadline=None)
@example({"Conditions": {"A": {"Fn::GetAZs": None}}})
@given(st.dictionaries(SECTIONS, st.dictionaries(st.sampled_from(["A", "B"]), ANYTHING, max_size=2) | ANYTHING))
def test_garbage_is_a_template_error_and_nothing_else(document: dict[str, Any]) -> None:
    document = {"Resources": {"A": {"Type": "AWS::SQS::Queue", "Properties": document.get("Mappings")}}, **document}
    try:
        read = parse(json.dumps(document))
        values = plan.parameters(read, {})
        plan.check(read, lambda _: True)
        scope = intrinsics.Scope(
            {"AWS::Region": "us-east-1", **plan.parameter_values(read, values)},
            read.get("Conditions") or {}, read.get("Mappings") or {},
            lambda name: name, lambda name, attribute: name + attribute, lambda name: name,
        )  # fmt: skip
        plan.check_chosen(read, scope)
        for planned in plan.planned(read, scope).values():
            intrinsics.resolve(planned.properties, scope)
        for output in (read.get("Outputs") or {}).values():
            intrinsics.resolve(output["Value"], scope)
    except TemplateError:
        return
