"""Function URLs. Lambda Developer Guide, "Invoking Lambda function URLs"."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.support.cloud import Cloud
from tests.support.code import ROLE, deploy, zipped

if TYPE_CHECKING:
    from pathlib import Path

EVENT = "import json\ndef handler(event, context):\n    return event\n"


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def signed(host: str, secret: str = "test") -> dict[str, str]:
    """The headers of a signed GET of "/"."""
    request = AWSRequest("GET", f"http://{host}/", {"host": host})
    SigV4Auth(Credentials("test", secret), "lambda", "us-east-1").add_auth(request)
    return {name: value for name, value in request.headers.items() if name != "host"}


class AUrl:
    """Calls it by its address without relying on this machine's way of resolving *.localhost."""

    def __init__(
        self, cloud: Cloud, functions: Any, source: str, *, open_: bool = True, node: bool = False, **config: Any
    ) -> None:
        if node:
            code = {"ZipFile": zipped({"app.js": source})}
            functions.create_function(
                FunctionName="f", Runtime="nodejs20.x", Role=ROLE, Handler="app.handler", Code=code
            )
        else:
            deploy(functions, "f", source)
        given = {"AuthType": "NONE", **config}
        self.made = functions.create_function_url_config(FunctionName="f", **given)
        if open_:
            functions.add_permission(
                FunctionName="f", StatementId="public", Action="lambda:InvokeFunctionUrl", Principal="*",
                FunctionUrlAuthType="NONE",
            )  # fmt: skip
        self.cloud, self.host = cloud, httpx.URL(self.made["FunctionUrl"]).netloc.decode()

    def ask(self, method: str = "GET", path: str = "/", *, host: str = "", **options: Any) -> httpx.Response:
        headers = {"host": host or self.host, **options.pop("headers", {})}
        return httpx.request(method, self.cloud.url + path, headers=headers, **options)


def test_a_request_is_an_event_of_payload_format_2(cloud: Cloud, functions: Any) -> None:
    url = AUrl(cloud, functions, EVENT)
    answer = url.ask(
        "POST", "/my/p%20ath?a=1&b=2&a=3", json={"x": 1},
        headers={"cookie": "one=1; two=2", "X-Colour": "blue", "user-agent": "tests"},
    )  # fmt: skip
    event = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert event["version"] == "2.0" and event["routeKey"] == "$default"
    assert (event["rawPath"], event["rawQueryString"]) == ("/my/p ath", "a=1&b=2&a=3")
    assert event["queryStringParameters"] == {"a": "1,3", "b": "2"}
    assert event["cookies"] == ["one=1", "two=2"] and "cookie" not in event["headers"]
    assert event["headers"]["x-colour"] == "blue"
    assert (json.loads(event["body"]), event["isBase64Encoded"]) == ({"x": 1}, False)
    context = event["requestContext"]
    assert context["accountId"] == "anonymous" and context["stage"] == "$default"
    assert context["http"]["method"] == "POST" and context["http"]["userAgent"] == "tests"
    assert context["domainPrefix"] == context["apiId"] == url.host.partition(".")[0]
    assert context["timeEpoch"] == cloud.clock.now_ms()


def test_bytes_travel_as_base64_both_ways(cloud: Cloud, functions: Any) -> None:
    source = (
        "def handler(event, context):\n"
        "    return {'statusCode': 201, 'body': event['body'], 'isBase64Encoded': event['isBase64Encoded'],\n"
        "            'headers': {'Content-Type': 'image/png', 'X-N': 5}, 'cookies': ['a=1; Secure', 'b=2']}\n"
    )
    answer = AUrl(cloud, functions, source).ask("PUT", content=b"\x00\xff", headers={"content-type": "image/png"})
    assert (answer.status_code, answer.content, answer.headers["x-n"]) == (201, b"\x00\xff", "5")
    assert answer.headers.get_list("set-cookie") == ["a=1; Secure", "b=2"]


def test_what_is_no_response_object_is_the_body(cloud: Cloud, functions: Any) -> None:
    answer = AUrl(cloud, functions, "def handler(event, context):\n    return 'Hello, world!'\n").ask()
    assert (answer.status_code, answer.text) == (200, '"Hello, world!"')


def test_a_failing_function_is_a_502_and_shows_nothing_of_itself(cloud: Cloud, functions: Any) -> None:
    answer = AUrl(cloud, functions, "def handler(event, context):\n    raise ValueError('secret')\n").ask()
    assert answer.status_code == 502
    assert "secret" not in answer.text


def test_without_a_policy_or_with_iam_and_no_signature_nobody_comes_in(cloud: Cloud, functions: Any) -> None:
    url = AUrl(cloud, functions, EVENT, open_=False)
    answer = url.ask()
    assert (answer.status_code, answer.json()) == (403, {"Message": "Forbidden"})
    functions.update_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    assert url.ask().status_code == 403
    event = url.ask(headers=signed(url.host)).json()
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == "test"
    assert event["requestContext"]["accountId"] == "000000000000"
    assert url.ask(host="nothing.lambda-url.us-east-1.on.aws").status_code == 403


