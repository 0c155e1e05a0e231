"""SnapStart, as the API tells of it: "Improving startup performance with Lambda SnapStart" and its pages."""

from __future__ import annotations

import errno
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import WaiterError

from fogbank.aws.services.lambda_ import snapshots
from fogbank.kernel.store import StoreError
from tests.support.code import ROLE, call, deploy, zipped
from tests.support.refusals import refused
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from fogbank.functions.model import Version
    from tests.support.cloud import Cloud

SNAP_START: dict[str, Any] = {"Runtime": "python3.12", "SnapStart": {"ApplyOn": "PublishedVersions"}}
WHO = "import os, uuid\nMADE = str(uuid.uuid4())\ndef handler(event, context):\n    return [os.getpid(), MADE]\n"
PENDING = "The operation cannot be performed at this time. The function is currently in the following state: Pending"


def held_open_by(gate: Path, source: str = WHO) -> str:
    """An initialisation that lasts until the gate is there."""
    return f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n{source}"


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def state_of(functions: Any, qualifier: str = "1", name: str = "f") -> dict[str, Any]:
    found = functions.get_function_configuration(FunctionName=name, Qualifier=qualifier)
    members = ("State", "StateReasonCode", "StateReason", "LastUpdateStatus")
    return {member: found[member] for member in members if member in found}


def settled(functions: Any, qualifier: str = "1") -> dict[str, Any]:
    return eventually(lambda: (found := state_of(functions, qualifier))["State"] != "Pending" and found)


# -- which functions --


@pytest.mark.parametrize("runtime", ["nodejs20.x", "provided.al2023", "python3.11"])
def test_a_runtime_without_snapshots_is_refused(functions: Any, runtime: str) -> None:
    """ "Supported features and limitations": Python 3.12 and later; "other managed runtimes" are not supported."""
    told = ("InvalidParameterValueException", f"{runtime} is not supported for SnapStart enabled functions.")
    assert refused(deploy, functions=functions, name="f", source=WHO, **SNAP_START | {"Runtime": runtime}) == told
    deploy(functions, "f", WHO, Runtime=runtime)
    asked = {"FunctionName": "f", "SnapStart": SNAP_START["SnapStart"]}
    assert refused(functions.update_function_configuration, **asked) == told


def test_a_large_tmp_and_provisioned_concurrency_do_not_go_with_it(functions: Any) -> None:
    """ "Supported features and limitations"."""
    large = {"EphemeralStorage": {"Size": 513}}
    assert refused(deploy, functions=functions, name="f", source=WHO, **SNAP_START, **large)[0] == (
        "InvalidParameterValueException"
    )
    deploy(functions, "f", WHO, **SNAP_START, Publish=True)
    asked = {"FunctionName": "f", "Qualifier": "1", "ProvisionedConcurrentExecutions": 1}
    assert refused(functions.put_provisioned_concurrency_config, **asked)[0] == "InvalidParameterValueException"


# -- the states of a version: "Lambda SnapStart and function states" --


