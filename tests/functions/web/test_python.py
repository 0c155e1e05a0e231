"""Python functions of Google's, under the real functions-framework: signatures, streams, ends, snapshots."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time

import pytest

from fogbank.functions.engine import InitFailed
from fogbank.gcp.identity import metadata
from fogbank.kernel.gateway.messages import Unfinished
from tests.support.processes import alive, until_dead
from tests.support.waiting import until

pytestmark = pytest.mark.shares_files

WHO = "import os, functions_framework\n@functions_framework.http\ndef greet(request):\n    return str(os.getpid())\n"
HELD = """
import functions_framework
@functions_framework.http
def greet(request):
    if request.args.get("hold"):
        hold(request.args["hold"])
    return str(os.getpid())
"""


# -- signatures --


def test_an_http_function_sees_the_request_as_it_came(site):
    version = site.deploy(
        "import functions_framework\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    facts = [request.method, request.path, request.args.to_dict(), request.get_json()]\n"
        "    return [*facts, request.headers['X-Own']], 201, {'X-Answer': 'yes'}\n"
    )

    async def ask():
        return await site.ask(version, "PUT", "/a%20b/c?d=1&e=%C3%A9", body={"n": 1}, headers={"X-Own": "mine"})

    response = site.run(ask())
    assert response.status == 201
    assert ("X-Answer", "yes") in response.headers
    assert json.loads(response.body) == ["PUT", "/a b/c", {"d": "1", "e": "é"}, {"n": 1}, "mine"]


def test_a_cloud_event_function_gets_a_binary_cloud_event(site):
    version = site.deploy(
        "import functions_framework\n"
        "@functions_framework.cloud_event\n"
        "def greet(event):\n"
        "    print(f\"{event['id']} {event['type']} {event['subject']} {event.data}\")\n"
    )
    headers = {"ce-id": "7", "ce-type": "t.v1", "ce-source": "//here", "ce-specversion": "1.0", "ce-subject": "it"}
    assert site.get(version, "POST", body={"a": 1}, headers=headers) == (200, "OK")
    assert "7 t.v1 it {'a': 1}" in site.texts()
    status, text = site.get(version, "POST", body={"a": 1})
    assert status == 400
    assert "parsing CloudEvent failed" in text


def test_a_background_function_of_the_first_generation_gets_data_and_context(site):
    version = site.deploy(
        "def greet(data, context):\n    print(data, context.event_id, context.event_type, context.resource)\n",
        generation=1, event_type="google.pubsub.topic.publish",
    )  # fmt: skip
    context = {"eventId": "9", "timestamp": "2026-01-01T00:00:00Z", "eventType": "e", "resource": "r"}
    assert site.get(version, "POST", body={"context": context, "data": {"b": 2}}) == (200, "OK")
    assert "{'b': 2} 9 e r" in site.texts()


def test_a_typed_function_gets_what_its_type_makes_of_the_json(site):
    version = site.deploy(
        "import functions_framework\n"
        "class Cart:\n"
        "    def __init__(self, count): self.count = count\n"
        "    @staticmethod\n"
        "    def from_dict(d): return Cart(d['count'])\n"
        "    def to_dict(self): return {'count': self.count}\n"
        "@functions_framework.typed(Cart)\n"
        "def greet(cart):\n"
        "    return Cart(cart.count + 1)\n",
        signature="typed",
    )  # fmt: skip
    assert site.get(version, "POST", body={"count": 4}) == (200, '{"count": 5}')


def test_an_asynchronous_function_runs_under_the_frameworks_asgi_server(site):
    version = site.deploy(
        "import asyncio, functions_framework.aio\n"
        "room = None\n"
        "@functions_framework.aio.http\n"
        "async def greet(request):\n"
        "    global room\n"
        "    room = room or asyncio.Barrier(2)\n"
        "    await room.wait()\n"
        "    return 'both'\n",
        concurrency=2,
    )  # fmt: skip

    async def both():
        responses = await asyncio.gather(site.ask(version), site.ask(version))
        return [await response.whole() for response in responses]

    assert site.run(both()) == [b"both", b"both"]


def test_an_entry_point_may_lie_in_another_file(site):
    files = {"main.py": "", "lib/other.py": WHO}
    version = site.deploy(files, environment={"GOOGLE_FUNCTION_SOURCE": "lib/other.py"})
    assert site.get(version)[0] == 200


# -- what it finds there --


def test_a_function_finds_what_google_sets_and_nothing_of_fogbank(site):
    version = site.deploy(
        "import functions_framework, sys, importlib.util\n"
        "NAMES = ['web', 'hosts', 'aws_lambda', 'zygote', 'forkable', 'cells', 'kernel', 'lock', 'fogbank', 'boto3']\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    found = [n for n in NAMES if n in sys.modules or importlib.util.find_spec(n)]\n"
        "    return {'found': found, 'environment': dict(os.environ), 'argv': sys.argv, 'path': sys.path[0]}\n",
        revision="greet-00002-abc", environment={"OWN": "mine", "K_SERVICE": "theirs"},
    )  # fmt: skip
    told = json.loads(site.get(version)[1])
    assert told["found"] == []
    environment = told["environment"]
    expected = {
        "FUNCTION_TARGET": "greet", "FUNCTION_SIGNATURE_TYPE": "http", "K_SERVICE": "greet", "PORT": "8080",
        "K_REVISION": "greet-00002-abc", "K_CONFIGURATION": "greet", "LOG_EXECUTION_ID": "true", "OWN": "mine",
        "FIRESTORE_EMULATOR_HOST": "127.0.0.1:4566", "PUBSUB_EMULATOR_HOST": "127.0.0.1:4566",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:4566", "GOOGLE_CLOUD_PROJECT": "shop",
    }  # fmt: skip
    expected |= metadata.variables("127.0.0.1:4566", metadata.Holder("shop"))  # Whose account it has.
    assert {name: environment.get(name) for name in expected} == expected
    assert [name for name in environment if name.startswith(("AWS_", "FOGBANK", "_HANDLER", "LAMBDA"))] == []
    assert told["path"] == str(version.code)


def test_a_package_that_is_not_required_is_not_there_although_a_zygote_may_have_it(site):
    files = {"main.py": WHO, "requirements.txt": "functions-framework==3.*\n"}
    assert site.get(site.deploy(files))[0] == 200
    files["main.py"] = "import google.cloud.firestore\n" + WHO
    status, _ = site.get(site.deploy(files))
    assert status == 503
    assert any("ModuleNotFoundError" in text for text in site.texts())


def test_a_package_of_another_version_than_zygotes_have_is_the_functions_own(site):
    files = {"requirements.txt": "functions-framework==3.*\nitsdangerous==2.1.2\n"}
    files["main.py"] = (
        "import functions_framework, itsdangerous, importlib.metadata\n"
        "@functions_framework.http\n"
        "def greet(request):\n    return importlib.metadata.version('itsdangerous') + itsdangerous.__file__\n"
    )
    status, text = site.get(site.deploy(files))
    assert status == 200
    assert text.startswith("2.1.2") and "/builds/" in text


def test_a_file_beside_the_function_wins_over_a_package(site):
    files = {
        "main.py": "import requests\n" + WHO.replace("str(os.getpid())", "requests.MINE"),
        "requests.py": "MINE = 'mine'\n",
    }
    assert site.get(site.deploy(files)) == (200, "mine")


# -- several at once --


def test_one_instance_is_at_several_requests_at_a_time(site):
    """Each waits for the others, in one process: one at a time they would wait for ever."""
    version = site.deploy(
        "import functions_framework, threading\n"
        "together = threading.Barrier(5)\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    together.wait(30)\n"
        "    return str(os.getpid())\n",
        concurrency=5,
    )  # fmt: skip

    async def several():
        responses = await asyncio.gather(*(site.ask(version) for _ in range(5)))
        return {await response.whole() for response in responses}

    assert len(site.run(several())) == 1


def test_an_instance_of_concurrency_one_has_each_request_for_itself(site):
    version = site.deploy(HELD)

    async def several():
        asked = [asyncio.ensure_future(site.ask(version, target=f"/?hold=h{n}")) for n in range(3)]
        await asyncio.gather(*(site.is_held(f"h{n}") for n in range(3)))
        for n in range(3):
            site.release(f"h{n}")
        return {await (await one).whole() for one in asked}

    assert len(site.run(several())) == 3


def test_beyond_the_most_instances_a_request_is_refused_as_cloud_run_does(site, monkeypatch):
    monkeypatch.setattr(site.engine, "patience_s", 0.0)
    version = site.deploy(HELD, concurrency=2)

    async def crowd():
        inside = [asyncio.ensure_future(site.ask(version, target=f"/?hold=c{n}", limit=1)) for n in range(2)]
        await asyncio.gather(site.is_held("c0"), site.is_held("c1"))
        refused = await site.ask(version, limit=1)
        site.release("c0")
        site.release("c1")
        return refused, {await (await one).whole() for one in inside}, await site.ask(version, limit=1)

    refused, pids, later = site.run(crowd())
    assert (refused.status, refused.body) == (429, b"Rate exceeded.")
    assert len(pids) == 1
    assert later.status == 200
    assert any("no available instance" in text for text in site.texts())


def test_a_request_waits_outside_for_room_and_goes_in_when_there_is_some(site):
    version = site.deploy(HELD)

    async def queue():
        inside = asyncio.ensure_future(site.ask(version, target="/?hold=q", limit=1))
        await site.is_held("q")
        outside = asyncio.ensure_future(site.ask(version, limit=1))
        await until(lambda: any(pool.outside for pool in site.engine._pools.values()))
        site.release("q")
        return await (await inside).whole(), await (await outside).whole()

    first, second = site.run(queue())
    assert first == second, "there is one instance, at most"


# -- streams --


def test_a_response_comes_as_the_function_writes_it(site):
    version = site.deploy(
        "import functions_framework, flask\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    def pieces():\n"
        "        yield 'first '\n"
        "        hold('stream')\n"
        "        yield 'last'\n"
        "    return flask.Response(pieces(), mimetype='text/event-stream')\n"
    )

    async def read():
        response = await site.ask(version)
        pieces = [await anext(response.body)]
        site.release("stream")
        return [*pieces, *[piece async for piece in response.body]]

    assert site.run(read()) == [b"first ", b"last"]


def test_a_reader_that_goes_away_is_noticed_by_the_function(site):
    version = site.deploy(
        "import functions_framework, flask\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    def pieces():\n"
        "        try:\n"
        "            while True:\n"
        "                yield 'x' * 65536\n"
        "        finally:\n"
        "            open(os.path.join(FOLDER, 'closed'), 'w').close()\n"
        "    os.makedirs(FOLDER, exist_ok=True)\n"
        "    return flask.Response(pieces())\n"
    )

    async def leave():
        response = await site.ask(version)
        await anext(response.body)
        del response
        await until((site.held / "closed").exists)

    site.run(leave())


def test_a_slow_reader_of_a_large_response_holds_the_function_up_and_gets_all_of_it(site):
    version = site.deploy(
        "import functions_framework, flask\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    return flask.Response((b'%08d' % n * 8192 for n in range(100)))\n"
    )

    async def read():
        response = await site.ask(version)
        total = 0
        async for piece in response.body:
            await asyncio.sleep(0)
            total += len(piece)
        return total

    assert site.run(read()) == 100 * 8 * 8192


# -- ends --


def test_a_request_that_takes_too_long_is_a_504_and_its_instance_works_on(site):
    """ "Function timeout": the instance "continues operating until it exits on its own"."""
    version = site.deploy(HELD, timeout_s=0.5)
    assert site.get(version, target="/?hold=late") == (504, "upstream request timeout")
    assert any("maximum request timeout" in text for text in site.texts())
    [pid] = [instance.pid for instance in site.engine._pools[version.id].all]
    site.release("late")
    assert site.get(version) == (200, str(pid))


def test_a_first_generation_function_ends_with_its_time_out(site):
    """ "Function timeout (1st gen)": "generally 408", "function execution is halted"."""
    version = site.deploy(HELD, timeout_s=0.5, generation=1)
    site.get(version)
    before = {instance.pid for instance in site.engine._pools[version.id].all}
    assert site.get(version, target="/?hold=never")[0] == 408
    assert any(text.endswith("finished with status: 'timeout'") for text in site.texts())
    status, pid = site.get(version)
    assert status == 200
    assert int(pid) not in before


def test_an_instance_that_holds_too_much_memory_is_ended_and_the_log_says_so(site):
    version = site.deploy(
        "import functions_framework\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    if request.args:\n"
        "        kept = bytearray(os.urandom(1 << 20) * 400)\n"
        "        hold('never')\n"
        "    return 'small'\n",
        memory_mb=256,
    )  # fmt: skip
    assert site.get(version, target="/?big=1") == (503, "Service Unavailable")
    [text] = [text for text in site.texts() if text.startswith("Memory limit")]
    assert text.startswith("Memory limit of 256 MiB exceeded with ")
    assert site.get(version) == (200, "small")


def test_all_requests_in_an_instance_that_crashes_are_answered_and_the_next_is_served(site):
    version = site.deploy(
        HELD.replace("    return", "    if request.args.get('crash'): os._exit(3)\n    return"), concurrency=3
    )

    async def crash():
        inside = asyncio.ensure_future(site.ask(version, target="/?hold=never"))
        await site.is_held("never")
        crashed = await site.ask(version, target="/?crash=1")
        return [crashed, await inside, await site.ask(version)]

    assert [response.status for response in site.run(crash())] == [503, 503, 200]
    assert len([text for text in site.texts() if "exit(3)" in text]) == 1


def test_a_function_that_raises_answers_500_and_its_trace_is_in_the_log(site):
    version = site.deploy("import functions_framework\n@functions_framework.http\ndef greet(request):\n    1 / 0\n")

    async def fail():
        return await site.ask(version)

    response = site.run(fail())
    assert response.status == 500
    logged = [str(entry.get("textPayload") or entry.get("jsonPayload")) for entry in site.entries()]
    assert any("ZeroDivisionError" in text for text in logged)


def test_an_init_that_raises_is_a_503_with_its_trace_and_cloud_runs_word_in_the_log(site):
    version = site.deploy("raise RuntimeError('no luck')\n")
    assert site.get(version) == (503, "Service Unavailable")
    texts = site.texts()
    assert "RuntimeError: no luck" in texts
    assert any(text.startswith("Default STARTUP TCP probe failed") for text in texts)
    assert not any("inside/web.py" in text or "aws_lambda" in text for text in texts)
    with pytest.raises(InitFailed, match="no luck"):
        site.run(site.engine.prepare(version, 1))


def test_all_who_wait_for_an_init_that_fails_are_told(site):
    version = site.deploy("hold('init')\nraise RuntimeError('no luck')\n", concurrency=8)

    async def several():
        asked = [asyncio.ensure_future(site.ask(version)) for _ in range(5)]
        await site.is_held("init")
        site.release("init")
        return [(await one).status for one in asked]

    assert site.run(several()) == [503] * 5


def test_a_missing_entry_point_is_told_in_the_frameworks_words(site):
    version = site.deploy("def other(request): pass\n")
    assert site.get(version)[0] == 503
    assert any("is expected to contain a function named 'greet'" in text for text in site.texts())


def test_a_stream_that_breaks_off_is_told_to_its_reader(site):
    version = site.deploy(
        "import functions_framework, flask\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    def pieces():\n"
        "        yield 'first'\n"
        "        hold('break')\n"
        "        os._exit(1)\n"
        "    return flask.Response(pieces())\n"
    )

    async def read():
        response = await site.ask(version)
        assert await anext(response.body) == b"first"
        site.release("break")
        with pytest.raises(Unfinished):
            await anext(response.body)

    site.run(read())


def test_a_stream_that_raises_what_looks_like_a_lost_connection_is_in_the_log(site):
    """As gunicorn says it: an `OSError` is the function's own, unless the other end has gone."""
    version = site.deploy(
        "import functions_framework, flask\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    def pieces():\n"
        "        yield 'first'\n"
        "        yield open('/nowhere/at/all').read()\n"
        "    return flask.Response(pieces())\n"
    )

    async def read():
        response = await site.ask(version)
        with pytest.raises(Unfinished):
            [piece async for piece in response.body]
        await until(lambda: any("/nowhere/at/all" in text for text in site.texts()))

    site.run(read())


