"""Functions that speak at the port of another's Runtime API, and what they got: run as a program, it prints that.

They know all that can be known: the port, the id of the event under way, the identifier of the other's extension.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.functions.provided.programs import program
from tests.support.workshop import REQUEST_ID, Workshop

if TYPE_CHECKING:
    from fogbank.functions.model import Version

# In an event it waits until whoever has connected to it goes away. NOTE: where its two processes meet outside a cell.
VICTIM = """
import socket
served, door = 0, socket.create_server(("127.0.0.1", 0))
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\\0fogbank-test-%d" % door.getsockname()[1])
abstract.listen()
def handler(event):
    global served
    served += 1
    if event == "wait":
        visitor, _ = door.accept()
        visitor.sendall(b"busy")
        visitor.recv(1)
    with open(os.environ.get("NOTE", "/tmp/note")) as file:
        port = int(HOST.rpartition(":")[2])
        return {"port": port, "door": door.getsockname()[1], "identifier": file.read(), "served": served}
serve(handler)
"""
WATCH = """
_, me = register("watch", "INVOKE")
with open(os.environ.get("NOTE", "/tmp/note"), "w") as file:
    file.write(me)
while True:
    next_of(me)
"""

STRANGER = """
import errno, json, socket

def by_name(name):
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(name)
        except OSError as error:
            return errno.errorcode[error.errno]
    return "done"

def said(way, method, path, body="", **headers):
    host = "::ffff:127.0.0.1" if way == "by IPv6" else "127.0.0.1"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as line:
        line.settimeout(20)
        if way == "from 127.0.0.9":
            line.bind(("127.0.0.9", 0))
        try:
            line.connect((host, PORT))
            lines = ["%s %s HTTP/1.1" % (method, path), "Host: x", "Content-Length: %d" % len(body)]
            lines += ["%s: %s" % (name.replace("_", "-"), value) for name, value in headers.items()]
            line.sendall(("\\r\\n".join(lines) + "\\r\\n\\r\\n" + body).encode())
            if way == "and no more":
                line.shutdown(socket.SHUT_WR)
            return line.recv(65536).decode() or "closed"
        except ConnectionError:
            return "closed"
        except TimeoutError:
            return "nothing"

def attempts(event):
    global PORT
    PORT, me = event["port"], event["identifier"]
    runtime, extension = "/2018-06-01/runtime/", "/2020-01-01/extension/"
    own_door = {"protocol": "TCP", "port": event["door"]}
    wanted = {"schemaVersion": "2022-07-01", "types": ["function"], "destination": own_door}
    of_event = runtime + "invocation/" + event["request_id"]
    with socket.create_connection(("127.0.0.1", event["door"])) as door:
        door.recv(4)
        found = {"next, " + way: said(way, "GET", runtime + "invocation/next")
                 for way in ("plainly", "by IPv6", "from 127.0.0.9", "and no more")}
        found["reply"] = said("plainly", "POST", of_event + "/response", '"stolen"')
        found["error"] = said("plainly", "POST", of_event + "/error", "{}")
        found["init error"] = said("plainly", "POST", runtime + "init/error", "{}")
        found["register"] = said("plainly", "POST", extension + "register", "{}", Lambda_Extension_Name="stranger")
        found["extension's next"] = said("plainly", "GET", extension + "event/next", Lambda_Extension_Identifier=me)
        found["extension's end"] = said("plainly", "POST", extension + "exit/error", Lambda_Extension_Identifier=me,
                                        Lambda_Extension_Function_Error_Type="Extension.Stolen")
        found["telemetry"] = said("plainly", "PUT", "/2022-07-01/telemetry", json.dumps(wanted),
                                  Lambda_Extension_Identifier=me)
        found["elsewhere"] = said("plainly", "GET", "/")
    return found

