"""REST APIs, told through plain HTTP against an imported OpenAPI document."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.cloud import ACCOUNT, REGION, Cloud
from tests.support.code import deploy

ECHO = "def handler(event, context):\n    import json\n    return {'statusCode': 200, 'body': json.dumps(event)}\n"


class Api:
    def __init__(self, cloud: Cloud, source: str = ECHO, **integration: Any) -> None:
        self.cloud, self.client = cloud, cloud.client("apigateway")
        functions = cloud.client("lambda")
        arn = deploy(functions, "app", source)
        functions.add_permission(
            FunctionName="app", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
        )
        uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"
        proxy = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri, **integration}
        method = {"responses": {}, "x-amazon-apigateway-integration": proxy}
        document = {
            "swagger": "2.0", "info": {"title": "app", "version": "1"},
            "paths": {"/items": {"get": method, "post": method}, "/items/new": {"get": method},
                      "/items/{id}": {"get": method}, "/files/{path+}": {"x-amazon-apigateway-any-method": method}},
        }  # fmt: skip
        self.id = self.client.import_rest_api(body=json.dumps(document))["id"]
        self.client.create_deployment(restApiId=self.id, stageName="prod")

    def get(self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> Any:
        given = {"Host": f"{self.id}.execute-api.localhost", **headers}
        request = urllib.request.Request(f"{self.cloud.url}/prod{path}", body, given, method=method)
        try:
            answer = urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.read(), answer.headers


def test_the_event_is_the_documented_one(cloud: Cloud) -> None:
    status, body, _ = Api(cloud).get("/items/a%20b?x=1&x=2&y=", **{"X-Own": "v"})
    event = json.loads(body)
    assert status == 200
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/items/{id}", "/items/a%20b", "GET")
    assert event["pathParameters"] == {"id": "a b"}
    assert event["queryStringParameters"] == {"x": "2", "y": ""}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": [""]}
    assert event["multiValueHeaders"]["X-Own"] == ["v"]
    assert (event["body"], event["isBase64Encoded"], event["stageVariables"]) == (None, False, None)
    context = event["requestContext"]
    assert (context["resourcePath"], context["path"], context["stage"]) == ("/items/{id}", "/prod/items/a%20b", "prod")
    assert (context["accountId"], context["identity"]["sourceIp"]) == (ACCOUNT, "127.0.0.1")


def test_what_is_said_word_for_word_wins_over_labels(cloud: Cloud) -> None:
    api = Api(cloud)
    assert json.loads(api.get("/items/new")[1])["resource"] == "/items/new"
    found = json.loads(api.get("/files/a/b/c", method="DELETE")[1])
    assert (found["resource"], found["pathParameters"]) == ("/files/{path+}", {"path": "a/b/c"})


def test_what_no_method_answers_is_told_as_api_gateway_tells_it(cloud: Cloud) -> None:
    api = Api(cloud)
    status, body, headers = api.get("/nothing")
    assert (status, body) == (403, b'{"message":"Missing Authentication Token"}')
    assert headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"


@pytest.mark.parametrize(
    "reply", ["'text'", "{'statusCode': 'many'}", "{'body': 1}", "{'statusCode': 200, 'other': 1}", "None"]
)
def test_a_malformed_reply_is_a_502(cloud: Cloud, reply: str) -> None:
    status, body, _ = Api(cloud, f"def handler(event, context):\n    return {reply}\n").get("/items")
    assert (status, body) == (502, b'{"message": "Internal server error"}')


def test_a_function_that_takes_longer_than_the_integration_may_is_a_504(cloud: Cloud) -> None:
    slow = "import time\ndef handler(event, context):\n    time.sleep(1)\n"
    status, body, _ = Api(cloud, slow, timeoutInMillis=60).get("/items")
    assert (status, body) == (504, b'{"message":"Endpoint request timed out"}')


def test_headers_of_a_reply_may_have_several_values_and_a_body_may_be_binary(cloud: Cloud) -> None:
    source = (
        "def handler(event, context):\n"
        "    return {'statusCode': 201, 'multiValueHeaders': {'Set-Cookie': ['a=1', 'b=2']},\n"
        "            'headers': {'Content-Type': 'image/png'}, 'body': 'AAH/', 'isBase64Encoded': True}\n"
    )
    status, body, headers = Api(cloud, source).get("/items")
    assert (status, body, headers["Content-Type"]) == (201, b"\x00\x01\xff", "image/png")
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_an_api_answers_at_every_address_that_people_use(cloud: Cloud) -> None:
    api = Api(cloud)
    assert api.get("/items", Host=f"{api.id}.execute-api.eu-west-1.amazonaws.com")[0] == 200
    with urllib.request.urlopen(f"{cloud.url}/restapis/{api.id}/prod/_user_request_/items") as answer:
        assert json.load(answer)["path"] == "/items"
    cloud.restart()
    assert api.get("/items")[0] == 200


def test_a_change_is_seen_once_it_is_deployed(cloud: Cloud) -> None:
    api = Api(cloud)
    root = next(r["id"] for r in api.client.get_resources(restApiId=api.id)["items"] if r["path"] == "/")
    made = api.client.create_resource(restApiId=api.id, parentId=root, pathPart="later")["id"]
    where = {"restApiId": api.id, "resourceId": made, "httpMethod": "GET"}
    api.client.put_method(**where, authorizationType="NONE")
    templates = {"application/json": '{"statusCode": 200}'}
    api.client.put_integration(**where, type="MOCK", requestTemplates=templates)
    api.client.put_integration_response(**where, statusCode="200", responseTemplates={"application/json": '{"ok":1}'})
    assert api.get("/later")[0] == 403
    cloud.advance(seconds=1)
    api.client.create_deployment(restApiId=api.id, stageName="prod")
    assert api.get("/later")[:2] == (200, b'{"ok":1}')


def test_an_integration_that_is_not_served_is_refused_by_name(cloud: Cloud) -> None:
    api = Api(cloud)
    root = api.client.get_rest_api(restApiId=api.id)["rootResourceId"]
    where = {"restApiId": api.id, "resourceId": root, "httpMethod": "GET"}
    api.client.put_method(**where, authorizationType="NONE")
    with pytest.raises(ClientError, match="HTTP_PROXY"):
        api.client.put_integration(**where, type="HTTP_PROXY", integrationHttpMethod="GET", uri="http://example.com")
