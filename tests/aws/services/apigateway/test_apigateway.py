"""REST APIs, told through plain HTTP against an imported OpenAPI document."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.support.cloud import ACCOUNT, REGION, Cloud
from tests.support.code import deploy

ECHO = "def handler(event, context):\n    import json\n    return {'statusCode': 200, 'body': json.dumps(event)}\n"


class Api:
    def __init__(
        self, cloud: Cloud, source: str = ECHO, *, binary: Any = (), more: Any = None, **integration: Any
    ) -> None:
        self.cloud, self.client = cloud, cloud.client("apigateway")
        functions = cloud.client("lambda")
        arn = deploy(functions, "app", source)
        self.permit(functions)
        uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"
        proxy = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri, **integration}
        method = {"responses": {}, "x-amazon-apigateway-integration": proxy}
        document = {
            "swagger": "2.0", "info": {"title": "app", "version": "1"},
            "paths": {"/items": {"get": method, "post": method}, "/items/new": {"get": method},
                      "/items/{id}": {"get": method}, "/files/{path+}": {"x-amazon-apigateway-any-method": method}},
            "x-amazon-apigateway-binary-media-types": list(binary), **(more or {}),
        }  # fmt: skip
        self.id = self.client.import_rest_api(body=json.dumps(document))["id"]
        self.client.create_deployment(restApiId=self.id, stageName="prod")

    def permit(self, functions: Any) -> None:
        functions.add_permission(
            FunctionName="app", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
        )

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
    assert event["pathParameters"] == {"id": "a%20b"}  # REST APIs decode no paths; their query they do.
    assert event["queryStringParameters"] == {"x": "2", "y": ""}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": [""]}
    assert event["multiValueHeaders"]["X-Own"] == ["v"]
    assert (event["body"], event["isBase64Encoded"], event["stageVariables"]) == (None, False, None)
    context = event["requestContext"]
    assert (context["resourcePath"], context["path"], context["stage"]) == ("/items/{id}", "/prod/items/a%20b", "prod")
    assert (context["accountId"], context["identity"]["sourceIp"]) == (ACCOUNT, "127.0.0.1")


def test_bytes_that_are_no_utf_8_come_as_latin_1_and_headers_stay_those_of_their_own_request(cloud: Cloud) -> None:
    """RFC 9110, section 5.5: field values were "historically" of ISO-8859-1."""
    api = Api(cloud)
    for value, seen in (("caf\xe9", "café"), ("tea", "tea"), ("caf\xe9", "café")):
        connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"))
        connection.putrequest("GET", "/prod/items", skip_host=True)
        connection.putheader("host", f"{api.id}.execute-api.localhost")
        connection.putheader("X-Drink", value.encode("latin-1"))
        connection.endheaders()
        event = json.loads(connection.getresponse().read())
        assert event["headers"]["X-Drink"] == seen
        assert event["multiValueHeaders"]["X-Drink"] == [seen]
        assert event["multiValueHeaders"]["X-Amzn-Trace-Id"] == [event["headers"]["X-Amzn-Trace-Id"]]
        connection.close()


def test_the_event_tells_of_the_apis_own_address_by_whichever_the_request_came(cloud: Cloud) -> None:
    api = Api(cloud)
    with urllib.request.urlopen(f"{cloud.url}/restapis/{api.id}/prod/_user_request_/items") as answer:
        context = json.load(answer)["requestContext"]
    assert context["domainName"] == f"{api.id}.execute-api.us-east-1.amazonaws.com"
    assert (context["domainPrefix"], context["path"]) == (api.id, "/prod/items")


def test_a_trailing_slash_is_in_the_path_and_in_no_path_parameter(cloud: Cloud) -> None:
    event = json.loads(Api(cloud).get("/files/a%2Bb/c+d/?q=1+2&q=%2B")[1])
    assert (event["path"], event["pathParameters"]) == ("/files/a%2Bb/c+d/", {"path": "a%2Bb/c+d"})
    assert event["multiValueQueryStringParameters"] == {"q": ["1 2", "+"]}


def test_names_of_headers_come_as_they_were_sent_but_for_those_that_the_edge_writes_itself(cloud: Cloud) -> None:
    connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"))
    api = Api(cloud)
    connection.putrequest("GET", "/prod/items", skip_host=True)
    for name, value in (("host", f"{api.id}.execute-api.localhost"), ("authorization", "a"), ("user-agent", "me"),
                        ("x-mIxEd", "1"), ("x-mIxEd", "2"), ("Connection", "close")):  # fmt: skip
        connection.putheader(name, value)
    connection.endheaders()
    event = json.loads(connection.getresponse().read())
    assert (event["headers"]["Authorization"], event["headers"]["User-Agent"]) == ("a", "me")
    assert (event["headers"]["x-mIxEd"], event["multiValueHeaders"]["x-mIxEd"]) == ("2", ["1", "2"])
    assert "Connection" not in event["headers"]
    assert event["requestContext"]["identity"]["userAgent"] == "me"


def test_a_body_of_a_binary_media_type_comes_in_base64(cloud: Cloud) -> None:
    """ "Content type conversions in API Gateway"."""
    api = Api(cloud, binary=["image/*"])
    event = json.loads(api.get("/items", method="POST", body=b"\x00\xff", **{"Content-Type": "image/png"})[1])
    assert (event["body"], event["isBase64Encoded"]) == ("AP8=", True)
    event = json.loads(api.get("/items", method="POST", body=b"{}", **{"Content-Type": "application/json"})[1])
    assert (event["body"], event["isBase64Encoded"]) == ("{}", False)


def test_a_head_has_no_body_and_the_length_of_one(cloud: Cloud) -> None:
    status, body, headers = Api(cloud).get("/files/x", method="HEAD")
    assert (status, body) == (200, b"") and int(headers["Content-Length"]) > 100


def test_who_may_invoke_is_said_by_the_functions_policy(cloud: Cloud) -> None:
    """Without a statement for this API there is no way in: Internal server error."""
    api, functions = Api(cloud), cloud.client("lambda")
    functions.remove_permission(FunctionName="app", StatementId="api")
    assert api.get("/items")[:2] == (500, b'{"message": "Internal server error"}')
    arn = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api.id}/*/GET/items/{{id}}"
    functions.add_permission(
        FunctionName="app", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
        SourceArn=arn,
    )  # fmt: skip
    assert (api.get("/items")[0], api.get("/items/1")[0]) == (500, 200)


def test_a_function_that_raises_is_a_502(cloud: Cloud) -> None:
    status, body, headers = Api(cloud, "def handler(event, context):\n    raise ValueError\n").get("/items")
    assert (status, body) == (502, b'{"message": "Internal server error"}')
    assert headers["x-amzn-ErrorType"] == "InternalServerErrorException" and headers["x-amz-apigw-id"]


def test_an_integration_that_does_not_post_reaches_no_function(cloud: Cloud) -> None:
    """ "Set up Lambda proxy integration": the integration's HTTP method is POST, whatever the method's own is."""
    assert Api(cloud, httpMethod="GET").get("/items")[:2] == (500, b'{"message": "Internal server error"}')


def test_a_reply_may_leave_everything_out(cloud: Cloud) -> None:
    status, body, headers = Api(cloud, "def handler(event, context):\n    return {}\n").get("/items")
    assert (status, body, headers["Content-Type"]) == (200, b"", "application/json")


def test_headers_that_the_gateway_keeps_for_itself_are_given_other_names(cloud: Cloud) -> None:
    """ "Amazon API Gateway important notes": WWW-Authenticate and others are remapped."""
    reply = {"headers": {"WWW-Authenticate": "Basic", "Content-Length": "999", "X-On": True}, "body": "x"}
    status, body, headers = Api(cloud, f"def handler(event, context):\n    return {reply}\n").get("/items")
    assert (status, body, headers["X-On"]) == (200, b"x", "true")
    assert headers["x-amzn-Remapped-WWW-Authenticate"] == "Basic" and headers["WWW-Authenticate"] is None


def test_a_body_may_have_ten_megabytes(cloud: Cloud) -> None:
    """Quotas, "Payload size": 10 MB."""
    api = Api(cloud, "def handler(event, context):\n    return {'body': str(len(event['body']))}\n")
    status, body, _ = api.get("/items", method="POST", body=b"x" * (10 * 1024 * 1024 + 1))
    assert (status, body) == (413, b'{"message":"Request Too Long"}')


def test_the_gateways_own_answers_are_as_the_api_says(cloud: Cloud) -> None:
    """ "Gateway responses for REST APIs": a fallback's status code is that of all that fall back to it."""
    own = {
        "DEFAULT_4XX": {
            "statusCode": "404", "responseParameters": {
                "gatewayresponse.header.Access-Control-Allow-Origin": "'*'",
                "gatewayresponse.header.X-Asked": "method.request.header.X-Own",
            },
            "responseTemplates": {
                "application/json": '{"m": $context.error.messageString, "t": "$context.error.responseType"}'
            },
        },
    }  # fmt: skip
    api = Api(cloud, more={"x-amazon-apigateway-gateway-responses": own})
    status, body, headers = api.get("/nothing", **{"X-Own": "me"})
    assert (status, headers["Access-Control-Allow-Origin"], headers["X-Asked"]) == (404, "*", "me")
    assert json.loads(body) == {"m": "Missing Authentication Token", "t": "MISSING_AUTHENTICATION_TOKEN"}
    api.client.put_gateway_response(restApiId=api.id, responseType="MISSING_AUTHENTICATION_TOKEN", statusCode="410")
    cloud.advance(seconds=1)
    api.client.create_deployment(restApiId=api.id, stageName="prod")
    assert api.get("/nothing")[0] == 410
    assert api.client.get_gateway_response(restApiId=api.id, responseType="DEFAULT_5XX")["defaultResponse"] is True