@pytest.mark.shares_files
def test_a_version_is_pending_until_its_snapshot_is_there(cloud: Cloud, functions: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    deploy(functions, "f", held_open_by(gate), **SNAP_START)
    assert state_of(functions, "$LATEST") == {"State": "Active", "LastUpdateStatus": "Successful"}
    made = functions.publish_version(FunctionName="f")
    pending = {
        "State": "Pending", "StateReasonCode": "Creating", "StateReason": "The function is being created.",
    }  # fmt: skip
    assert pending.items() <= made.items() and made["SnapStart"]["OptimizationStatus"] == "On"
    assert state_of(functions) == pending, "nor is there anything that was updated"

    error = refused(functions.invoke, FunctionName="f", Qualifier="1")
    assert error == ("ResourceConflictException", PENDING)
    assert refused(functions.invoke, FunctionName="f:1", InvocationType="Event") == error
    gate.touch()
    assert settled(functions) == {"State": "Active", "LastUpdateStatus": "Successful"}
    assert functions.get_function_configuration(FunctionName="f:1")["RevisionId"] == made["RevisionId"]
    assert call(functions, "f:1")


@pytest.mark.parametrize("how", ["PublishVersion", "CreateFunction", "UpdateFunctionCode"])
def test_the_initialisation_runs_when_the_version_is_published(functions: Any, tmp_path: Path, how: str) -> None:
    given = {"Publish": True} if how == "CreateFunction" else {}
    deploy(functions, "f", WHO, **SNAP_START, **given)
    if how == "PublishVersion":
        functions.publish_version(FunctionName="f")
    elif how == "UpdateFunctionCode":
        code = {"ZipFile": zipped({"app.py": WHO + "# again\n"}), "Publish": True}
        assert functions.update_function_code(FunctionName="f", **code)["State"] == "Pending"
    functions.get_waiter("published_version_active").wait(FunctionName="f", Qualifier="1", WaiterConfig={"Delay": 0.05})
    functions.get_waiter("function_active_v2").wait(FunctionName="f", Qualifier="1", WaiterConfig={"Delay": 0.05})
    assert functions.get_function(FunctionName="f", Qualifier="1")["Configuration"]["State"] == "Active"


def test_what_initialisation_made_is_in_all_instances_and_its_log_is_that_of_the_publishing(
    cloud: Cloud, functions: Any
) -> None:
    """ "Monitoring for Lambda SnapStart"."""
    deploy(functions, "f", "print('from init')\n" + WHO, **SNAP_START, Publish=True)
    settled(functions)
    logs = cloud.client("logs")

    def of_each_stream() -> list[list[str]]:
        found = logs.filter_log_events(logGroupName="/aws/lambda/f")["events"]
        streams: dict[str, list[str]] = {}
        for one in found:
            streams.setdefault(one["logStreamName"], []).append(one["message"])
        return list(streams.values())

    eventually(lambda: logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/f")["logGroups"])
    [init] = eventually(lambda: (found := of_each_stream()) and len(found[0]) == 3 and found)
    arn = functions.get_function_configuration(FunctionName="f:1")["RuntimeVersionConfig"]["RuntimeVersionArn"]
    assert init[:2] == [f"INIT_START Runtime Version: python:3.12\tRuntime Version ARN: {arn}\n", "from init\n"]
    assert re.fullmatch(r"INIT_REPORT Init Duration: \S+ ms\n", init[2])
    first = call(functions, "f:1")
    assert call(functions, "f:1") == first
    ran = eventually(lambda: next((found for found in of_each_stream() if found != init and len(found) == 8), None))
    assert [line.split(" ")[0] for line in ran] == ["RESTORE_START", "RESTORE_REPORT", *["START", "END", "REPORT"] * 2]


@pytest.mark.parametrize("init", ["raise RuntimeError('no')", "import os; os._exit(1)", "import nothing_like_it"])
def test_a_version_whose_initialisation_fails_is_failed(functions: Any, init: str) -> None:
    deploy(functions, "f", f"{init}\ndef handler(e, c): pass", **SNAP_START)
    functions.publish_version(FunctionName="f")
    assert settled(functions) == {
        "State": "Failed", "StateReasonCode": "FunctionError",
        "StateReason": "An error occurred during function initialization.",
    }  # fmt: skip
    with pytest.raises(WaiterError, match="Failed"):
        functions.get_waiter("published_version_active").wait(FunctionName="f", Qualifier="1")
    assert refused(functions.invoke, FunctionName="f:1") == (
        "ResourceConflictException", PENDING.replace("Pending", "Failed"),
    )  # fmt: skip
    assert functions.publish_version(FunctionName="f")["Version"] == "1", "nothing has changed since"


def test_no_alias_leads_to_a_version_that_has_failed(functions: Any) -> None:
    deploy(functions, "f", WHO, **SNAP_START, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    bad = zipped({"app.py": "raise RuntimeError('no')"})
    functions.update_function_code(FunctionName="f", ZipFile=bad, Publish=True)
    assert settled(functions, "2")["State"] == "Failed"
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f:2"
    told = (
        "ResourceConflictException",
        f"The operation cannot be performed at this time. The resource {arn} is currently in the following state: "
        "'Failed'. StateReasonCode: 'FunctionError'",
    )
    assert refused(functions.update_alias, FunctionName="f", Name="live", FunctionVersion="2") == told
    assert refused(functions.create_alias, FunctionName="f", Name="new", FunctionVersion="2") == told
    settled(functions)
    assert call(functions, "f:live")


@pytest.mark.shares_files
def test_an_alias_may_lead_to_a_version_that_is_pending_and_is_then_no_more_ready_than_it(
    functions: Any, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    deploy(functions, "f", held_open_by(gate), **SNAP_START, Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    url = functions.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="NONE")["FunctionUrl"]
    grant = {"Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"}
    functions.add_permission(FunctionName="f", Qualifier="live", StatementId="s", **grant)
    assert state_of(functions, "live")["State"] == "Pending"
    assert refused(functions.invoke, FunctionName="f:live") == ("ResourceConflictException", PENDING)
    host = httpx.URL(url).netloc.decode()
    answer = httpx.get(functions.meta.endpoint_url, headers={"host": host})
    assert (answer.status_code, answer.json()) == (409, {"Message": PENDING})
    gate.touch()
    settled(functions)
    assert call(functions, "f:live")


def test_a_version_that_is_deleted_while_it_is_pending_is_gone(cloud: Cloud, functions: Any) -> None:
    never = "import time; time.sleep(3600)\ndef handler(e, c): pass"
    deploy(functions, "f", never, **SNAP_START, Publish=True)
    eventually(lambda: cloud.server.engine.status())
    functions.delete_function(FunctionName="f", Qualifier="1")
    eventually(lambda: not cloud.server.engine.status())
    assert refused(functions.get_function, FunctionName="f", Qualifier="1")[0] == "ResourceNotFoundException"
    deploy(functions, "g", WHO, **SNAP_START, Publish=True)
    eventually(lambda: state_of(functions, name="g")["State"] == "Active")


# -- what comes after a restore --


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        ("raise RuntimeError('gone')", (
            "SnapStartException",
            "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch "
            "logs.",
        )),
        ("time.sleep(60)", (
            "SnapStartTimeoutException", "Lambda couldn't restore the snapshot within the timeout limit.",
        )),
    ],
)  # fmt: skip
def test_a_hook_that_fails_after_a_restore_is_told_to_whoever_invokes(
    cloud: Cloud, functions: Any, monkeypatch: pytest.MonkeyPatch, hook: str, error: tuple[str, str]
) -> None:
    """ "Troubleshooting SnapStart errors": ten seconds; here one, so that nobody has to wait."""
    monkeypatch.setattr(cloud.server.engine._births, "restore_s", 1.0)
    source = (
        f"import time, snapshot_restore_py\n@snapshot_restore_py.register_after_restore\ndef after():\n    {hook}\n"
    )
    deploy(functions, "f", source + WHO, **SNAP_START, Publish=True)
    assert settled(functions)["State"] == "Active"
    assert refused(functions.invoke, FunctionName="f:1") == error


def test_an_asynchronous_event_is_kept_until_its_version_can_be_restored(cloud: Cloud, functions: Any) -> None:
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName="done")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    source = (
        "import snapshot_restore_py, time\nSINCE = time.time()\n@snapshot_restore_py.register_after_restore\n"
        "def after():\n    if time.time() < SINCE + 2: raise RuntimeError('too early')\n" + WHO
    )
    deploy(functions, "f", source, **SNAP_START, Publish=True)
    functions.put_function_event_invoke_config(
        FunctionName="f", Qualifier="1", DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    settled(functions)
    functions.invoke(FunctionName="f:1", InvocationType="Event")

    def done() -> Any:
        cloud.advance(seconds=10)
        return sqs.receive_message(QueueUrl=queue).get("Messages")

    [message] = eventually(done)
    assert json.loads(message["Body"])["requestContext"]["condition"] == "Success"


# -- restarts --


def test_after_a_restart_the_version_is_active_and_its_snapshot_is_made_when_it_is_needed(cloud: Cloud) -> None:
    functions = cloud.client("lambda")
    deploy(functions, "f", WHO, **SNAP_START, Publish=True)
    settled(functions)
    _, drawn = call(functions, "f:1")
    cloud.restart()
    functions = cloud.client("lambda")
    assert state_of(functions) == {"State": "Active", "LastUpdateStatus": "Successful"}
    assert not cloud.server.engine.status()
    assert call(functions, "f:1")[1] != drawn


@pytest.mark.shares_files
def test_a_server_that_ends_while_a_version_is_pending_goes_on_with_it(cloud: Cloud, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    deploy(cloud.client("lambda"), "f", held_open_by(gate), **SNAP_START, Publish=True)
    eventually(lambda: cloud.server.engine.status())
    cloud.restart()
    functions = cloud.client("lambda")
    assert state_of(functions)["State"] == "Pending"
    gate.touch()
    assert settled(functions)["State"] == "Active"


# -- where this machine fails --


def test_a_machine_that_has_no_room_for_the_process_fails_the_version_and_says_why(
    cloud: Cloud, functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(version: Version) -> None:
        raise OSError(errno.EAGAIN, "no process is left")

    monkeypatch.setattr(cloud.server.engine, "snapshot", refuse)
    deploy(functions, "f", WHO, **SNAP_START, Publish=True)
    found = settled(functions)
    assert (found["State"], found["StateReasonCode"]) == ("Failed", "InternalError")
    assert found["StateReason"].endswith("no process is left")


def test_a_version_whose_end_cannot_be_written_down_stays_pending_until_it_can(
    cloud: Cloud, functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full, for a while."""
    transact, refused_times = cloud.server.store.transact, []

    async def full(work: Any, /, *arguments: Any, **more: Any) -> Any:
        if work is snapshots._settle and len(refused_times) < 3:
            refused_times.append(work)
            raise StoreError("no room")
        return await transact(work, *arguments, **more)

    monkeypatch.setattr(cloud.server.store, "transact", full)
    deploy(functions, "f", WHO, **SNAP_START, Publish=True)
    eventually(lambda: refused_times)
    assert state_of(functions)["State"] == "Pending"

    def goes_on() -> bool:
        cloud.advance(seconds=1)
        return bool(state_of(functions)["State"] == "Active")

    eventually(goes_on)
    assert len(refused_times) == 3


# -- stacks --


def template(source: str) -> str:
    function = {
        "Runtime": "python3.12", "Role": ROLE, "Handler": "index.handler", "Code": {"ZipFile": source},
        "SnapStart": {"ApplyOn": "PublishedVersions"},
    }  # fmt: skip
    named = {"Ref": "Function"}
    return json.dumps({
        "Resources": {
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Version": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": named}},
            "Live": {"Type": "AWS::Lambda::Alias", "Properties": {
                "FunctionName": named, "FunctionVersion": {"Fn::GetAtt": ["Version", "Version"]}, "Name": "live",
            }},
        },
        "Outputs": {"Alias": {"Value": {"Ref": "Live"}}},
    })  # fmt: skip


@pytest.mark.shares_files
def test_a_stack_waits_for_the_snapshot_of_its_version(cloud: Cloud, tmp_path: Path) -> None:
    stacks, gate = cloud.client("cloudformation"), tmp_path / "gate"
    stacks.create_stack(StackName="s", TemplateBody=template(held_open_by(gate)))

    def statuses() -> dict[str, str]:
        found = stacks.describe_stack_resources(StackName="s")["StackResources"]
        return {one["LogicalResourceId"]: one["ResourceStatus"] for one in found}

    eventually(lambda: cloud.server.engine.status())
    assert statuses() == {"Function": "CREATE_COMPLETE", "Version": "CREATE_IN_PROGRESS"}
    gate.touch()
    stacks.get_waiter("stack_create_complete").wait(StackName="s", WaiterConfig={"Delay": 0.05})
    [stack] = stacks.describe_stacks(StackName="s")["Stacks"]
    assert call(cloud.client("lambda"), stack["Outputs"][0]["OutputValue"])


def test_a_stack_whose_version_fails_is_rolled_back_and_says_why(cloud: Cloud) -> None:
    stacks = cloud.client("cloudformation")
    stacks.create_stack(StackName="s", TemplateBody=template("raise RuntimeError('no')"))
    eventually(lambda: stacks.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE")
    events = stacks.describe_stack_events(StackName="s")["StackEvents"]
    [why] = [one["ResourceStatusReason"] for one in events if one["ResourceStatus"] == "CREATE_FAILED"
             and one["LogicalResourceId"] == "Version"]  # fmt: skip
    assert re.search(
        r"Resource of type 'AWS::Lambda::Version' with identifier 'arn:aws:lambda:[^']+:1' did not stabilize. "
        r"Status Reason is An error occurred during function initialization.", why,
    )  # fmt: skip
    assert cloud.client("lambda").list_functions()["Functions"] == []


# -- logs as JSON --


def test_in_json_a_restore_has_records_of_its_own(cloud: Cloud, functions: Any) -> None:
    """ "Lambda Telemetry API Event schema reference": platform.restoreStart, restoreRuntimeDone, restoreReport."""
    levels = {"LogFormat": "JSON", "SystemLogLevel": "DEBUG", "ApplicationLogLevel": "INFO"}
    deploy(functions, "f", WHO, **SNAP_START, Publish=True, LoggingConfig=levels)
    settled(functions)
    call(functions, "f:1")
    logs = cloud.client("logs")

    def records() -> dict[str, Any]:
        if not logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/f")["logGroups"]:
            return {}
        found = logs.filter_log_events(logGroupName="/aws/lambda/f")["events"]
        return {one["type"]: one["record"] for one in (json.loads(event["message"]) for event in found)}

    told = eventually(lambda: (found := records()) and "platform.report" in found and found)
    arn = functions.get_function_configuration(FunctionName="f:1")["RuntimeVersionConfig"]["RuntimeVersionArn"]
    assert told["platform.restoreStart"] == {"runtimeVersion": "python:3.12", "runtimeVersionArn": arn}
    assert told["platform.restoreRuntimeDone"] == {"status": "success"}
    assert told["platform.restoreReport"]["metrics"].keys() == {"durationMs"}
    metrics = told["platform.report"]["metrics"]
    assert metrics["restoreDurationMs"] == told["platform.restoreReport"]["metrics"]["durationMs"]
    assert "initDurationMs" not in metrics and told["platform.initReport"]["status"] == "success"