def test_a_header_of_two_lines_never_reaches_the_caller(site):
    version = site.deploy(
        "import functions_framework\n"
        "def application(environ, start):\n"
        "    start('200 OK', [('X-Own', 'a\\r\\nX-Evil: b')])\n"
        "    return [b'']\n"
        "class Raw:\n    pass\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    import flask\n"
        "    response = flask.Response('x')\n"
        "    response.headers._list.append(('X-Own', 'a\\r\\nX-Evil: b'))\n"
        "    return response\n"
    )

    async def ask():
        return await site.ask(version)

    response = site.run(ask())
    assert response.status in (500, 503)
    assert not any(name == "X-Evil" for name, _ in response.headers)


def test_a_request_larger_than_google_takes_is_refused(site):
    assert site.get(site.deploy(WHO), "POST", body=bytes(32 * 1024 * 1024 + 1))[0] == 413
    assert site.get(site.deploy(WHO, generation=1), "POST", body=bytes(10 * 1024 * 1024 + 1))[0] == 413


def test_a_retired_version_ends_after_the_requests_it_is_at(site):
    version = site.deploy(HELD)

    async def retire():
        inside = asyncio.ensure_future(site.ask(version, target="/?hold=r"))
        await site.is_held("r")
        await site.engine.retire(version.id)
        site.release("r")
        response = await inside
        pid = int(await response.whole())
        await until_dead(pid)
        return response.status

    assert site.run(retire()) == 200


