"""How many at once. Lambda Developer Guide, "Understanding Lambda function scaling", with its parts on reserved and on
provisioned concurrency.
"""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from fogbank.aws.services.lambda_ import admission
from tests.support.code import call, deploy, zipped
from tests.support.refusals import refused
from tests.support.stacks import Stacks, template
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cloud import Cloud

# Works until the file is there that its event names.
pytestmark = pytest.mark.shares_files
WAITS = (
    "import os, time\n"
    "def handler(event, context):\n"
    "    while 'until' in event and not os.path.exists(event['until']):\n"
    "        time.sleep(0.01)\n"
    "    return os.getpid()\n"
)


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


@contextmanager
def working(cloud: Cloud, name: str, count: int, folder: Any) -> Iterator[list[Any]]:
    """`count` events of the function are at work; what they answered stands in the list afterwards."""
    flag, answers = folder / f"{name}-{count}-done", []

    def ask() -> None:
        answers.append(call(cloud.client("lambda"), name, {"until": str(flag)}))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        short = name.partition(":")[0]
        eventually(lambda: [one["state"] for one in instances(cloud, short)].count("busy") >= count)
        yield answers
    finally:
        flag.touch()
        for thread in threads:
            thread.join(20)


def instances(cloud: Cloud, name: str) -> list[dict[str, Any]]:
    return [one for one in cloud.server.engine.status() if one["function"].startswith(f"{name}:")]


def reason(functions: Any, name: str) -> str:
    with pytest.raises(ClientError) as error:
        call(functions, name)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert error.value.response["Error"]["Code"] == "TooManyRequestsException"
    return str(error.value.response["Reason"])


def test_instances_scale_from_zero_to_what_is_reserved_and_no_further(
    cloud: Cloud, functions: Any, tmp_path: Any
) -> None:
    deploy(functions, "f", WAITS, Timeout=60)
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=3)
    assert instances(cloud, "f") == []
    with working(cloud, "f", 3, tmp_path) as answers:
        assert reason(functions, "f") == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert len(set(answers)) == 3
    assert call(functions, "f") in answers


def test_what_is_reserved_for_one_is_out_of_reach_for_all_others(
    cloud: Cloud, functions: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "Reserved concurrency": no other function can use it, and it does not come out of the account's when used."""
    for name in ("reserved", "other", "third"):
        deploy(functions, name, WAITS, Timeout=60)
    functions.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=2)
    monkeypatch.setattr(admission, "ACCOUNT_CONCURRENCY", 3)
    with working(cloud, "other", 1, tmp_path):
        assert reason(functions, "third") == "ConcurrentInvocationLimitExceeded"
        with working(cloud, "reserved", 2, tmp_path):
            assert reason(functions, "reserved") == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert call(functions, "third")
    functions.delete_function(FunctionName="reserved")
    with working(cloud, "other", 2, tmp_path):
        assert call(functions, "third")


def test_a_hundred_are_left_to_those_without_reserved_concurrency(functions: Any) -> None:
    for name in ("a", "b"):
        deploy(functions, name, WAITS)
    functions.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=900)
    limits = functions.get_account_settings()["AccountLimit"]
    assert (limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]) == (1000, 100)
    code, told = refused(functions.put_function_concurrency, FunctionName="b", ReservedConcurrentExecutions=1)
    assert (code, told) == (
        "InvalidParameterValueException",
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        "its minimum value of [100].",
    )
    functions.put_function_concurrency(FunctionName="b", ReservedConcurrentExecutions=0)  # Which takes nothing.
    functions.delete_function_concurrency(FunctionName="a")
    assert functions.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 1000


def test_beyond_its_provisioned_instances_a_version_runs_on_demand(cloud: Cloud, functions: Any, tmp_path: Any) -> None:
    deploy(functions, "f", WAITS, Timeout=60, Publish=True)
    functions.put_provisioned_concurrency_config(FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=2)
    ready = {one["pid"] for one in instances(cloud, "f")}
    with working(cloud, "f:1", 3, tmp_path) as answers:
        pass
    assert len(ready) == 2 and ready < set(answers) and len(answers) == 3


def test_an_event_that_meets_a_provisioned_instance_has_no_init_in_its_report(functions: Any) -> None:
    deploy(functions, "f", WAITS, Publish=True)
    functions.put_provisioned_concurrency_config(FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=1)
    answer = functions.invoke(FunctionName="f", Qualifier="1", LogType="Tail")
    assert "Init Duration" not in base64.b64decode(answer["LogResult"]).decode()


def test_an_instance_is_told_whether_it_was_made_ahead(cloud: Cloud, functions: Any, tmp_path: Any) -> None:
    """ "Defined runtime environment variables": AWS_LAMBDA_INITIALIZATION_TYPE."""
    source = WAITS.replace("os.getpid()", "os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']")
    deploy(functions, "f", source, Timeout=60, Publish=True)
    functions.put_provisioned_concurrency_config(FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=2)
    with working(cloud, "f:1", 3, tmp_path) as answers:
        pass
    assert sorted(answers) == ["on-demand", "provisioned-concurrency", "provisioned-concurrency"]


