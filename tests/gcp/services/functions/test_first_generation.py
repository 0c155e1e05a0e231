"""Functions of the 1st generation, by the v1 API."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import functions_v1

from tests.support.google import PROJECT
from tests.support.google_functions import HELLO, PARENT, RUNTIME, Functions, ask

NAME = f"{PARENT}/functions/hello"
EVENTS = """
def on_event(event, context):
    print(event["text"], context.event_type)
"""


def wanted(functions: Functions, **settings: Any) -> functions_v1.CloudFunction:
    url = functions.upload_first(settings.pop("source", HELLO))
    usual = {"https_trigger": {}, "entry_point": "hello", "runtime": RUNTIME, "source_upload_url": url}
    return functions_v1.CloudFunction(name=NAME, **(usual | settings))


def create(functions: Functions, **settings: Any) -> Any:
    request = {"location": PARENT, "function": wanted(functions, **settings)}
    functions.finished(functions.first.create_function(request=request).operation)
    return functions.first.get_function(name=NAME)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_a_function_is_deployed_called_and_deleted(transport: str, cloud: Any) -> None:
    functions = Functions(cloud.server.port, transport)
    made = create(functions)
    assert made.status == functions_v1.CloudFunctionStatus.ACTIVE and made.version_id == 1
    assert made.service_account_email == f"{PROJECT}@appspot.gserviceaccount.com"
    assert made.timeout.seconds == 60 and made.available_memory_mb == 256
    assert ask(made.https_trigger.url).status == 403
    policy = {"bindings": [{"role": "roles/cloudfunctions.invoker", "members": ["allUsers"]}]}
    functions.first.set_iam_policy(request={"resource": NAME, "policy": policy})
    assert ask(f"{made.https_trigger.url}/a?b").text == "hello /a?b"
    called = functions.first.call_function(name=NAME, data='{"a": 1}')
    assert called.result == "hello /?" and called.execution_id and not called.error
    operation = functions.first.delete_function(name=NAME).operation
    assert operation.name.startswith("operations/")
    functions.done(operation)
    with pytest.raises(
        exceptions.NotFound, match=f"Function hello in region us-central1 in project {PROJECT} does not"
    ):
        functions.first.get_function(name=NAME)
    functions.close()


def test_an_update_makes_the_next_version(functions: Functions) -> None:
    made = create(functions)
    made.environment_variables["GREETING"] = "good day"
    request = {"function": made, "update_mask": {"paths": ["environment_variables"]}}
    functions.done(functions.first.update_function(request=request).operation)
    assert functions.first.get_function(name=NAME).version_id == 2
    assert functions.first.call_function(name=NAME, data="{}").result == "good day /?"


def test_a_background_function_is_called_with_an_event(functions: Functions) -> None:
    trigger = {"event_type": "google.pubsub.topic.publish", "resource": f"projects/{PROJECT}/topics/news"}
    create(functions, source=EVENTS, entry_point="on_event", https_trigger=None, event_trigger=trigger)
    called = functions.first.call_function(name=NAME, data='{"text": "extra"}')
    assert not called.error
    url = f"http://127.0.0.1:{functions.port}/us-central1-{PROJECT}.cloudfunctions.net/hello"
    assert ask(url, b"{}").status == 404, "an event function has no address"


def test_the_v2_api_shows_it_and_does_not_change_it(functions: Functions) -> None:
    create(functions)
    shown = functions.client.get_function(name=NAME)
    assert shown.environment.name == "GEN_1" and shown.build_config.entry_point == "hello"
    with pytest.raises(exceptions.FailedPrecondition):
        functions.client.update_function(request={"function": shown})
    with pytest.raises(exceptions.AlreadyExists):
        functions.begin("hello", functions.settings(entry_point="hello"))


def test_the_v1_api_does_not_know_functions_of_the_2nd_generation(functions: Functions) -> None:
    functions.create("hello")
    with pytest.raises(exceptions.NotFound):
        functions.first.get_function(name=NAME)
    assert list(functions.first.list_functions(request={"parent": PARENT})) == []


def test_user_code_that_does_not_load_is_told_of(functions: Functions) -> None:
    request = {"location": PARENT, "function": wanted(functions, source="raise RuntimeError('no coffee')\n")}
    over = functions.done(functions.first.create_function(request=request).operation)
    assert over.error.message.startswith("Function failed on loading user code. This is likely due to a bug")
    assert "no coffee" in over.error.message
    assert functions.first.get_function(name=NAME).status == functions_v1.CloudFunctionStatus.OFFLINE


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"available_memory_mb": 100}, "available_memory_mb"),
        ({"timeout": {"seconds": 541}}, "timeout"),
        ({"https_trigger": None}, "trigger"),
        ({"runtime": "cobol74"}, "runtime"),
        ({"environment_variables": {"X_GOOGLE_A": "b"}}, "environment_variables"),
        ({"max_instances": 1, "min_instances": 2}, "min_instances"),
    ],
)
def test_what_is_wrong_is_told_field_by_field(functions: Functions, settings: dict[str, Any], field: str) -> None:
    request = {"location": PARENT, "function": wanted(functions, **settings)}
    with pytest.raises(exceptions.InvalidArgument, match="The request has errors") as caught:
        functions.first.create_function(request=request)
    assert [one.field for one in caught.value.details[0].field_violations] == [field]