# -- logs --


def test_what_a_function_writes_is_logged_with_its_execution_and_trace(site):
    version = site.deploy(
        "import functions_framework, json, logging, sys\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    print('plain')\n"
        "    print(json.dumps({'severity': 'NOTICE', 'message': 'structured', 'part': {'n': 1}}))\n"
        "    logging.warning('watch out')\n"
        "    return request.headers['Function-Execution-Id']\n"
    )
    trace = "0af7651916cd43dd8448eb211c80319c"
    _, execution_id = site.get(version, headers={"traceparent": f"00-{trace}-00000000000000ff-01"})
    found = {
        str(entry.get("textPayload") or entry.get("jsonPayload")): (
            entry["logName"].rpartition("%2F")[2], entry["severity"],
            entry["labels"].get("execution_id"), entry["trace"],
        )
        for entry in site.entries()
        if "httpRequest" not in entry
    }  # fmt: skip
    of_trace = f"projects/shop/traces/{trace}"
    assert found["plain"] == ("stdout", "DEFAULT", execution_id, of_trace)
    assert found["{'message': 'structured', 'part': {'n': 1}}"] == ("stdout", "NOTICE", execution_id, of_trace)
    [watch_out] = [facts for text, facts in found.items() if "watch out" in text]
    assert watch_out[0] == "stderr"
    assert watch_out[2:] == (execution_id, of_trace)
    [request] = [entry for entry in site.entries() if "httpRequest" in entry]
    assert request["httpRequest"]["status"] == 200


