"""The metadata server: google-auth in a process of its own, pointed at it by the variables that it reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from fogbank.gcp.identity import metadata, projects

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cloud import Cloud

EMAIL = projects.compute_account("fogbank")
FLAVOR = {"Metadata-Flavor": "Google"}
SCRIPT = """
import json
import google.auth
from google.auth.transport.requests import Request
from google.oauth2 import id_token
request = Request()
credentials, project = google.auth.default()
credentials.refresh(request)
print(json.dumps({
    "project": project, "email": credentials.service_account_email, "access": credentials.token,
    "universe": credentials.universe_domain, "identity": id_token.fetch_id_token(request, "https://app.example"),
}))
"""


def test_googles_own_library_finds_project_account_and_tokens(today: Cloud, tmp_path: Path) -> None:
    host = f"127.0.0.1:{today.server.port}"
    wiped = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "GCE_"))}
    environment = {
        **wiped, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": f"{host}/computeMetadata/v1/",
        "CLOUDSDK_CONFIG": str(tmp_path), "HOME": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["project"], told["email"], told["universe"]) == ("fogbank", EMAIL, "googleapis.com")
    certificates = f"{today.url}/oauth2/v1/certs"
    claims = id_token.verify_token(told["identity"], Request(), audience="https://app.example", certs_url=certificates)
    assert claims["iss"] == "https://accounts.google.com" and claims["email"] == EMAIL
    assert today.run(today.server.google_services[0].house.identity.principal(f"Bearer {told['access']}")) == EMAIL


def test_what_does_not_say_that_it_means_the_metadata_server_is_refused(cloud: Cloud) -> None:
    url = f"{cloud.url}/computeMetadata/v1/project/project-id"
    refused = httpx.get(url)
    assert refused.status_code == 403 and "Missing Metadata-Flavor:Google header" in refused.text
    assert httpx.get(url, headers={**FLAVOR, "X-Forwarded-For": "10.0.0.1"}).status_code == 403
    told = httpx.get(url, headers=FLAVOR)
    assert (told.status_code, told.text, told.headers["metadata-flavor"]) == (200, "fogbank", "Google")


def test_folders_are_listed_and_shown_whole_as_json(cloud: Cloud) -> None:
    root = f"{cloud.url}/computeMetadata/v1"
    assert httpx.get(f"{root}/instance/service-accounts", headers=FLAVOR).status_code == 301
    listed = httpx.get(f"{root}/instance/service-accounts/", headers=FLAVOR).text
    assert listed == f"default/\n{EMAIL}/\n"
    account = httpx.get(f"{root}/instance/service-accounts/default/?recursive=true", headers=FLAVOR).json()
    cloud_platform = "https://www.googleapis.com/auth/cloud-platform"
    assert account == {"aliases": ["default"], "email": EMAIL, "scopes": [cloud_platform]}
    number = int(projects.number("fogbank"))
    project = httpx.get(f"{root}/project/?recursive=true", headers=FLAVOR).json()
    assert project == {"attributes": {}, "numericProjectId": number, "projectId": "fogbank"}
    region = httpx.get(f"{root}/instance/region", headers=FLAVOR).text
    assert region == f"projects/{number}/regions/us-central1"


def test_an_address_of_its_own_tells_of_another_account(cloud: Cloud) -> None:
    holder = metadata.Holder("other", "europe-west1", "robot-1@other.iam.gserviceaccount.com")
    host = metadata.variables(f"127.0.0.1:{cloud.server.port}", holder)["GCE_METADATA_HOST"]
    root = f"http://{host}/computeMetadata/v1"
    told = {
        place: httpx.get(f"{root}/{place}", headers=FLAVOR).text
        for place in ("project/project-id", "instance/region", "instance/service-accounts/default/email")
    }
    assert told == {
        "project/project-id": "other",
        "instance/region": f"projects/{projects.number('other')}/regions/europe-west1",
        "instance/service-accounts/default/email": "robot-1@other.iam.gserviceaccount.com",
    }
    token = httpx.get(f"{root}/instance/service-accounts/default/identity?audience=me", headers=FLAVOR).text
    issuer = cloud.server.google_services[0].house.identity
    assert cloud.run(issuer.verify(token, ["me"]))["email"] == "robot-1@other.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("place", "status", "text"),
    [
        ("instance/service-accounts/default/identity", 400, "non-empty audience parameter required\n"),
        ("instance/service-accounts/nobody@example.com/token", 404, "was not found on this server"),
        ("instance/nothing", 404, "was not found on this server"),
        ("instance/id/deeper", 404, "was not found on this server"),
    ],
)
def test_what_is_not_there_is_said_as_the_real_one_says_it(cloud: Cloud, place: str, status: int, text: str) -> None:
    told = httpx.get(f"{cloud.url}/computeMetadata/v1/{place}", headers=FLAVOR)
    assert told.status_code == status and text in told.text
