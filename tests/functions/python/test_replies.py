"""What a Python handler is given and what its caller gets: Developer Guide, "Building Lambda functions with Python"."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.workshop import ENDPOINT, REQUEST_ID


def test_a_handlers_return_value_is_the_reply(workshop):
    version = workshop.function("def handler(event, context): return {'got': event, 'word': 'žluť'}")
    outcome = workshop.invoke(version, {"a": [1, 2.5, None]})
    assert outcome.payload.decode() == '{"got": {"a": [1, 2.5, null]}, "word": "žluť"}'
    assert outcome.cold and outcome.error is None
    assert not workshop.invoke(version, 1).cold


def test_a_handler_without_a_return_value_answers_null(workshop):
    assert workshop.answer(workshop.function("def handler(event, context): pass")) is None


def test_decimals_and_nothing_else_are_turned_into_numbers(workshop):
    source = "from decimal import Decimal as D\ndef handler(e, c): return [D('2'), D('2.5')] if e else [object()]"
    version = workshop.function(source)
    assert workshop.answer(version, 1) == [2, 2.5]
    failed = workshop.failure(version, 0)
    assert failed == {
        "errorMessage": "Unable to marshal response: Object of type object is not JSON serializable",
        "errorType": "Runtime.MarshalError", "requestId": REQUEST_ID, "stackTrace": [],
    }  # fmt: skip


def test_a_handler_in_a_package_is_found_by_dots_and_by_slashes(workshop):
    files = {"shop/__init__.py": "", "shop/items.py": "def create(e, c): return __name__"}
    for name in ("shop.items.create", "shop/items.create"):
        assert workshop.answer(workshop.function(files, handler=name)) == "shop.items"


def test_the_context_has_all_that_aws_documents(workshop):
    source = """
def handler(event, context):
    client, identity = context.client_context, context.identity
    return [context.aws_request_id, context.function_name, context.function_version, context.memory_limit_in_mb,
            context.invoked_function_arn, context.log_group_name, context.log_stream_name,
            0 < context.get_remaining_time_in_millis() <= 5000, client.client.app_title, client.custom, client.env,
            identity.cognito_identity_id, identity.cognito_identity_pool_id]
"""
    version = workshop.function(source, timeout_ms=5000, memory_mb=256)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:shop"
    client = json.dumps({"client": {"app_title": "Shop"}, "custom": {"a": "b"}, "env": {"make": "x"}})
    identity = json.dumps({"cognitoIdentityId": "me", "cognitoIdentityPoolId": "pool"})
    got = workshop.answer(version, function_arn=arn, client_context=client, cognito_identity=identity)
    assert got[:6] == [REQUEST_ID, "shop", "$LATEST", "256", arn, "/aws/lambda/shop"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", got[6])
    assert got[7:] == [True, "Shop", {"a": "b"}, {"make": "x"}, "me", "pool"]


def test_the_environment_is_lambdas_the_users_and_nothing_of_the_servers(workshop, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "1")
    source = "import os\ndef handler(e, c): return dict(os.environ)"
    version = workshop.function(source, environment={"TABLE": "items"}, memory_mb=512)
    got = workshop.answer(version, trace_header="Root=1-5759e988-bd862e3fe1be46a994272793")
    assert "SECRET_OF_THE_SERVER" not in got
    expected = {
        "TABLE": "items", "AWS_LAMBDA_FUNCTION_NAME": "shop", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/shop", "TZ": ":UTC",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11", "_HANDLER": "app.handler", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": ENDPOINT, "AWS_ACCESS_KEY_ID": "000000000000", "LANG": "en_US.UTF-8",
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793",
    }  # fmt: skip
    assert {name: got.get(name) for name in expected} == expected


def test_nothing_of_fogbank_can_be_imported_or_is_loaded(workshop):
    source = """
import importlib, sys
def handler(event, context):
    found = []
    for name in event:
        try:
            found.append(importlib.import_module(name).__name__)
        except ImportError:
            pass
    loaded = [n for n in sys.modules if n.startswith("fogbank")]
    return [found, loaded, [p for p in sys.path if "/fogbank/" in p or p.rstrip("/").endswith("main/src")]]
"""
    names = ["fogbank", "orjson", "uvloop", "httptools", "msgspec", "yaml", "rich", "typer", "aws_lambda", "zygote",
             "forkable"]  # fmt: skip
    assert workshop.answer(workshop.function(source), names) == [[], [], []]


def test_a_module_of_the_function_wins_over_one_that_the_runtime_had_loaded(workshop):
    files = {
        "app.py": "import queue, secrets, urllib3, zygote\n"
        "def handler(e, c): return [queue.MINE, secrets.MINE, urllib3.MINE, zygote.MINE]",
        "queue.py": "MINE = 1", "secrets/__init__.py": "MINE = 2", "urllib3/__init__.py": "MINE = 3",
        "zygote.py": "MINE = 4",
    }  # fmt: skip
    assert workshop.answer(workshop.function(files)) == [1, 2, 3, 4]


def test_boto3_is_there_and_a_bundles_own_wins(workshop):
    ours = workshop.answer(workshop.function("import boto3\ndef handler(e, c): return boto3.__version__"))
    assert re.match(r"1\.\d+", ours)
    files = {
        "app.py": "import boto3\ndef handler(e, c): return boto3.__version__",
        "boto3/__init__.py": "__version__ = 'own'",
    }
    assert workshop.answer(workshop.function(files)) == "own"


def test_a_boto3_client_is_pointed_at_this_cloud(workshop):
    source = "import boto3\ntable = boto3.resource('dynamodb').Table('items')\n"
    source += "def handler(e, c): return table.meta.client.meta.endpoint_url"
    assert workshop.answer(workshop.function(source)) == ENDPOINT


def test_layers_lie_in_order_and_the_last_wins(workshop, tmp_path):
    for name, text in (("one", "A = B = 1"), ("two", "B = 2")):
        (tmp_path / name / "python").mkdir(parents=True)
        (tmp_path / name / "python" / f"only_{name}.py").write_text("")
        (tmp_path / name / "python" / "shared.py").write_text(text)
    source = "import shared, only_one, only_two\ndef handler(e, c): return shared.B"
    version = workshop.function(source, layers=(tmp_path / "one", tmp_path / "two"))
    assert workshop.answer(version) == 2


def test_the_working_folder_is_the_functions_code(workshop):
    files = {"app.py": "def handler(e, c): return open('data.txt').read()", "data.txt": "here"}
    assert workshop.answer(workshop.function(files)) == "here"


@pytest.mark.parametrize("runtime", ["python3.9", "python3.12", "python3.13"])
def test_a_runtime_runs_in_the_interpreter_of_its_name_where_the_machine_has_it(workshop, runtime):
    source = "import sys\ndef handler(e, c): return 'python%d.%d' % sys.version_info[:2]"
    got = workshop.answer(workshop.function(source, runtime=runtime))
    missing = f"this machine has no {runtime}" in workshop.text()
    assert (got == runtime) is not missing


def test_a_reply_over_six_megabytes_is_refused(workshop):
    version = workshop.function("def handler(e, c): return 'x' * e")
    assert len(workshop.answer(version, 6_000_000)) == 6_000_000
    assert workshop.failure(version, 7 * 1024 * 1024) == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }


def test_an_event_of_six_megabytes_arrives_whole(workshop):
    version = workshop.function("def handler(e, c): return len(e)")
    assert workshop.answer(version, "y" * 6_000_000) == 6_000_000