def test_lines_of_a_first_generation_function_stand_between_its_beginning_and_its_end(site):
    version = site.deploy(
        "import sys\ndef greet(request):\n    print('out')\n    print('wrong', file=sys.stderr)\n    return ''\n",
        generation=1,
    )
    site.get(version)
    found = {entry["textPayload"]: entry for entry in site.entries()}
    assert found["out"]["severity"] == "DEFAULT"
    assert found["wrong"]["severity"] == "ERROR"
    ids = {entry["labels"]["execution_id"] for entry in found.values()}
    assert len(ids) == 1
    assert any(text.startswith("Function execution took") for text in found)


# -- instances kept ready --


def test_minimum_instances_are_initialised_before_any_request(site):
    version = site.deploy(WHO)
    site.run(site.engine.prepare(version, 2))
    ready = {instance.pid for instance in site.engine._pools[version.id].all}
    assert len(ready) == 2
    assert int(site.get(version)[1]) in ready


# -- snapshots --


def test_a_container_has_its_minutes_to_start_when_it_is_deployed_too(site, monkeypatch):
    """Not the ten seconds of a Lambda function's initialisation."""
    monkeypatch.setattr(site.engine, "init_s", 0.0)
    version = site.deploy(f"hold('start')\n{WHO}")

    async def start():
        starting = asyncio.ensure_future(site.engine.prepare(version, 1))
        await site.is_held("start")
        await asyncio.sleep(0.5)  # Longer than whoever looks at time-outs takes to see one.
        site.release("start")
        await starting
        return await site.ask(version)

    assert site.run(start()).status == 200


