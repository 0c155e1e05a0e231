"""Where functions answer, and to whom: "Authenticate for invocation" (Cloud Run functions)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.gcp.identity import projects
from tests.support.cloud import Cloud
from tests.support.google import PROJECT
from tests.support.google_functions import PARENT, Functions, ask

COMPUTE = projects.compute_account(PROJECT)
WORKER = f"worker@{PROJECT}.iam.gserviceaccount.com"


def token(cloud: Cloud, audience: str, email: str = WORKER) -> str:
    identity: Any = cloud.server.google_services[0].house.identity
    return f"Bearer {cloud.run(identity.mint(audience, email))}"


def test_a_function_answers_at_googles_own_hosts_and_below_localhost(cloud: Cloud, functions: Functions) -> None:
    made = functions.create("say_hello", functions.settings(entry_point="hello"))
    functions.let_in("say_hello")
    label = made.service_config.uri.rpartition("/")[2].partition(".")[0]
    number = projects.number(PROJECT)
    for host, path in {
        f"us-central1-{PROJECT}.cloudfunctions.net": "/say_hello",
        f"us-central1-{PROJECT}.cloudfunctions.localhost:4566": "/say_hello",
        f"{label}.a.run.app": "",
        f"{label}.run.localhost": "",
        f"say-hello-{number}.us-central1.run.app": "",
    }.items():
        assert ask(f"{cloud.url}{path}/a", Host=host).text == "hello /a?", host
    assert ask(f"{cloud.url}/say_hello", Host=f"europe-west1-{PROJECT}.cloudfunctions.net").status == 404
    assert ask(f"{cloud.url}/", Host=f"us-central1-{PROJECT}.cloudfunctions.net").status == 404
    assert ask(f"{cloud.url}/", Host=f"{label[:-13]}-aaaaaaaaaa-uc.a.run.app").status == 404


def test_whoever_has_no_token_is_told_as_google_tells(functions: Functions) -> None:
    made = functions.create("hello")
    refused = ask(f"{made.url}/<b>")
    assert refused.status == 403 and refused.headers["content-type"].lower() == "text/html; charset=utf-8"
    assert "<h1>Error: Forbidden</h1>" in refused.text
    assert "permission to get URL <code>/hello/&lt;b&gt;</code> from this server." in refused.text


def test_a_token_that_is_none_is_not_verified(functions: Functions) -> None:
    made = functions.create("hello")
    refused = ask(made.url, Authorization="Bearer e30.e30.c2ln")
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == (
        'Bearer error="invalid_token" error_description="The access token could not be verified"'
    )
    assert "<h1>Error: Unauthorized</h1>" in refused.text


def test_a_token_that_does_not_say_whose_it_is_lets_nobody_in(cloud: Cloud, functions: Functions) -> None:
    made = functions.create("hello")
    functions.let_in("hello", f"serviceAccount:{WORKER}")
    identity: Any = cloud.server.google_services[0].house.identity
    nameless = cloud.run(identity.mint(made.url, WORKER, with_email=False))
    assert ask(made.url, Authorization=f"Bearer {nameless}").status == 401


def test_an_account_that_was_let_in_gets_in_with_a_token_for_the_function(cloud: Cloud, functions: Functions) -> None:
    made = functions.create("headers", functions.settings(entry_point="headers"))
    good = token(cloud, made.service_config.uri)
    assert ask(made.url, Authorization=good).status == 403, "it was not let in yet"
    functions.let_in("headers", f"serviceAccount:{WORKER}")
    for audience in (made.url, made.service_config.uri, f"https://us-central1-{PROJECT}.cloudfunctions.net/headers"):
        assert ask(made.url, Authorization=token(cloud, audience)).status == 200, audience
    assert ask(made.url, Authorization=token(cloud, "https://example.com")).status == 401
    assert ask(made.url, Authorization=token(cloud, f"{made.url}x")).status == 401
    assert ask(made.url, Authorization=token(cloud, made.url, "other@example.com")).status == 403


def test_the_function_sees_who_asked_but_not_the_tokens_signature(cloud: Cloud, functions: Functions) -> None:
    made = functions.create("headers", functions.settings(entry_point="headers"))
    functions.let_in("headers", f"serviceAccount:{WORKER}")
    given = token(cloud, made.url)
    seen = json.loads(ask(made.url, Authorization=given).text)
    assert seen["Authorization"] == f"{given.rpartition('.')[0]}.SIGNATURE_REMOVED_BY_GOOGLE"
    both = ask(made.url, X_Serverless_Authorization=given, Authorization="Basic c2hvcDpzZWNyZXQ=")
    assert json.loads(both.text)["Authorization"] == "Basic c2hvcDpzZWNyZXQ="


def test_an_expired_token_lets_nobody_in(cloud: Cloud, functions: Functions) -> None:
    made = functions.create("hello")
    functions.let_in("hello", "allAuthenticatedUsers")
    given = token(cloud, made.url)
    assert ask(made.url, Authorization=given).status == 200
    cloud.advance(seconds=3601)
    assert ask(made.url, Authorization=given).status == 401


def test_the_accounts_that_come_with_a_project_may_call_its_functions(cloud: Cloud, functions: Functions) -> None:
    """ "Default service accounts": they are editors of their project."""
    made = functions.create("hello")
    assert ask(made.url, Authorization=token(cloud, made.url, COMPUTE)).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_any_method_reaches_the_function(functions: Functions, method: str) -> None:
    made = functions.create("hello")
    functions.let_in("hello")
    body = b"x" if method in ("POST", "PUT", "PATCH") else None
    assert ask(f"{made.url}?q=%20a", body, method=method).text == "hello /?q=%20a"


def test_google_adds_its_own_headers(functions: Functions) -> None:
    made = functions.create("headers", functions.settings(entry_point="headers"))
    functions.let_in("headers")
    trace = "0af7651916cd43dd8448eb211c80319c/1;o=1"
    answer = ask(made.url, X_Cloud_Trace_Context=trace, X_Forwarded_For="192.0.2.1")
    seen = {name.lower(): value for name, value in json.loads(answer.text).items()}
    assert seen["x-cloud-trace-context"].startswith(trace.partition("/")[0])
    assert seen["x-forwarded-for"].startswith("192.0.2.1") and seen["x-forwarded-proto"]
    assert seen["function-execution-id"] and "traceparent" in seen


def test_a_request_beyond_the_limit_does_not_reach_the_function(functions: Functions) -> None:
    """ "Quotas": "Max HTTP request size", 32 MB."""
    made = functions.create("hello")
    functions.let_in("hello")
    assert ask(made.url, bytes(32 * 1024 * 1024 + 1)).status == 413


def test_services_and_functions_have_policies_of_their_own(functions: Functions) -> None:
    functions.create("hello")
    base = f"http://127.0.0.1:{functions.port}"
    for version, resource in (("v2", f"{PARENT}/functions/hello"), ("v2", f"{PARENT}/services/hello")):
        url = f"{base}/{version}/{resource}"
        wanted = {"bindings": [{"role": "roles/run.invoker", "members": ["user:you@example.com"]}]}
        kind = "application/json"
        ask(f"{url}:setIamPolicy", json.dumps({"policy": wanted}).encode(), content_type=kind)
        assert json.loads(ask(f"{url}:getIamPolicy").text)["bindings"] == wanted["bindings"]
        asked = b'{"permissions": ["run.routes.invoke"]}'
        told = ask(f"{url}:testIamPermissions", asked, content_type=kind)
        assert json.loads(told.text) == {"permissions": ["run.routes.invoke"]}
    missing = ask(f"{base}/v1/{PARENT}/services/nobody:getIamPolicy")
    assert missing.status == 404
    assert json.loads(missing.text)["error"]["message"] == (
        f"Resource 'nobody' of kind 'SERVICE' in region 'us-central1' in project '{PROJECT}' does not exist."
    )
