"""Functions of Google's in a whole server: Google's own clients inside them find what they use here."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import firestore

from fogbank.functions.http.messages import HttpRequest
from fogbank.gcp.instances import Function, version_of
from tests.support.google import PROJECT, emulator
from tests.support.websites import PYTHON, built

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = """
import functions_framework
from flask import jsonify
from google.cloud import firestore

db = firestore.Client()

@functions_framework.http
def create_item(request):
    reference = db.collection("items").document()
    reference.set({"name": request.get_json()["name"], "created_at": firestore.SERVER_TIMESTAMP})
    return jsonify({"id": reference.id}), 201

@functions_framework.cloud_event
def process_pubsub(event):
    db.collection("processed").document("last").set({"data": event.data["message"]["data"]})
"""
WITHOUT_VARIABLES = """
import asyncio, json, os
for name in list(os.environ):
    if name.endswith("_EMULATOR_HOST"):
        del os.environ[name]
import functions_framework, grpc, requests, urllib3
from google.auth.credentials import AnonymousCredentials
from google.pubsub_v1 import PublisherAsyncClient, PublisherClient

@functions_framework.http
def over_grpc(request):
    client = PublisherClient(credentials=AnonymousCredentials())
    return [topic.name for topic in client.list_topics(project="projects/fog-project")]

@functions_framework.http
def over_asyncio(request):
    async def ask():
        client = PublisherAsyncClient(credentials=AnonymousCredentials())
        return [topic.name async for topic in await client.list_topics(project="projects/fog-project")]
    return asyncio.run(ask())

@functions_framework.http
def over_rest(request):
    client = PublisherClient(credentials=AnonymousCredentials(), transport="rest")
    return [topic.name for topic in client.list_topics(project="projects/fog-project")]

@functions_framework.http
def over_urllib3(request):
    answer = urllib3.PoolManager().request("GET", "https://pubsub.googleapis.com/v1/projects/fog-project/topics")
    return [topic["name"] for topic in json.loads(answer.data)["topics"]]
"""
IN_NODE = """
const functions = require('@google-cloud/functions-framework');
const grpc = require('@grpc/grpc-js');
const https = require('node:https');
const URL_OF_TOPICS = 'https://pubsub.googleapis.com/v1/projects/fog-project/topics';
const names = (text) => JSON.parse(text).topics.map((topic) => topic.name);

functions.http('over_https', (req, res) => {
  https.get(URL_OF_TOPICS, (answer) => {
    let text = '';
    answer.on('data', (piece) => { text += piece; }).on('end', () => res.json(names(text)));
  });
});
functions.http('over_fetch', async (req, res) => res.json(names(await (await fetch(URL_OF_TOPICS)).text())));
functions.http('over_grpc', (req, res) => {
  const client = new grpc.Client('pubsub.googleapis.com:443', grpc.credentials.createSsl());
  const project = Buffer.from('projects/fog-project');
  const request = Buffer.concat([Buffer.from([10, project.length]), project]);
  const same = (bytes) => bytes;
  client.makeUnaryRequest('/google.pubsub.v1.Publisher/ListTopics', same, same, request, (error, answer) => {
    res.json(error ? String(error) : [answer.subarray(4, 4 + answer[3]).toString()]);
  });
});
"""


@pytest.fixture
def ask(cloud, tmp_path) -> Callable[..., tuple[int, Any]]:
    """A request to the function of that name in a folder with these files: its status, and what it says."""

    def ask(files: dict[str, str], name: str, body: Any = (), runtime: str = PYTHON, **headers: str) -> tuple[int, Any]:
        code = tmp_path / "code"
        code.mkdir(exist_ok=True)
        for file, text in files.items():
            (code / file).write_text(text)
        version = version_of(
            Function(PROJECT, "us-central1", name, runtime, name, code, layers=built(code, runtime), memory_mb=512)
        )
        fields = [("Host", "it.run.app"), ("Content-Type", "application/json")]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]

        async def whole() -> tuple[int, bytes]:
            request = HttpRequest("POST", "/", fields, json.dumps(body).encode())
            response = await cloud.server.engine.request(version, request)
            return response.status, await response.whole()

        status, content = cloud.run(whole())
        return status, json.loads(content) if content.startswith((b"{", b"[")) else content.decode()

    return ask


def test_a_function_writes_to_firestore_and_the_document_is_there(cloud, ask):
    files = {"main.py": SEED, "requirements.txt": "functions-framework==3.*\ngoogle-cloud-firestore\n"}
    status, told = ask(files, "create_item", {"name": "tea"})
    assert status == 201
    with emulator("FIRESTORE_EMULATOR_HOST", cloud.server.port):
        client = firestore.Client(project=PROJECT)
        found = client.collection("items").document(told["id"]).get()
        assert found.get("name") == "tea"
        assert found.get("created_at") is not None
        event = {"ce_id": "1", "ce_type": "google.cloud.pubsub.topic.v1.messagePublished", "ce_source": "//x"}
        body = {"message": {"data": "aGk="}}
        assert ask(files, "process_pubsub", body, ce_specversion="1.0", **event) == (200, "OK")
        assert client.collection("processed").document("last").get().to_dict() == {"data": "aGk="}
        client.close()


@pytest.mark.parametrize("name", ["over_grpc", "over_asyncio", "over_rest", "over_urllib3"])
def test_a_python_client_that_knows_of_no_emulator_finds_the_service_here(pubsub, ask, name):
    topic = pubsub.topic("news")
    requirements = "functions-framework==3.*\ngoogle-cloud-firestore\ngoogle-cloud-pubsub\n"
    assert ask({"main.py": WITHOUT_VARIABLES, "requirements.txt": requirements}, name) == (200, [topic])


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on the PATH")
@pytest.mark.parametrize("name", ["over_https", "over_fetch", "over_grpc"])
def test_a_node_client_that_knows_of_no_emulator_finds_the_service_here(pubsub, ask, name):
    topic = pubsub.topic("news")
    package = {"dependencies": {"@google-cloud/functions-framework": "^3.4.0", "@grpc/grpc-js": "^1.10.0"}}
    files = {"index.js": IN_NODE, "package.json": json.dumps(package)}
    assert ask(files, name, runtime="nodejs20") == (200, [topic])