def crowd(event):
    "As many connections as an environment may have, and more, which all stay open."
    lines = [socket.create_connection(("127.0.0.1", event["port"])) for _ in range(200)]
    with socket.create_connection(("127.0.0.1", event["door"])) as door:
        door.recv(4)
        for line in lines:
            line.settimeout(20)
            try:
                assert line.recv(1) == b""
            except ConnectionError:
                pass
    return len(lines)
"""
MANAGED = f"""{STRANGER}
def abstract(event):
    with socket.create_connection(("127.0.0.1", event["door"])) as door:
        door.recv(4)
        return by_name("\\0fogbank-test-%d" % event["door"])
def handler(e, c):
    return {{"crowd": crowd, "attempts": attempts, "abstract": abstract}}[e["what"]](e)
"""
CUSTOM = f"{STRANGER}\nserve(attempts)"

# Who else of an instance may speak: each asks for what its port alone refuses, and tells the error.
KIN = """
import socket, subprocess, sys, threading
_MIMIC = '''
import http.client, json, sys
line = http.client.HTTPConnection(sys.argv[1], timeout=20)
try:
    line.request("POST", "/2018-06-01/runtime/invocation/none/response", "{}")
    print(json.loads(line.getresponse().read())["errorType"], end="")
except OSError as error:
    print("closed", end="")
'''
_REQUEST = b"POST /2018-06-01/runtime/invocation/none/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\n\\r\\n"

def child():
    return subprocess.run([sys.executable, "-S", "-c", _MIMIC, HOST], capture_output=True, text=True).stdout

def child_of_a_thread():
    told = []
    thread = threading.Thread(target=lambda: told.append(child()))
    thread.start()
    thread.join()
    return told[0]

def orphan(leave_session):
    read, write = os.pipe()
    first = os.fork()
    if not first:
        if os.fork():
            os._exit(0)
        if leave_session:
            os.setsid()
        while os.getppid() == first: pass
        os.write(write, child().encode())
        os._exit(0)
    os.waitpid(first, 0)
    os.close(write)
    return os.fdopen(read).read()

def handed_on():
    "A connection that its maker has closed, and a child still holds."
    read, write = os.pipe()
    with socket.socket() as line:
        line.connect(("127.0.0.1", int(HOST.rpartition(":")[2])))
        pid = os.fork()
        if not pid:
            line.sendall(_REQUEST)
            os.write(write, b"InvalidRequestID" if b"InvalidRequestID" in line.recv(65536) else b"closed")
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    return os.fdopen(read).read()

serve(lambda event: {"child": child(), "child of a thread": child_of_a_thread(), "orphan": orphan(False),
                     "daemon": orphan(True), "connection handed on": handed_on(), "host": HOST})
"""

# Managed runtimes whose functions have an extension: what is in their own process may speak, too.
ACCOMPANIED = {
    "python3.11": """
import http.client, json, os
def handler(e, c):
    line = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"], timeout=20)
    line.request("POST", "/2020-01-01/extension/register", "{}", {"Lambda-Extension-Name": "late"})
    return json.loads(line.getresponse().read())["errorType"]
""",
    "nodejs20.x": """
