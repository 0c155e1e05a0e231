"""Layers. Lambda Developer Guide, "Managing Lambda dependencies with layers"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.support.code import ROLE, call, deploy, zipped

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

USES = "import shared\ndef handler(event, context):\n    return shared.NAME\n"


@pytest.fixture
def functions(cloud: Cloud) -> Any:
    return cloud.client("lambda")


def publish(functions: Any, name: str, value: str, **more: Any) -> str:
    content = {"ZipFile": zipped({"python/shared.py": f"NAME = {value!r}\n"})}
    return str(functions.publish_layer_version(LayerName=name, Content=content, **more)["LayerVersionArn"])


def test_a_function_imports_from_its_layer_and_the_later_layer_wins(functions: Any) -> None:
    one, two = publish(functions, "one", "first"), publish(functions, "two", "second")
    deploy(functions, "f", USES, Layers=[one, two])
    assert call(functions, "f") == "second"
    functions.update_function_configuration(FunctionName="f", Layers=[two, one])
    assert call(functions, "f") == "first"


def test_a_node_function_requires_from_its_layer(functions: Any) -> None:
    content = {"ZipFile": zipped({"nodejs/node_modules/shared/index.js": "exports.name = 'from the layer';"})}
    layer = functions.publish_layer_version(LayerName="js", Content=content)["LayerVersionArn"]
    code = {"ZipFile": zipped({"index.js": "const s = require('shared'); exports.handler = async () => s.name;"})}
    functions.create_function(
        FunctionName="n", Runtime="nodejs20.x", Role=ROLE, Handler="index.handler", Code=code, Layers=[layer]
    )
    assert call(functions, "n") == "from the layer"


def test_versions_are_numbered_for_good_and_a_deleted_one_stays_with_its_functions(
    cloud: Cloud, functions: Any
) -> None:
    first = publish(functions, "shared", "1", CompatibleRuntimes=["python3.11"], LicenseInfo="MIT")
    deploy(functions, "f", USES, Layers=[first])
    functions.delete_layer_version(LayerName="shared", VersionNumber=1)
    second = publish(functions, "shared", "2")
    assert second.endswith(":layer:shared:2")
    cloud.restart()
    functions = cloud.client("lambda")
    assert call(functions, "f") == "1"
    with pytest.raises(ClientError) as caught:
        deploy(functions, "g", USES, Layers=[first])
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
    with pytest.raises(ClientError) as caught:
        functions.get_layer_version(LayerName="shared", VersionNumber=1)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_layers_are_listed_with_their_newest_version_and_read_by_arn(functions: Any) -> None:
    publish(functions, "a", "1", CompatibleRuntimes=["python3.11"])
    newest = publish(functions, "a", "2", Description="second", CompatibleRuntimes=["python3.11"])
    publish(functions, "b", "1")
    listed = functions.list_layers()["Layers"]
    assert [one["LatestMatchingVersion"]["Version"] for one in listed] == [2, 1]
    assert [one["LayerName"] for one in functions.list_layers(CompatibleRuntime="python3.11")["Layers"]] == ["a"]
    assert [one["Version"] for one in functions.list_layer_versions(LayerName="a")["LayerVersions"]] == [2, 1]
    found = functions.get_layer_version_by_arn(Arn=newest)
    assert (found["Description"], found["Content"]["CodeSize"] > 0) == ("second", True)


def test_a_layer_may_be_shared_by_policy(functions: Any) -> None:
    publish(functions, "a", "1")
    where = {"LayerName": "a", "VersionNumber": 1}
    share = {"StatementId": "all", "Action": "lambda:GetLayerVersion", "Principal": "*"}
    functions.add_layer_version_permission(**where, **share)
    assert '"Sid":"all"' in functions.get_layer_version_policy(**where)["Policy"]
    functions.remove_layer_version_permission(**where, StatementId="all")
    with pytest.raises(ClientError) as caught:
        functions.get_layer_version_policy(**where)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_function_tells_how_large_its_layers_are_and_has_five_at_most_each_once(functions: Any) -> None:
    """Lambda quotas: "Function layers"."""
    arns = [publish(functions, f"layer{number}", "x") for number in range(6)]
    shown = deploy_config(functions, "f", arns[:5])
    assert [one["Arn"] for one in shown["Layers"]] == arns[:5]
    assert all(one["CodeSize"] > 100 for one in shown["Layers"])
    with pytest.raises(ClientError, match="more than 5 layers"):
        functions.update_function_configuration(FunctionName="f", Layers=arns)
    with pytest.raises(ClientError, match="Two different versions of the same layer"):
        functions.update_function_configuration(FunctionName="f", Layers=[arns[0], publish(functions, "layer0", "y")])


def deploy_config(functions: Any, name: str, layers: list[str]) -> Any:
    deploy(functions, name, USES, Layers=layers)
    return functions.get_function_configuration(FunctionName=name)
