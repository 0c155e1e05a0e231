"""Node functions of Google's, under the real functions-framework's own program."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from fogbank.functions.engine import InitFailed
from tests.support.waiting import until

pytestmark = [
    pytest.mark.shares_files,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not on the PATH"),
]

FRAMEWORK = "const functions = require('@google-cloud/functions-framework');\n"


def deploy(site, source, **settings):
    return site.deploy(FRAMEWORK + source if isinstance(source, str) else source, runtime="nodejs20", **settings)


def test_an_http_function_sees_the_request_as_it_came(site):
    version = deploy(
        site,
        "functions.http('greet', (req, res) => res.status(201).set('X-Answer', 'yes')"
        ".json([req.method, req.path, req.query, req.body, req.get('x-own'), req.ip, req.rawBody.toString()]));",
    )

    async def ask():
        headers = {"X-Own": "mine", "X-Forwarded-For": "10.1.2.3"}
        return await site.ask(version, "PUT", "/a%20b?c=1", body={"n": 1}, headers=headers)

    response = site.run(ask())
    assert response.status == 201
    assert ("X-Answer", "yes") in response.headers
    assert json.loads(response.body) == ["PUT", "/a%20b", {"c": "1"}, {"n": 1}, "mine", "10.1.2.3", '{"n": 1}']


def test_a_cloud_event_function_gets_a_binary_cloud_event(site):
    version = deploy(
        site, "functions.cloudEvent('greet', (event) => console.log(event.id, event.type, event.subject, event.data));"
    )
    headers = {"ce-id": "7", "ce-type": "t.v1", "ce-source": "//here", "ce-specversion": "1.0", "ce-subject": "it"}
    assert site.get(version, "POST", body={"a": 1}, headers=headers)[0] == 204
    assert "7 t.v1 it { a: 1 }" in site.texts()


def test_a_background_function_of_the_first_generation_gets_data_and_context(site):
    version = deploy(
        site, "exports.greet = (data, context, done) => { console.log(data, context.eventId); done(); };",
        generation=1, event_type="google.pubsub.topic.publish",
    )  # fmt: skip
    context = {"eventId": "9", "timestamp": "2026-01-01T00:00:00Z", "eventType": "e", "resource": "r"}
    assert site.get(version, "POST", body={"context": context, "data": {"b": 2}})[0] == 204
    assert "{ b: 2 } 9" in site.texts()


def test_a_typed_function_answers_with_json(site):
    version = deploy(site, "functions.typed('greet', (cart) => ({ count: cart.count + 1 }));", signature="typed")
    assert site.get(version, "POST", body={"count": 4}) == (200, '{"count":5}')


def test_an_es_module_finds_the_framework_and_its_own_files(site):
    package = {"type": "module", "main": "index.js", "dependencies": {"@google-cloud/functions-framework": "^3.4.0"}}
    files = {
        "package.json": json.dumps(package),
        "word.js": "export const word = 'hello';",
        "index.js": "import { http } from '@google-cloud/functions-framework';\nimport { word } from './word.js';\n"
        "http('greet', (req, res) => res.send(word));",
    }
    assert site.get(deploy(site, files)) == (200, "hello")


def test_one_instance_is_at_several_requests_at_a_time(site):
    """Each waits for the others, in one process: one at a time they would wait for ever."""
    version = deploy(
        site,
        "const waiting = [];\n"
        "functions.http('greet', (req, res) => {\n"
        "  waiting.push(res);\n"
        "  if (waiting.length === 4) for (const one of waiting) one.send(String(process.pid));\n"
        "});",
        concurrency=4,
    )

    async def several():
        responses = await asyncio.gather(*(site.ask(version) for _ in range(4)))
        return {await response.whole() for response in responses}

    assert len(site.run(several())) == 1


def test_a_response_comes_as_the_function_writes_it(site):
    version = deploy(
        site,
        "const fs = require('node:fs');\n"
        "functions.http('greet', (req, res) => {\n"
        "  res.write('first ');\n"
        "  const look = setInterval(() => {\n"
        "    if (!fs.existsSync(req.query.file)) return;\n"
        "    clearInterval(look);\n"
        "    res.end('last');\n"
        "  }, 10);\n"
        "});",
    )

    async def read():
        response = await site.ask(version, target=f"/?file={site.held / 'go'}")
        pieces = [await anext(response.body)]
        site.release("go")
        return [*pieces, *[piece async for piece in response.body]]

    assert site.run(read()) == [b"first ", b"last"]


def test_what_goes_to_each_output_is_logged_as_that(site):
    version = deploy(
        site,
        "functions.http('greet', (req, res) => {\n"
        "  console.log('plain');\n"
        "  console.error('wrong');\n"
        "  console.log(JSON.stringify({ severity: 'NOTICE', message: 'structured', part: { n: 1 } }));\n"
        "  res.send('');\n"
        "});",
        environment={"LOG_EXECUTION_ID": "false"},
    )
    site.get(version)
    found = {
        (
            entry["logName"].rpartition("%2F")[2],
            entry["severity"],
            entry.get("textPayload") or str(entry["jsonPayload"]),
        )
        for entry in site.entries()
        if "httpRequest" not in entry
    }
    assert found == {
        ("stdout", "DEFAULT", "plain"),
        ("stderr", "DEFAULT", "wrong"),
        ("stdout", "NOTICE", "{'message': 'structured', 'part': {'n': 1}}"),
    }


def test_a_function_that_throws_answers_500(site):
    version = deploy(site, "functions.http('greet', () => { throw new Error('no luck'); });")
    assert site.get(version)[0] == 500
    assert any("no luck" in str(entry) for entry in site.entries())


def test_an_instance_that_ends_is_a_503_and_the_next_is_served(site):
    version = deploy(
        site,
        "functions.http('greet', (req, res) => {\n"
        "  if (req.query.x) process.kill(process.pid, 'SIGKILL'); else res.send('ok');\n"
        "});",
    )
    assert site.get(version, target="/?x=1") == (503, "Service Unavailable")
    assert site.get(version) == (200, "ok")
    assert [text for text in site.texts() if text.startswith("Container called")] == ["Container called exit(137)."]


def test_a_function_that_exits_is_answered_by_the_framework(site):
    """Its own handler of `process.exit` answers before the end."""
    version = deploy(site, "functions.http('greet', (req, res) => req.query.x ? process.exit(3) : res.send('ok'));")
    assert site.get(version, target="/?x=1")[0] == 500
    site.run(until(lambda: not site.engine._pools[version.id].all))
    assert site.get(version) == (200, "ok")


def test_a_request_that_takes_too_long_is_a_504_and_its_instance_works_on(site):
    version = deploy(
        site, "functions.http('greet', (req, res) => { if (!req.query.x) res.send(String(process.pid)); });",
        timeout_s=0.5,
    )  # fmt: skip
    _, pid = site.get(version)
    assert site.get(version, target="/?x=1") == (504, "upstream request timeout")
    assert site.get(version) == (200, pid)


def test_an_init_that_throws_is_a_503_with_its_trace_in_the_log(site):
    version = deploy(site, "throw new Error('no luck');")
    assert site.get(version) == (503, "Service Unavailable")
    assert any("no luck" in text for text in site.texts())
    assert any(text.startswith("Default STARTUP TCP probe failed") for text in site.texts())
    with pytest.raises(InitFailed):
        site.run(site.engine.prepare(version, 1))


def test_a_function_finds_what_google_sets_and_nothing_of_fogbank(site):
    version = deploy(
        site,
        "functions.http('greet', (req, res) => {\n"
        "  const found = [];\n"
        "  for (const name of ['./channel.js', './web.js', 'fogbank']) {\n"
        "    try { require(name); found.push(name); } catch {}\n"
        "  }\n"
        "  res.json({ found, environment: process.env, folder: process.cwd() });\n"
        "});",
    )
    told = json.loads(site.get(version)[1])
    assert told["found"] == []
    assert told["folder"] == str(version.code)
    expected = {"NODE_ENV": "production", "FUNCTION_TARGET": "greet", "K_SERVICE": "greet", "PORT": "8080"}
    assert {name: told["environment"].get(name) for name in expected} == expected
    assert [name for name in told["environment"] if name.startswith(("AWS_", "FOGBANK", "LAMBDA"))] == []