exports.handler = async () => {
  const answer = await fetch(`http://${process.env.AWS_LAMBDA_RUNTIME_API}/2020-01-01/extension/register`,
                             { method: 'POST', body: '{}', headers: { 'Lambda-Extension-Name': 'late' } });
  return (await answer.json()).errorType;
};
""",
}

# One extension hears on its own port, the other has events sent to a port that is not the environment's.
EARS = """
import http.server, threading
class Batches(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        with open("/tmp/heard", "ab") as file:
            file.write(self.rfile.read(int(self.headers["Content-Length"])) + b"\\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Batches)
threading.Thread(target=server.serve_forever, daemon=True).start()
def subscribe(name, port):
    _, me = register(name, "INVOKE")
    uri = "http://sandbox.localdomain:%d/2018-06-01/runtime/init/error" % port
    wanted = {"schemaVersion": "2022-07-01", "types": ["platform"], "buffering": {"timeoutMs": 25},
              "destination": {"protocol": "HTTP", "URI": uri}}
    assert ask("PUT", "/2022-07-01/telemetry", json.dumps(wanted).encode(), Lambda_Extension_Identifier=me)[0] == 200
    while True:
        next_of(me)
subscribe("ears", server.server_address[1])
"""
MOUTH = EARS.replace('subscribe("ears", server.server_address[1])', 'subscribe("mouth", int(os.environ["ELSEWHERE"]))')
# Waits for what is behind it in the other extension's mind: the word of what was lost.
TELL = """
import time
def handler(event):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            with open("/tmp/heard") as file:
                heard = [record for line in file for record in json.loads(line)]
        except (OSError, ValueError):
            heard = []
        if any(record["type"] == "platform.logsDropped" for record in heard):
            break
        time.sleep(0.02)
    return heard
serve(handler)
"""


def custom(workshop: Workshop, source: str, extensions: dict[str, str] | None = None, **settings: Any) -> Version:
    version = workshop.function(
        {"bootstrap": program(source)}, runtime="provided.al2023", handler="any",
        layers=(_layer(workshop, extensions),) if extensions else (), timeout_ms=40_000, **settings,
    )  # fmt: skip
    (version.code / "bootstrap").chmod(0o755)
    return version


def accompanied(workshop: Workshop) -> dict[str, str]:
    layers = (_layer(workshop, {"watch": WATCH}),)
    return {
        runtime: workshop.answer(workshop.function(source, runtime=runtime, layers=layers))
        for runtime, source in ACCOMPANIED.items()
    }  # fmt: skip


def _layer(workshop: Workshop, extensions: dict[str, str]) -> Path:
    layer = workshop.folder / "layers" / str(len(list(workshop.folder.glob("layers/*"))))
    for name, source in extensions.items():
        path = layer / "extensions" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(program(source))
        path.chmod(0o755)
    return layer


def accost(workshop: Workshop, victim: Version, stranger: Version, what: str) -> tuple[Any, Any]:
    """What the stranger got, and what the victim then answered to the event that it was at meanwhile."""
    known = workshop.answer(victim) | {"request_id": REQUEST_ID, "what": what}

    async def both() -> list[Any]:
        return await asyncio.gather(workshop.ask(stranger, known), workshop.ask(victim, "wait"))

    got, answered = workshop.run(both())
    assert (got.error, answered.error) == (None, None), (got.payload, answered.payload)
    return json.loads(got.payload), json.loads(answered.payload)["served"]


def speak(folder: Path, cache_dir: Path) -> dict[str, object]:
    workshop = Workshop(folder, cache_dir, sandbox="require")
    found: dict[str, object] = {"server's id": os.getuid()}
    try:
        victim = custom(workshop, VICTIM, {"watch": WATCH})
        managed = workshop.function(MANAGED, timeout_ms=40_000)
        found["managed"] = accost(workshop, victim, managed, "attempts")
        found["custom"] = accost(workshop, victim, custom(workshop, CUSTOM), "attempts")
        found["crowd"] = accost(workshop, victim, managed, "crowd")
        found["abstract"], _ = accost(workshop, victim, managed, "abstract")
        found["victim again"] = workshop.answer(victim)["served"]
        found["kin"] = workshop.answer(custom(workshop, KIN))
        found["accompanied"] = accompanied(workshop)
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            environment = {"ELSEWHERE": str(elsewhere.getsockname()[1])}
            talker = custom(workshop, TELL, {"ears": EARS, "mouth": MOUTH}, environment=environment)
            found["heard"] = workshop.answer(talker)
            elsewhere.setblocking(False)
            found["overheard"] = _visitor(elsewhere)
        found["log"] = workshop.said.getvalue()
    finally:
        workshop.close()
    return found


def _visitor(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    print(json.dumps(speak(Path(sys.argv[1]), Path(sys.argv[2]))))