def test_init_runs_once_for_many_instances_and_none_repeats_another_s_randomness(site):
    version = site.deploy(
        "import functions_framework, uuid, random\n"
        "from google.cloud import firestore\n"
        "db = firestore.Client()\n"
        "os.makedirs(FOLDER, exist_ok=True)\n"
        "open(os.path.join(FOLDER, 'inits'), 'a').write('x')\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    hold(request.args['n'])\n"
        "    return [os.getpid(), str(uuid.uuid4()), random.random(), db.collection('a').document().id]\n"
    )

    async def several():
        asked = [asyncio.ensure_future(site.ask(version, target=f"/?n=s{n}")) for n in range(3)]
        await asyncio.gather(*(site.is_held(f"s{n}") for n in range(3)))
        for n in range(3):
            site.release(f"s{n}")
        return [json.loads(await (await one).whole()) for one in asked]

    replies = site.run(several())
    assert (site.held / "inits").read_text() == "x"
    assert all(len(set(column)) == 3 for column in zip(*replies, strict=True))
    assert not any("no snapshot" in text for text in site.texts())


def test_a_cold_start_takes_a_small_part_of_what_loading_the_framework_takes(site, monkeypatch):
    version = site.deploy("from google.cloud import firestore\ndb = firestore.Client()\n" + WHO)
    site.get(version)
    monkeypatch.setattr(site.engine, "idle_s", -1.0)

    async def cold() -> float:
        site.engine.reap()
        began = time.perf_counter()
        assert (await site.ask(version)).status == 200
        return time.perf_counter() - began

    async def plain() -> float:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import functions_framework, google.cloud.firestore",
            env={**os.environ, "PYTHONPATH": str(version.layers[0] / "python")},
        )  # fmt: skip
        assert await process.wait() == 0
        return time.perf_counter() - began

    assert min(site.run(cold()) for _ in range(5)) < min(site.run(plain()) for _ in range(2)) / 2