def test_an_alias_takes_its_provisioned_instances_to_the_version_it_moves_to(cloud: Cloud, functions: Any) -> None:
    deploy(functions, "f", WAITS, Publish=True)
    functions.update_function_code(FunctionName="f", ZipFile=zipped({"app.py": WAITS + "\n"}), Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    where = {"FunctionName": "f", "Qualifier": "live"}
    functions.put_provisioned_concurrency_config(**where, ProvisionedConcurrentExecutions=2)
    assert [one["function"] for one in instances(cloud, "f")] == ["f:1"] * 2
    functions.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    eventually(lambda: functions.get_provisioned_concurrency_config(**where)["Status"] == "READY")
    assert [one["function"] for one in instances(cloud, "f")].count("f:2") == 2
    pools = cloud.server.engine._pools.values()
    eventually(lambda: {pool.version.name: pool.provisioned for pool in pools} == {"f:1": 0, "f:2": 2})


def test_a_version_whose_init_fails_says_so_in_its_status(cloud: Cloud, functions: Any) -> None:
    """GetProvisionedConcurrencyConfig: Status, StatusReason."""
    deploy(functions, "f", "raise ValueError('no')\n", Publish=True)
    where = {"FunctionName": "f", "Qualifier": "1"}
    put = functions.put_provisioned_concurrency_config(**where, ProvisionedConcurrentExecutions=2)
    shown = functions.get_provisioned_concurrency_config(**where)
    assert put["Status"] == shown["Status"] == "FAILED"
    assert "FUNCTION_ERROR_INIT_FAILURE" in shown["StatusReason"] and "ValueError" in shown["StatusReason"]
    counts = [shown[f"{name}ProvisionedConcurrentExecutions"] for name in ("Requested", "Available", "Allocated")]
    assert counts == [2, 0, 0]
    functions.delete_provisioned_concurrency_config(**where)
    code, _ = refused(functions.get_provisioned_concurrency_config, **where)
    assert code == "ProvisionedConcurrencyConfigNotFoundException"


def test_a_stack_whose_alias_cannot_be_provisioned_fails_with_the_functions_own_error(cloud: Cloud) -> None:
    function = {"Code": {"ZipFile": "raise ValueError('no')"}, "Handler": "index.handler", "Runtime": "python3.11",
                "Role": "arn:aws:iam::000000000000:role/any"}  # fmt: skip
    stacks = Stacks(cloud)
    stacks.create(template(Resources={
        "F": {"Type": "AWS::Lambda::Function", "Properties": function},
        "V": {"Type": "AWS::Lambda::Version", "Properties": {
            "FunctionName": {"Ref": "F"}, "ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 1},
        }},
    }), ends="ROLLBACK_COMPLETE")  # fmt: skip
    assert any("ValueError" in reason for reason in stacks.reasons())


def test_provisioned_concurrency_leaves_a_hundred_to_all_others_too(functions: Any) -> None:
    deploy(functions, "f", WAITS, Publish=True)
    put = functions.put_provisioned_concurrency_config
    code, told = refused(put, FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=901)
    assert code == "InvalidParameterValueException" and "unreserved concurrency [900]" in told
    put(FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=1)
    code, told = refused(functions.put_function_concurrency, FunctionName="f", ReservedConcurrentExecutions=0)
    assert code == "InvalidParameterValueException" and "total provisioned concurrency [1]" in told


def test_instances_that_nobody_needs_are_let_go_but_for_the_provisioned_ones(
    cloud: Cloud, functions: Any, tmp_path: Any
) -> None:
    deploy(functions, "f", WAITS, Timeout=60, Publish=True)
    functions.put_provisioned_concurrency_config(FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=1)
    with working(cloud, "f:1", 3, tmp_path):
        states = [one["state"] for one in instances(cloud, "f")]
        assert states == ["busy"] * 3
    cloud.server.engine.idle_s = 0

    async def reap() -> None:
        cloud.server.engine.reap()

    cloud.run(reap())
    assert [one["state"] for one in instances(cloud, "f")] == ["idle"]


def test_the_status_of_the_server_shows_each_instance_as_it_is(cloud: Cloud, functions: Any, tmp_path: Any) -> None:
    import httpx

    deploy(functions, "f", WAITS, Timeout=60)

    def shown() -> list[Any]:
        found = httpx.get(f"{cloud.url}/_fogbank/status").json()["instances"]
        return [(one["function"], one["state"], one["events"]) for one in found]

    assert shown() == []
    with working(cloud, "f", 2, tmp_path) as answers:
        assert shown() == [("f:$LATEST", "busy", 1)] * 2
        pids = {one["pid"] for one in httpx.get(f"{cloud.url}/_fogbank/status").json()["instances"]}
    assert shown() == [("f:$LATEST", "idle", 1)] * 2
    assert pids == set(json.loads(json.dumps(answers)))
