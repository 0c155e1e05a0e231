"""Functions of the 2nd generation: made, changed, listed, deleted; what goes wrong is told in the service's words."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core import exceptions
from google.cloud import functions_v2

from tests.support.cloud import Cloud
from tests.support.google import PROJECT
from tests.support.google_functions import HELLO, PARENT, Functions, ask, zipped
from tests.support.receiver import Held, Receiver
from tests.support.waiting import eventually

State = functions_v2.Function.State


def test_a_function_is_deployed_and_answers(functions: Functions) -> None:
    made = functions.create("hello_you")
    assert made.state == State.ACTIVE and made.environment == functions_v2.Environment.GEN_2
    assert made.service_config.service == f"{PARENT}/services/hello-you"
    assert made.service_config.revision.startswith("hello-you-00001-")
    assert made.build_config.build.startswith("projects/")
    functions.let_in("hello_you")
    assert ask(f"{made.url}/a/b?c=d").text == "hello /a/b?c=d"
    assert ask(made.url).text == "hello /?"
    assert ask(f"{made.service_config.uri}/a").text == "hello /a?"


def test_rest_deploys_as_grpc_does(by_rest: Functions) -> None:
    made = by_rest.create("hello")
    by_rest.let_in("hello")
    assert ask(made.url).text == "hello /?"
    assert [one.name for one in by_rest.client.list_functions(parent=PARENT)] == [f"{PARENT}/functions/hello"]


def test_what_goes_without_saying_is_said(functions: Functions) -> None:
    service = functions.create("hello").service_config
    assert (service.timeout_seconds, service.available_memory, service.available_cpu) == (60, "256M", "0.1666")
    assert (service.max_instance_count, service.max_instance_request_concurrency) == (100, 1)
    assert service.all_traffic_on_latest_revision and service.service_account_email.endswith(
        "-compute@developer.gserviceaccount.com"
    )


def test_an_update_changes_what_its_mask_names_and_makes_a_new_revision(functions: Functions) -> None:
    made = functions.create("hello")
    functions.let_in("hello")
    made.service_config.environment_variables["GREETING"] = "good day"
    made.service_config.timeout_seconds = 5
    made.labels["team"] = "shop"
    changed = functions.update(made, "service_config.environment_variables", "labels")
    assert changed.service_config.timeout_seconds == 60 and dict(changed.labels) == {"team": "shop"}
    assert changed.service_config.revision.startswith("hello-00002-")
    assert ask(made.url).text == "good day /?"


def test_what_stands_beside_the_code_needs_no_new_revision(functions: Functions) -> None:
    made = functions.create("hello")
    made.labels["team"] = "shop"
    changed = functions.update(made, "labels")
    assert changed.service_config.revision == made.service_config.revision
    assert changed.labels["team"] == "shop"


def test_new_code_takes_the_place_of_the_old_without_a_gap(functions: Functions) -> None:
    made = functions.create("hello")
    functions.let_in("hello")
    answers, stopped = [], threading.Event()

    def keep_asking() -> None:
        while not stopped.is_set():
            answers.append(ask(made.url))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        made.build_config.source.storage_source = functions.upload(HELLO.replace("'hello'", "'good day'"))
        functions.update(made, "build_config.source")
        assert ask(made.url).text == "good day /?"
    finally:
        stopped.set()
        asking.join()
    assert {(one.status, one.text) for one in answers} <= {(200, "hello /?"), (200, "good day /?")}


def test_a_request_that_waits_for_room_while_a_new_version_comes_is_answered_by_that(
    cloud: Cloud, functions: Functions
) -> None:
    cloud.server.engine.patience_s = 300.0
    inside_it = Held()
    with Receiver(inside_it) as receiver, ThreadPoolExecutor(2) as threads:
        held = HELLO.replace("    return f", f"    urlopen('{receiver.url}', b'', timeout=120)\n    return f", 1)
        text = f"from urllib.request import urlopen\n{held}"
        made = functions.create("hello", functions.settings(text, "hello", max_instance_count=1))
        functions.let_in("hello")
        try:
            inside = threads.submit(ask, made.url)
            eventually(lambda: receiver.requests)
            outside = threads.submit(ask, made.url)
            pools = cloud.server.engine._pools
            assert eventually(lambda: any(pool.outside for pool in list(pools.values())))
            made.build_config.source.storage_source = functions.upload(HELLO.replace("'hello'", "'good day'"))
            functions.update(made, "build_config.source")
            eventually(lambda: any(pool.retired for pool in list(pools.values())))
        finally:
            inside_it.release()
        answers = [(one.status, one.text) for one in (inside.result(), outside.result())]
    assert answers == [(200, "hello /?"), (200, "good day /?")]


def test_a_request_that_waits_for_room_while_its_function_is_deleted_finds_none(
    cloud: Cloud, functions: Functions
) -> None:
    cloud.server.engine.patience_s = 300.0
    inside_it = Held()
    with Receiver(inside_it) as receiver, ThreadPoolExecutor(2) as threads:
        held = f"import urllib.request\ndef hello(_):\n    urllib.request.urlopen('{receiver.url}', b'')\n"
        made = functions.create("hello", functions.settings(held, "hello", max_instance_count=1))
        functions.let_in("hello")
        try:
            threads.submit(ask, made.url)
            eventually(lambda: receiver.requests)
            outside = threads.submit(ask, made.url)
            pools = cloud.server.engine._pools
            assert eventually(lambda: any(pool.outside for pool in list(pools.values())))
            functions.finished(functions.client.delete_function(name=made.name).operation)
            assert outside.result().status == 404
        finally:
            inside_it.release()


def test_an_unknown_path_of_a_mask_is_refused(functions: Functions) -> None:
    made = functions.create("hello")
    with pytest.raises(exceptions.InvalidArgument, match="colour"):
        functions.update(made, "service_config.colour")


def test_what_is_wrong_with_a_function_is_told_field_by_field(functions: Functions) -> None:
    function = functions.settings(available_memory="lots", timeout_seconds=5000, max_instance_request_concurrency=80)
    function.build_config.runtime = "cobol74"
    with pytest.raises(exceptions.InvalidArgument, match="The request has errors") as caught:
        functions.begin("hello", function)
    [told] = caught.value.details
    fields = {one.field for one in told.field_violations}
    assert fields == {
        "build_config.runtime", "service_config.available_memory", "service_config.timeout_seconds",
        "service_config.max_instance_request_concurrency",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["", "1st", "a" * 64, "ends-", "with space", "über"])
def test_a_name_that_is_none_is_refused(functions: Functions, name: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        functions.begin(name, functions_v2.Function())


def test_a_function_without_a_source_is_refused(functions: Functions) -> None:
    function = functions.settings()
    function.build_config.source = functions_v2.Source()
    with pytest.raises(exceptions.InvalidArgument, match="errors"):
        functions.begin("hello", function)


def test_an_address_where_nothing_was_uploaded_is_no_source(functions: Functions) -> None:
    function = functions.settings()
    told = functions.client.generate_upload_url(request={"parent": PARENT})
    function.build_config.source.storage_source = told.storage_source
    with pytest.raises(exceptions.InvalidArgument, match="Failed to retrieve function source code"):
        functions.begin("hello", function)


@pytest.mark.parametrize("bucket", ["nobody-has-it", "../../../other", "a bucket\r\nX-Own: 1", "what?ever"])
def test_a_bucket_that_is_not_there_is_no_source_whatever_stands_in_its_name(functions: Functions, bucket: str) -> None:
    settings = functions.settings(HELLO, "hello")
    settings.build_config.source = {"storage_source": {"bucket": bucket, "object": "code.zip"}}
    with pytest.raises(exceptions.InvalidArgument, match="Failed to retrieve function source code"):
        functions.begin("hello", settings)


def test_an_unknown_region_is_refused(functions: Functions) -> None:
    with pytest.raises(exceptions.PermissionDenied, match="Permission denied on 'locations/atlantis1'"):
        functions.client.generate_upload_url(request={"parent": f"projects/{PROJECT}/locations/atlantis1"})


def test_a_name_is_taken_once(functions: Functions) -> None:
    functions.create("hello")
    with pytest.raises(exceptions.AlreadyExists, match=f"Resource '{PARENT}/functions/hello' already exists"):
        functions.begin("hello", functions.settings())


def test_two_functions_cannot_be_one_service(functions: Functions) -> None:
    functions.create("say_hello", functions.settings(entry_point="hello"))
    with pytest.raises(exceptions.AlreadyExists, match="Could not create Cloud Run service say-hello"):
        functions.begin("say-hello", functions.settings(entry_point="hello"))


def test_what_is_not_there_is_not_found(functions: Functions) -> None:
    name = f"{PARENT}/functions/nobody"
    with pytest.raises(exceptions.NotFound, match=f"Resource '{name}' was not found"):
        functions.client.get_function(name=name)
    with pytest.raises(exceptions.NotFound):
        functions.client.delete_function(name=name)
    assert ask(f"http://127.0.0.1:{functions.port}/us-central1-{PROJECT}.cloudfunctions.net/nobody").status == 404


def test_a_deleted_function_is_gone_and_its_name_is_free(functions: Functions) -> None:
    made = functions.create("hello")
    functions.let_in("hello")
    functions.finished(functions.client.delete_function(name=made.name).operation)
    with pytest.raises(exceptions.NotFound):
        functions.client.get_function(name=made.name)
    assert ask(made.url).status == 404
    again = functions.create("hello")
    assert ask(again.url).status == 403, "nobody was let in to the new one"


def test_functions_are_listed_everywhere_and_page_by_page(functions: Functions) -> None:
    elsewhere = f"projects/{PROJECT}/locations/europe-west1"
    begun = [functions.begin(name, functions.settings(entry_point="hello")) for name in ("two", "one")]
    begun.append(functions.begin("three", functions.settings(entry_point="hello"), elsewhere))
    for operation in begun:
        functions.finished(operation)
    everywhere = f"projects/{PROJECT}/locations/-"
    listed = functions.client.list_functions(request={"parent": everywhere, "page_size": 1})
    names = [one.name for one in listed]
    assert names == [f"{elsewhere}/functions/three", f"{PARENT}/functions/one", f"{PARENT}/functions/two"]
    old = functions.client.list_functions(request={"parent": everywhere, "filter": 'environment="GEN_1"'})
    assert list(old) == []


def test_requirements_that_do_not_install_fail_the_build_and_nothing_is_lost(functions: Functions) -> None:
    files = {"main.py": HELLO, "requirements.txt": "what is this\n"}
    over = functions.done(functions.begin("hello", functions.settings(files, "hello")))
    assert over.error.code == 3
    assert over.error.message.startswith("Build failed with status: FAILURE and message: ")
    assert "For more details see the logs at https://console.cloud.google.com/cloud-build/builds" in over.error.message
    there = functions.client.get_function(name=f"{PARENT}/functions/hello")
    assert there.state == State.FAILED and "Build failed" in there.state_messages[0].message
    functions.let_in("hello")
    assert ask(there.url).status == 404
    there.build_config.source.storage_source = functions.upload(HELLO)
    mended = functions.update(there, "build_config.source")
    assert mended.state == State.ACTIVE and ask(mended.url).text == "hello /?"


def test_a_module_that_raises_fails_the_health_check_and_what_ran_goes_on(functions: Functions) -> None:
    made = functions.create("hello")
    functions.let_in("hello")
    made.build_config.source.storage_source = functions.upload("raise RuntimeError('no coffee')\n")
    request = {"function": made, "update_mask": {"paths": ["build_config.source"]}}
    over = functions.done(functions.client.update_function(request=request).operation)
    assert over.error.message.startswith(
        "Could not create or update Cloud Run service hello, Container Healthcheck failed"
    )
    assert b"no coffee" in over.error.details[0].value, "why is told with it"
    there = functions.client.get_function(name=made.name)
    assert there.state == State.ACTIVE and there.service_config.revision == made.service_config.revision
    assert ask(made.url).text == "hello /?"


def test_an_entry_point_that_is_not_there_fails_the_health_check(functions: Functions) -> None:
    over = functions.done(functions.begin("hello", functions.settings(HELLO, "goodbye")))
    assert "Container Healthcheck failed" in over.error.message
    assert b"goodbye" in over.error.details[0].value


@pytest.mark.parametrize(
    "content",
    [b"no zip at all", zipped({"../../main.py": HELLO}), zipped({"a": "x", "a/b": "y"}), zipped({"n" * 300: "x"})],
    ids=["no zip", "a way out", "a file that is a folder", "a name that no disk takes"],
)  # fmt: skip
def test_a_hostile_archive_fails_the_build(functions: Functions, content: bytes) -> None:
    over = functions.done(functions.begin("hello", functions.settings(content, "hello")))
    assert over.error.message.startswith("Build failed"), over.error.message


def test_while_one_operation_is_under_way_no_other_begins(cloud: Cloud, functions: Functions) -> None:
    hold = Held()
    with Receiver(hold) as receiver:
        held = f"import urllib.request\nurllib.request.urlopen('{receiver.url}', b'', timeout=60)\n{HELLO}"
        operation = functions.begin("hello", functions.settings(held, "hello"))
        try:
            eventually(lambda: receiver.requests, within_s=60)
            there = functions.client.get_function(name=f"{PARENT}/functions/hello")
            assert there.state == State.DEPLOYING
            told = functions_v2.OperationMetadata.pb(functions_v2.OperationMetadata())
            functions.client.get_operation(request={"name": operation.name}).metadata.Unpack(told)
            stages = [(stage.name, stage.state) for stage in functions_v2.OperationMetadata.wrap(told).stages]
            stage = functions_v2.Stage
            assert stages == [
                (stage.Name.BUILD, stage.State.COMPLETE), (stage.Name.SERVICE, stage.State.IN_PROGRESS),
            ]  # fmt: skip
            with pytest.raises(exceptions.Aborted, match="unable to queue the operation"):
                functions.client.update_function(request={"function": there, "update_mask": {"paths": ["labels"]}})
            with pytest.raises(exceptions.Aborted, match="unable to queue the operation"):
                functions.client.delete_function(name=there.name)
        finally:
            hold.release()
        functions.finished(operation)


def test_a_deployed_function_answers_after_a_restart(cloud: Cloud, functions: Functions) -> None:
    functions.create("hello")
    functions.let_in("hello")
    cloud.restart()
    url = f"{cloud.url}/us-central1-{PROJECT}.cloudfunctions.net/hello"
    assert eventually(lambda: ask(url)).text == "hello /?"


def test_the_source_of_a_function_can_be_had_again(functions: Functions) -> None:
    content = zipped(HELLO)
    made = functions.create("hello", functions.settings(content, "hello"))
    told = functions.client.generate_download_url(request={"name": made.name})
    assert ask(told.download_url).body == content
    assert ask(told.download_url.replace(".zip", "0.zip")).status == 403


def test_an_address_for_uploads_is_good_for_half_an_hour(cloud: Cloud, functions: Functions) -> None:
    told = functions.client.generate_upload_url(request={"parent": PARENT})
    cloud.advance(seconds=30 * 60 + 1)
    assert ask(told.upload_url, b"late", method="PUT").status == 403