def threads(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def test_an_instance_that_has_just_died_costs_no_request(site):
    """Nobody has noticed yet: its socket refuses, and another instance is asked."""
    version = site.deploy(WHO)
    _, pid = site.get(version)

    async def die_unnoticed(pid):
        [instance] = (one for one in site.engine._pools[version.id].all if one.pid == pid)
        os.kill(pid, signal.SIGKILL)
        while alive(pid) or threads(pid) > 1:  # The loop hears nothing meanwhile; the last thread closes its files.
            time.sleep(0.001)
        instance.door._idle.clear()
        response = await site.ask(version)
        assert response.status == 200
        return int(await response.whole())

    for _ in range(5):  # The later ones die right after their births.
        before = int(pid)
        pid = site.run(die_unnoticed(before))
        assert pid != before


def test_an_instance_that_is_let_go_while_it_is_connected_to_costs_no_request(site):
    version = site.deploy(WHO)
    _, pid = site.get(version)
    [instance] = site.engine._pools[version.id].all
    instance.door._idle.clear()

    async def let_go_meanwhile():
        asked = asyncio.ensure_future(site.ask(version))
        while instance in site.engine._pools[version.id].idle:
            await asyncio.sleep(0)
        assert not instance.running, "it is being connected to"
        instance.kill()
        return await asked

    response = site.run(let_go_meanwhile())
    assert response.status == 200
    assert response.body != pid.encode()


def test_a_request_that_no_instance_hears_of_is_answered_after_a_few(site):
    """Each closes its socket as soon as it is there; a thread keeps it from being a template for the next."""
    version = site.deploy(
        "import socket, threading, functions_framework\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "for fd in map(int, os.listdir('/proc/self/fd')):\n"
        "    try:\n"
        "        if socket.socket(fileno=os.dup(fd)).getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):\n"
        "            os.close(fd)\n"
        "    except OSError:\n"
        "        pass\n"
        "@functions_framework.http\n"
        "def greet(request):\n"
        "    return 'never'\n"
    )
    assert site.get(version) == (503, "Service Unavailable")
    assert any("connection to the instance had an error" in text for text in site.texts())