def test_a_method_that_wants_an_api_key_lets_nobody_in_as_there_are_none(cloud: Cloud) -> None:
    more = {"security": [{"api_key": []}],
            "securityDefinitions": {"api_key": {"type": "apiKey", "name": "x-api-key", "in": "header"}}}  # fmt: skip
    assert Api(cloud, more=more).get("/items")[:2] == (403, b'{"message":"Forbidden"}')


def test_a_method_for_iam_lets_in_who_has_signed(cloud: Cloud) -> None:
    """ "Control access to a REST API with IAM permissions"."""
    scheme = {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"}
    more = {"security": [{"sigv4": []}], "securityDefinitions": {"sigv4": scheme}}
    api = Api(cloud, more=more)
    assert api.get("/items")[:2] == (403, b'{"message":"Missing Authentication Token"}')
    host = f"{api.id}.execute-api.localhost"
    signed = AWSRequest("GET", f"http://{host}/prod/items", headers={"Host": host})
    SigV4Auth(Credentials("test", "test"), "execute-api", REGION).add_auth(signed)
    event = json.loads(api.get("/items", **dict(signed.headers))[1])
    assert event["requestContext"]["identity"]["userArn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_a_request_is_held_against_what_its_method_asks_for(cloud: Cloud) -> None:
    """ "Request validation for REST APIs in API Gateway"."""
    api = Api(cloud)
    integration = {"type": "mock", "requestTemplates": {"application/json": '{"statusCode": 200}'},
                   "responses": {"default": {"statusCode": "200"}}}  # fmt: skip
    post = {
        "parameters": [{"in": "query", "name": "q", "required": True, "type": "string"},
                       {"in": "body", "name": "Item", "schema": {"$ref": "#/definitions/Item"}}],
        "x-amazon-apigateway-request-validator": "all", "x-amazon-apigateway-integration": integration,
    }  # fmt: skip
    document = {
        "swagger": "2.0", "info": {"title": "app", "version": "1"}, "paths": {"/strict": {"post": post}},
        "x-amazon-apigateway-request-validators": {
            "all": {"validateRequestBody": True, "validateRequestParameters": True}
        },
        "definitions": {
            "Item": {"type": "object", "required": ["id"], "properties": {"id": {"$ref": "#/definitions/Id"}}},
            "Id": {"type": "integer"},
        },
    }  # fmt: skip
    api.client.put_rest_api(restApiId=api.id, mode="overwrite", body=json.dumps(document))
    cloud.advance(seconds=1)
    api.client.create_deployment(restApiId=api.id, stageName="prod")
    good = b'{"id": 1}'
    kind = {"Content-Type": "application/json"}
    assert api.get("/strict", method="POST", body=good, **kind)[:2] == (
        400, b'{"message":"Missing required request parameters: [q]"}'
    )  # fmt: skip
    for body in (b"{}", b'{"id": "one"}', b"{", b""):
        assert api.get("/strict?q=1", method="POST", body=body, **kind)[:2] == (
            400, b'{"message":"Invalid request body"}'
        )  # fmt: skip
    assert api.get("/strict?q=1", method="POST", body=good, **kind)[0] == 200


def test_an_authorizer_that_is_not_served_is_refused_by_name(cloud: Cloud) -> None:
    authorizer = {"type": "token", "authorizerUri": "arn:aws:apigateway:us-east-1:lambda:path/x"}
    scheme = {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "custom",
              "x-amazon-apigateway-authorizer": authorizer}  # fmt: skip
    with pytest.raises(ClientError, match="Authorizers of type TOKEN are not served here"):
        Api(cloud, more={"securityDefinitions": {"own": scheme}})


def test_stage_variables_come_with_the_event(cloud: Cloud) -> None:
    api = Api(cloud)
    patch = [{"op": "replace", "path": "/variables/color", "value": "blue"}]
    api.client.update_stage(restApiId=api.id, stageName="prod", patchOperations=patch)
    assert json.loads(api.get("/items")[1])["stageVariables"] == {"color": "blue"}


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
    "reply",
    [
        "'text'",
        "{'statusCode': 'many'}",
        "{'body': 1}",
        "{'statusCode': 200, 'other': 1}",
        "None",
        "{'headers': {'a': []}}",
    ],
)
def test_a_malformed_reply_is_a_502(cloud: Cloud, reply: str) -> None:
    status, body, _ = Api(cloud, f"def handler(event, context):\n    return {reply}\n").get("/items")
    assert (status, body) == (502, b'{"message": "Internal server error"}')


def test_a_function_that_takes_longer_than_the_integration_may_is_a_504(cloud: Cloud) -> None:
    slow = "import time\ndef handler(event, context):\n    time.sleep(1)\n"
    status, body, _ = Api(cloud, slow, timeoutInMillis=60).get("/items")
    assert (status, body) == (504, b'{"message": "Endpoint request timed out"}')


def test_headers_of_a_reply_may_have_several_values_and_a_body_may_be_binary(cloud: Cloud) -> None:
    source = (
        "def handler(event, context):\n"
        "    return {'statusCode': 201, 'multiValueHeaders': {'Set-Cookie': ['a=1', 'b=2']},\n"
        "            'headers': {'Content-Type': 'image/png'}, 'body': 'AAH/', 'isBase64Encoded': True}\n"
    )
    api = Api(cloud, source, binary=["image/png"])
    status, body, headers = api.get("/items", Accept="image/png,*/*")
    assert (status, body, headers["Content-Type"]) == (201, b"\x00\x01\xff", "image/png")
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert api.get("/items", Accept="*/*")[1] == b"AAH/"


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
