"""HTTP → API Gateway → a Python function, warm: against the limit of this machine, and against what else people use."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import zipfile
from typing import TYPE_CHECKING, Any

from bench import servers
from bench.measuring import in_turns, post, scratch, show, wrk
from bench.servers import Absent, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONNECTIONS, _SECONDS, _ROUNDS = 8, 4, 3
_HANDLER = "def handler(event, context):\n    return {'statusCode': 200, 'body': event['body']}\n"
_BODY = '{\\"name\\": \\"' + "x" * 480 + '\\"}'
_SCRIPT = post(f'"{_BODY}"', {"Content-Type": "application/json"})
_ROLE = "arn:aws:iam::000000000000:role/bench"


@contextlib.contextmanager
def _limit(folder: Path) -> Iterator[str]:
    port = servers.free_port()
    root = str(servers.ROOT)
    with serving([sys.executable, "-m", "bench.limit", str(port)], port, folder=folder,
                 PYTHONPATH=f"{root}:{root}/src") as one:  # fmt: skip
        yield one.url


@contextlib.contextmanager
def _fogbank(folder: Path) -> Iterator[str]:
    with servers.fogbank(folder) as one:
        stacks = one.client("cloudformation")
        function = {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Runtime": "python3.11", "Handler": "index.handler", "InlineCode": _HANDLER,
                "Events": {"Post": {"Type": "Api", "Properties": {"Path": "/items", "Method": "POST"}}},
            },
        }  # fmt: skip
        template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Echo": function}}
        stacks.create_stack(
            StackName="bench", TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )  # fmt: skip
        stacks.get_waiter("stack_create_complete").wait(StackName="bench", WaiterConfig={"Delay": 1})
        rows = stacks.describe_stack_resources(StackName="bench")["StackResources"]
        [api] = [row["PhysicalResourceId"] for row in rows if row["ResourceType"] == "AWS::ApiGateway::RestApi"]
        yield f"{one.url}/restapis/{api}/Prod/_user_request_/items"


@contextlib.contextmanager
def _ministack(folder: Path) -> Iterator[str]:
    port = servers.free_port()
    command = [str(servers.peers() / "ministack")]
    environment = {"GATEWAY_PORT": str(port), "EDGE_PORT": str(port), "LOG_LEVEL": "ERROR"}
    with serving(command, port, folder=folder, ready="/_ministack/health", **environment) as one:
        arn = _ministack_function(one)
        api = _ministack_api(one, arn)
        yield f"{one.url}/_aws/execute-api/{api}/prod/items"


def _ministack_function(one: Served) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", _HANDLER)
    made = one.client("lambda").create_function(
        FunctionName="echo", Runtime="python3.11", Role=_ROLE, Handler="app.handler",
        Code={"ZipFile": buffer.getvalue()},
    )  # fmt: skip
    return str(made["FunctionArn"])


def _ministack_api(one: Served, arn: str) -> str:
    apis = one.client("apigateway")
    api = apis.create_rest_api(name="bench")["id"]
    [root] = apis.get_resources(restApiId=api)["items"]
    items = apis.create_resource(restApiId=api, parentId=root["id"], pathPart="items")["id"]
    where: dict[str, Any] = {"restApiId": api, "resourceId": items, "httpMethod": "POST"}
    apis.put_method(**where, authorizationType="NONE")
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
    apis.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    apis.create_deployment(restApiId=api, stageName="prod")
    return str(api)


@contextlib.contextmanager
def _functions_framework(folder: Path) -> Iterator[str]:
    (folder / "main.py").write_text("def echo(request):\n    return request.get_data()\n")
    port = servers.free_port()
    command = [str(servers.peers() / "functions-framework"), "--target", "echo", "--port", str(port)]
    with serving(command, port, folder=folder) as one:
        yield one.url


@contextlib.contextmanager
def _serverless_offline(folder: Path) -> Iterator[str]:
    home, port = servers.node_peers(), servers.free_port()
    (folder / "node_modules").symlink_to(home / "node_modules")
    (folder / "app.js").write_text("exports.handler = async (event) => ({ statusCode: 200, body: event.body });\n")
    (folder / "serverless.yml").write_text(
        "service: bench\nplugins: [serverless-offline]\nprovider: {name: aws, runtime: nodejs20.x}\n"
        "functions:\n  echo:\n    handler: app.handler\n    events: [{http: {path: items, method: post}}]\n"
    )
    command = [str(home / "node_modules/.bin/serverless"), "offline", "--httpPort", str(port), "--lambdaPort", "0"]
    with serving(command, port, folder=folder, SLS_TELEMETRY_DISABLED="1", SLS_NOTIFICATIONS_MODE="off") as one:
        yield f"{one.url}/dev/items"


_TARGETS = {
    "limit": _limit, "fogbank": _fogbank, "ministack": _ministack, "functions-framework": _functions_framework,
    "serverless-offline": _serverless_offline,
}  # fmt: skip


def main() -> None:
    with contextlib.ExitStack() as stack:
        urls = {}
        for name, start in _TARGETS.items():
            try:
                urls[name] = stack.enter_context(start(scratch()))
            except Absent as why:
                print(f"  {name} is left out: {why}")
        runs = {
            name: (lambda url=url: wrk(url, _SCRIPT, connections=_CONNECTIONS, seconds=_SECONDS))
            for name, url in urls.items()
        }
        for url in urls.values():  # Instances are made, caches filled.
            with contextlib.suppress(Exception):
                wrk(url, _SCRIPT, connections=_CONNECTIONS, seconds=1)
        found = in_turns(runs, _ROUNDS)
    ours = found["fogbank"]
    goals = {"limit": "over 0.6", "ministack": "over 50"}
    rows = [("fogbank", f"{ours.rate:,.0f}/s", f"p99 {ours.p99_ms:.2f} ms (goal: under 5)")]
    for name, figures in found.items():
        if name != "fogbank":
            goal = goals.get(name, "over 5")
            beside = (
                f"fogbank does {ours.rate / figures.rate:,.2f} times that (goal: {goal}); p99 {figures.p99_ms:.2f} ms"
            )
            rows.append((name, f"{figures.rate:,.0f}/s", beside))
    show(f"HTTP → API Gateway → Python function, warm, {_CONNECTIONS} connections", rows)


if __name__ == "__main__":
    main()