def test_where_signatures_are_verified_a_made_up_one_does_not_open_an_iam_url(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "data", moving=True, verify_signatures=True)
    try:
        url = AUrl(cloud, cloud.client("lambda"), EVENT, AuthType="AWS_IAM")
        assert url.ask(headers=signed(url.host)).status_code == 200
        assert url.ask(headers=signed(url.host, secret="wrong")).status_code == 403
        made_up = (
            "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0"
        )
        assert url.ask(headers={"authorization": made_up, "x-amz-date": "20261124T000000Z"}).status_code == 403
        assert url.ask("POST", headers=signed(url.host)).status_code == 403, "another request than was signed"
    finally:
        cloud.stop()


def test_it_answers_to_the_real_host_name_too_and_after_a_restart(cloud: Cloud, functions: Any) -> None:
    url = AUrl(cloud, functions, EVENT)
    cloud.restart()
    real = f"{url.host.partition('.')[0]}.lambda-url.us-east-1.on.aws"
    assert url.ask(host=real).json()["requestContext"]["domainName"] == real


def test_cors_is_the_urls_own_affair(cloud: Cloud, functions: Any) -> None:
    cors = {"AllowOrigins": ["https://shop.example"], "AllowMethods": ["GET"], "AllowHeaders": ["x-a"], "MaxAge": 60}
    own = "{'access-control-allow-origin': 'no'}"
    source = f"def handler(event, context):\n    return {{'statusCode': 200, 'headers': {own}}}"
    url = AUrl(cloud, functions, source, Cors=cors)
    origin = {"origin": "https://shop.example"}
    assert url.ask(headers=origin).headers["access-control-allow-origin"] == "https://shop.example"
    functions.update_function_url_config(FunctionName="f", AuthType="AWS_IAM")  # A browser does not sign its question.
    before = url.ask("OPTIONS", headers=origin | {"access-control-request-method": "GET"})
    assert before.status_code == 200 and before.headers["access-control-max-age"] == "60"
    assert before.headers["access-control-allow-methods"] == "GET"
    functions.update_function_url_config(FunctionName="f", AuthType="NONE")
    other = url.ask(headers={"origin": "https://else.example"})
    assert other.headers["access-control-allow-origin"] == "no", "the function's own word stands"


def test_urls_are_listed_changed_and_gone_with_the_function(cloud: Cloud, functions: Any) -> None:
    url = AUrl(cloud, functions, EVENT)
    with pytest.raises(ClientError) as caught:
        functions.create_function_url_config(FunctionName="f", AuthType="NONE")
    assert caught.value.response["Error"]["Code"] == "ResourceConflictException"
    functions.publish_version(FunctionName="f")
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    live = functions.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="AWS_IAM")
    assert live["FunctionArn"].endswith(":function:f:live")
    listed = functions.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"]
    assert {one["FunctionUrl"] for one in listed} == {url.made["FunctionUrl"], live["FunctionUrl"]}
    functions.delete_function_url_config(FunctionName="f", Qualifier="live")
    with pytest.raises(ClientError):
        functions.get_function_url_config(FunctionName="f", Qualifier="live")
    functions.delete_function(FunctionName="f")
    assert url.ask().status_code == 403


def test_a_template_gives_a_function_its_url(cloud: Cloud, functions: Any) -> None:
    stacks = cloud.client("cloudformation")
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Hello": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Runtime": "python3.11", "Handler": "index.handler",
                    "InlineCode": "def handler(event, context):\n    return 'hi'\n",
                    "FunctionUrlConfig": {"AuthType": "NONE"},
                },
            }
        },
        "Outputs": {"Url": {"Value": {"Fn::GetAtt": ["HelloUrl", "FunctionUrl"]}}},
    }  # fmt: skip
    stacks.create_stack(
        StackName="s", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    )
    stacks.get_waiter("stack_create_complete").wait(StackName="s", WaiterConfig={"Delay": 1})
    [output] = stacks.describe_stacks(StackName="s")["Stacks"][0]["Outputs"]
    host = httpx.URL(output["OutputValue"]).netloc.decode()
    assert httpx.get(cloud.url, headers={"host": host}).json() == "hi"


def test_the_body_of_a_form_comes_as_base64(cloud: Cloud, functions: Any) -> None:
    event = AUrl(cloud, functions, EVENT).ask("POST", "/", data={"a": "1"}).json()
    assert (event["body"], event["isBase64Encoded"]) == ("YT0x", True)


# -- streamed replies, sent whole --


@pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")
def test_a_streamed_reply_has_the_status_headers_and_cookies_of_its_metadata(cloud: Cloud, functions: Any) -> None:
    source = """exports.handler = awslambda.streamifyResponse(async (event, stream) => {
      const answer = awslambda.HttpResponseStream.from(stream, {
        statusCode: 201, headers: { 'Content-Type': 'text/html', 'X-Made': 'yes' }, cookies: ['a=1', 'b=2'] });
      answer.write('<p>'); answer.write(event.rawPath); answer.end('</p>'); });"""
    answer = AUrl(cloud, functions, source, node=True).ask(path="/here")
    assert (answer.status_code, answer.text, answer.headers["x-made"]) == (201, "<p>/here</p>", "yes")
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")
def test_a_stream_without_metadata_is_the_body_with_its_own_content_type(cloud: Cloud, functions: Any) -> None:
    source = """exports.handler = awslambda.streamifyResponse(async (event, stream) => {
      stream.setContentType('text/csv'); stream.write('a,b'); stream.end(); });"""
    answer = AUrl(cloud, functions, source, node=True).ask()
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "a,b", "text/csv")
