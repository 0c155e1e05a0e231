"""What deploying touches beside functions: operations, builds, runtimes, regions, services, projects, repositories."""

from __future__ import annotations

import json
from typing import Any

from google.cloud import functions_v2
from google.cloud.location import locations_pb2

from fogbank.gcp.identity import projects
from fogbank.gcp.services.functions import deploying, state
from tests.support.cloud import Cloud
from tests.support.google import PROJECT
from tests.support.google_functions import PARENT, REGION, RUNTIME, Functions, ask

NUMBER = projects.number(PROJECT)


def told(cloud: Cloud, path: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    return json.loads(ask(f"{cloud.url}{path}", content, content_type="application/json").text)


def test_runtimes_are_listed_with_their_stages_for_each_generation(functions: Functions) -> None:
    listed = functions.client.list_runtimes(parent=PARENT).runtimes
    stage = functions_v2.ListRuntimesResponse.RuntimeStage
    found = {(one.name, one.environment.name): one for one in listed}
    assert found[RUNTIME, "GEN_2"].display_name.startswith("Python 3.")
    assert found["nodejs18", "GEN_2"].deprecation_date.year == 2025
    assert ("python313", "GEN_1") not in found and ("python312", "GEN_1") in found
    assert {one.stage for one in listed} <= {stage.GA, stage.DEPRECATED}
    assert all(one.warnings for one in listed if one.stage == stage.DEPRECATED)


def test_regions_are_listed(functions: Functions) -> None:
    listed = functions.client.list_locations(locations_pb2.ListLocationsRequest(name=f"projects/{PROJECT}"))
    assert REGION in {one.location_id for one in listed.locations}


def test_operations_are_listed_and_forgotten(functions: Functions, cloud: Cloud) -> None:
    functions.create("hello")
    [operation] = told(cloud, f"/v2/{PARENT}/operations")["operations"]
    assert operation["done"] and operation["response"]["name"] == f"{PARENT}/functions/hello"
    assert operation["metadata"]["@type"] == "type.googleapis.com/google.cloud.functions.v2.OperationMetadata"
    assert ask(f"{cloud.url}/v2/{operation['name']}", method="DELETE").status == 200
    assert told(cloud, f"/v2/{operation['name']}")["error"]["status"] == "NOT_FOUND"


def test_a_build_is_found_by_the_name_that_its_function_tells(functions: Functions, cloud: Cloud) -> None:
    made = functions.create("hello")
    build = told(cloud, f"/v1/{made.build_config.build}")
    assert build["status"] == "SUCCESS" and build["name"] == made.build_config.build
    assert told(cloud, f"/v1/projects/{PROJECT}/builds/{build['id']}")["id"] == build["id"]
    account = told(cloud, f"/v1/{PARENT}/defaultServiceAccount")["serviceAccountEmail"]
    assert account == f"projects/{PROJECT}/serviceAccounts/{NUMBER}-compute@developer.gserviceaccount.com"


def test_of_each_function_the_newest_builds_are_kept(functions: Functions, cloud: Cloud) -> None:
    made = functions.create("hello")
    house: Any = cloud.server.google_services[0].house
    function = cloud.run(house.store.transact(state.find, made.name))
    for number in range(30):
        build = state.Build(f"build-{number}", made.name, cloud.clock.now_ms() + number, 0, succeeded=True, log="")
        cloud.run(house.store.transact(deploying.keep_build, function, build))
    kept = {build["id"] for build in told(cloud, f"/v1/{PARENT}/builds")["builds"]}
    assert kept == {f"build-{number}" for number in range(10, 30)}


def test_services_are_enabled_until_somebody_disables_them(cloud: Cloud) -> None:
    path = f"/v1/projects/{PROJECT}/services"
    assert told(cloud, f"{path}/run.googleapis.com")["state"] == "ENABLED"
    disabled = told(cloud, f"{path}/run.googleapis.com:disable", {})
    assert disabled["done"] and told(cloud, f"/v1/{disabled['name']}")["done"]
    assert told(cloud, f"{path}/run.googleapis.com")["state"] == "DISABLED"
    assert [one["config"]["name"] for one in told(cloud, f"{path}?filter=state:DISABLED")["services"]] == [
        "run.googleapis.com"
    ]
    told(cloud, f"{path}:batchEnable", {"serviceIds": ["run.googleapis.com", "pubsub.googleapis.com"]})
    assert told(cloud, f"{path}/run.googleapis.com")["state"] == "ENABLED"
    assert told(cloud, f"{path}/nothing.googleapis.com")["error"]["status"] == "PERMISSION_DENIED"


def test_every_project_is_there_with_a_policy(cloud: Cloud) -> None:
    first = told(cloud, f"/v1/projects/{PROJECT}")
    assert (first["projectId"], first["projectNumber"], first["lifecycleState"]) == (PROJECT, NUMBER, "ACTIVE")
    assert told(cloud, f"/v3/projects/{PROJECT}")["name"] == f"projects/{NUMBER}"
    policy = told(cloud, f"/v1/projects/{PROJECT}:getIamPolicy", {})
    [editors] = [one["members"] for one in policy["bindings"] if one["role"] == "roles/editor"]
    assert f"serviceAccount:{projects.compute_account(PROJECT)}" in editors
    policy["bindings"].append({"role": "roles/viewer", "members": ["user:you@example.com"]})
    told(cloud, f"/v1/projects/{PROJECT}:setIamPolicy", {"policy": policy})
    assert told(cloud, f"/v3/projects/{PROJECT}:getIamPolicy", {})["bindings"] == policy["bindings"]


def test_the_repository_of_images_is_there_and_no_other(cloud: Cloud) -> None:
    path = f"/v1/{PARENT}/repositories"
    assert told(cloud, f"{path}/gcf-artifacts")["format"] == "DOCKER"
    assert told(cloud, f"{path}/other")["error"]["status"] == "NOT_FOUND"


def test_a_function_is_a_cloud_run_service(functions: Functions, cloud: Cloud) -> None:
    made = functions.create("say_hello", functions.settings(entry_point="hello", max_instance_count=3))
    service = told(cloud, f"/v2/{PARENT}/services/say-hello")
    assert service["uri"] == made.service_config.uri
    assert service["template"]["scaling"]["maxInstanceCount"] == 3
    assert service["latestReadyRevision"].endswith(made.service_config.revision)
    old = told(cloud, f"/apis/serving.knative.dev/v1/namespaces/{PROJECT}/services/say-hello")
    assert old["status"]["latestReadyRevisionName"] == made.service_config.revision
    [listed] = told(cloud, f"/v2/{PARENT}/services")["services"]
    assert listed["name"] == service["name"]
    assert ask(f"{cloud.url}/v2/{PARENT}/services/say-hello", method="DELETE").status == 501
