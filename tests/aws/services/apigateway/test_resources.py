"""REST APIs in a template: a change of one is live once the update is done."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.support.cloud import Cloud
from tests.support.stacks import Stacks, template

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


def mock(body: str) -> dict[str, Any]:
    integration = {
        "type": "mock", "requestTemplates": {"application/json": '{"statusCode": 200}'},
        "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": body}}},
    }  # fmt: skip
    return {"responses": {"200": {}}, "x-amazon-apigateway-integration": integration}


def get(cloud: Cloud, api: str, path: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(f"{cloud.url}{path}", headers={"Host": f"{api}.execute-api.localhost"})
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.read().decode(), answer.headers


def test_a_changed_body_is_live_with_the_deployment_that_is_made_of_it(cloud: Cloud) -> None:
    stacks = Stacks(cloud)

    def body(text: str, deployment: str, **more: Any) -> str:
        document = {"swagger": "2.0", "info": {"title": "t", "version": "1"}, "paths": {"/x": {"get": mock(text)}}}
        return template(Resources={
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": document, **more}},
            deployment: {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}},
            "Stage": {"Type": "AWS::ApiGateway::Stage", "Properties": {
                "RestApiId": {"Ref": "Api"}, "DeploymentId": {"Ref": deployment}, "StageName": "prod",
                "TracingEnabled": True,
            }},
        })  # fmt: skip

    stacks.create(body("one", "DeploymentA"))
    api = stacks.ids()["Api"]
    assert get(cloud, api, "/prod/x")[:2] == (200, "one")
    stacks.update(body("two", "DeploymentB", Description="new", BinaryMediaTypes=["image~1png"]))
    assert get(cloud, api, "/prod/x")[:2] == (200, "two")
    found = cloud.client("apigateway").get_rest_api(restApiId=api)
    assert (found["description"], found["binaryMediaTypes"]) == ("new", ["image/png"])
    assert cloud.client("apigateway").get_stage(restApiId=api, stageName="prod")["tracingEnabled"] is True
    assert len(cloud.client("apigateway").get_deployments(restApiId=api)["items"]) == 1
    stacks.update(body("three", "DeploymentC"))
    assert "binaryMediaTypes" not in cloud.client("apigateway").get_rest_api(restApiId=api)


def test_an_update_that_fails_leaves_the_api_that_was_live(cloud: Cloud) -> None:
    stacks = Stacks(cloud)

    def body(text: str, **more: Any) -> str:
        document = {"swagger": "2.0", "info": {"title": "t", "version": "1"}, "paths": {"/x": {"get": mock(text)}}}
        api = {"Type": "AWS::Serverless::Api", "Properties": {"StageName": "prod", "DefinitionBody": document}}
        return template(Transform="AWS::Serverless-2016-10-31", Resources={"Api": api, **more})

    stacks.create(body("one"), Capabilities=CAPABILITIES)
    api = stacks.ids()["Api"]
    bad = {"Type": "AWS::SQS::Queue", "DependsOn": "Api", "Properties": {"DelaySeconds": 901}}
    stacks.update(body("two", Bad=bad), ends="UPDATE_ROLLBACK_COMPLETE", Capabilities=CAPABILITIES)
    assert get(cloud, api, "/prod/x")[:2] == (200, "one")
    stacks.update(body("three"), Capabilities=CAPABILITIES)
    assert get(cloud, api, "/prod/x")[:2] == (200, "three")


def test_cors_as_sam_writes_it(cloud: Cloud) -> None:
    stacks = Stacks(cloud)
    document = {"swagger": "2.0", "info": {"title": "t", "version": "1"}, "paths": {"/x": {"get": mock("x")}}}
    allowed = {"ResponseParameters": {"Headers": {"Access-Control-Allow-Origin": "'*'"}}}
    api = {"Type": "AWS::Serverless::Api", "Properties": {
        "StageName": "prod", "Cors": "'*'", "GatewayResponses": {"DEFAULT_4XX": allowed}, "DefinitionBody": document,
    }}  # fmt: skip
    stacks.create(template(Transform="AWS::Serverless-2016-10-31", Resources={"Api": api}), Capabilities=CAPABILITIES)
    made = stacks.ids()["Api"]
    request = urllib.request.Request(
        f"{cloud.url}/prod/x", headers={"Host": f"{made}.execute-api.localhost"}, method="OPTIONS"
    )
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, json.load(answer)) == (200, {})
        assert answer.headers["Access-Control-Allow-Methods"] == "GET,OPTIONS"
    status, _, headers = get(cloud, made, "/prod/nothing")
    assert (status, headers["Access-Control-Allow-Origin"]) == (403, "*")


def test_a_gateway_response_of_its_own_is_a_resource(cloud: Cloud) -> None:
    stacks = Stacks(cloud)

    def body(status: int) -> str:
        return template(Resources={
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "api"}},
            "Denied": {"Type": "AWS::ApiGateway::GatewayResponse", "Properties": {
                "RestApiId": {"Ref": "Api"}, "ResponseType": "DEFAULT_4XX", "StatusCode": status,
            }},
        })  # fmt: skip

    stacks.create(body(418))
    client, api = cloud.client("apigateway"), stacks.ids()["Api"]
    assert client.get_gateway_response(restApiId=api, responseType="DEFAULT_4XX")["statusCode"] == "418"
    stacks.update(body(404))
    assert client.get_gateway_response(restApiId=api, responseType="DEFAULT_4XX")["statusCode"] == "404"


def test_tags_of_an_api_and_its_stage_follow_the_stacks(cloud: Cloud) -> None:
    stacks = Stacks(cloud)
    document = {"swagger": "2.0", "info": {"title": "t", "version": "1"}, "paths": {"/x": {"get": mock("x")}}}
    body = template(Resources={
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": document}},
        "Made": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}},
        "Stage": {"Type": "AWS::ApiGateway::Stage", "Properties": {
            "RestApiId": {"Ref": "Api"}, "DeploymentId": {"Ref": "Made"}, "StageName": "prod",
        }},
    })  # fmt: skip
    client = cloud.client("apigateway")
    stacks.create(body, Tags=[{"Key": "a", "Value": "1"}])
    stacks.update(body, Tags=[{"Key": "b", "Value": "2"}])
    arn = f"arn:aws:apigateway:us-east-1::/restapis/{stacks.ids()['Api']}"
    assert client.get_tags(resourceArn=arn)["tags"] == {"b": "2"}
    assert client.get_tags(resourceArn=f"{arn}/stages/prod")["tags"] == {"b": "2"}
    client.untag_resource(resourceArn=arn, tagKeys=["b"])
    assert client.get_tags(resourceArn=arn)["tags"] == {}
