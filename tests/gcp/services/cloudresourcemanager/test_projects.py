"""Projects by the v1 API, which tools still speak: each is there once it is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.support.cloud import Cloud


def test_a_project_has_a_number_that_follows_from_its_id(cloud: Cloud) -> None:
    told = httpx.get(f"{cloud.url}/v1/projects/shop").json()
    assert (told["projectId"], told["lifecycleState"]) == ("shop", "ACTIVE")
    assert told["projectNumber"].isdigit() and len(told["projectNumber"]) == 12
    listed = httpx.get(f"{cloud.url}/v1/projects").json()["projects"]
    assert [one["projectId"] for one in listed] == ["fogbank"]


@pytest.mark.parametrize(("verb", "project", "status", "name"), [
    ("GET", "Not-One", 400, "INVALID_ARGUMENT"), ("DELETE", "shop", 501, "UNIMPLEMENTED"),
])  # fmt: skip
def test_what_is_no_project_and_what_cannot_be_done_to_one_is_refused_as_rest_refuses(
    cloud: Cloud, verb: str, project: str, status: int, name: str
) -> None:
    answer = httpx.request(verb, f"{cloud.url}/v1/projects/{project}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json; charset=UTF-8")
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (status, name)
