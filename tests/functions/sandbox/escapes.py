"""Functions that try to get out, and what they got: run as a program, it prints that as JSON.

The functions refuse to try anything where they find themselves outside: what they attempt would harm the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.support.workshop import Workshop

GUARD = """
import ctypes, errno, json, os, resource, signal, socket, sys, time
if os.getuid() != 993 or os.getcwd() != "/var/task" or os.path.exists(CANARY):
    raise SystemExit("outside the sandbox: nothing is tried here")
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

def tried(what):
    try:
        return "done: %r" % (what(),)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))

def status(*names):
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return {name: lines[name].strip() for name in names}
"""

LOOKING = """
def handler(e, c):
    return {
        "rights": status("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"),
        "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()],
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "root": sorted(os.listdir("/")),
        "tmp": os.listdir("/tmp"),
        "state": tried(lambda: open(CANARY).read()),
        "victim's code": tried(lambda: os.listdir(e["victim_code"])),
        "home": tried(lambda: os.listdir(e["home"])) if e["home"] else "ENOENT",
        "the keeper's environment": tried(lambda: open("/proc/1/environ").read()),
        "the keeper's memory": tried(lambda: open("/proc/1/mem").read(1)),
        "signal the server": tried(lambda: os.kill(e["server"], 0)),
        "signal the victim": tried(lambda: os.kill(e["victim"], 0)),
        "become root": tried(lambda: os.setuid(0)),
        "mount": tried(lambda: call("mount", b"t", b"/tmp", b"tmpfs", 0, None)),
        "umount": tried(lambda: call("umount2", b"/tmp", 2)),
        "a user namespace": tried(lambda: call("unshare", 0x10000000)),
        "chroot": tried(lambda: os.chroot("/tmp")),
        "ptrace": tried(lambda: call("ptrace", 16, 1, 0, 0)),
        "keys": tried(lambda: call("syscall", 250 if os.uname().machine == "x86_64" else 219, 0, -3, 0)),
        "join a namespace": tried(lambda: call("setns", os.open("/proc/self/ns/mnt", os.O_RDONLY), 0)),
        "a device": tried(lambda: os.mknod("/tmp/d", 0o20666, os.makedev(1, 1))),
        "write its code": tried(lambda: open("/var/task/x", "w")),
        "write the system": tried(lambda: open("/usr/x", "w")),
        "a raw socket": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
        "the clock": tried(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[-1] < 16,
    }
"""

FILLING = """
def fill():
    with open("/tmp/x", "wb", 0) as file:
        for _ in range(64):
            file.write(bytes(1 << 20))

def descriptors():
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        handler.descriptors = len(held)
        [os.close(fd) for fd in held]

FORKS = \"\"\"
import os, signal
pids = []
try:
    while len(pids) < 2000:
        pid = os.fork()
        if not pid:
            signal.pause()
        pids.append(pid)
except OSError as error:
    print(len(pids), error.errno)
for pid in pids:
    os.kill(pid, 9)
\"\"\"

def handler(e, c):
    import subprocess
    found = {"disk": tried(fill), "descriptors": tried(descriptors)}
    os.unlink("/tmp/x")
    forks = subprocess.run([sys.executable, "-S", "-c", FORKS], capture_output=True, text=True).stdout
    return {**found, "most descriptors": handler.descriptors, "forks": [int(word) for word in forks.split()]}
"""

KILLING = """
def handler(e, c):
    os.kill(-1, signal.SIGKILL)
    time.sleep(0.2)
    return "alive"
"""

BOMB = """
def handler(e, c):
    import subprocess
    code = "x = bytearray(900 << 20)\\nimport time; time.sleep(2)"
    return subprocess.run([sys.executable, "-c", code]).returncode
"""

VICTIM = """
import os
def handler(e, c):
    with open("/tmp/secret", "a") as file:
        file.write("x")
    return [os.environ["SECRET"], os.path.getsize("/tmp/secret")]
"""

NODE = """exports.handler = async (e) => {
  const fs = require('fs');
  const tried = (what) => { try { return `done: ${what()}`; } catch (error) { return error.code; } };
  return { ids: [process.getuid(), process.cwd()], root: fs.readdirSync('/').sort(), tmp: fs.readdirSync('/tmp'),
           processes: fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map(Number).sort((a, b) => a - b),
           rights: /CapEff:.*/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[0].split(/\\s+/)[1],
           state: tried(() => fs.readFileSync(e.canary)), server: tried(() => process.kill(e.server, 0)),
           code: tried(() => fs.writeFileSync('/var/task/x', '')) };
};"""

RANDOM = "\nimport uuid; uuid.uuid4()\n"  # No template is made of such an initialisation.


def escape(folder: Path, cache_dir: Path) -> dict[str, object]:
    canary = folder / "state.db"
    canary.write_text("what only the server may read")
    guard = f"CANARY = {str(canary)!r}\n{GUARD}"
    workshop = Workshop(folder, cache_dir, sandbox="require")
    try:
        victim = workshop.function(VICTIM, environment={"SECRET": "s3cret"})
        first = workshop.answer(victim)
        pid = workshop.engine.status()[0]["pid"]
        event = {"server": os.getpid(), "victim": pid, "victim_code": str(victim.code), "home": os.environ.get("HOME")}
        found: dict[str, object] = {"victim": first}
        for name, source in (("fork", guard + LOOKING), ("zygote", guard + RANDOM + LOOKING)):
            version = workshop.function(source)
            workshop.answer(version, event)
            workshop.run(asyncio.sleep(0.2))  # A cell that was made for a fork, and is not needed, has gone.
            found[name] = workshop.answer(version, event)
        found["limits"] = workshop.answer(workshop.function(guard + FILLING, ephemeral_mb=16, memory_mb=3008))
        siblings = workshop.function(guard + "def handler(e, c):\n    return 1")
        killer = workshop.function(guard + KILLING)
        killed = workshop.invoke(killer)
        found["kill all"] = [killed.error, json.loads(killed.payload)]
        bombed = workshop.invoke(workshop.function(guard + BOMB, memory_mb=128, ephemeral_mb=16))
        found["bomb"] = [bombed.error, json.loads(bombed.payload)]
        node = workshop.function(NODE, runtime="nodejs20.x")
        found["node"] = workshop.answer(node, {"canary": str(canary), "server": os.getpid()})
        found["siblings"] = workshop.run(_together(workshop, siblings))
        found["victim again"] = workshop.answer(victim)
        found |= {"server's id": os.getuid(), "protections": workshop.engine.protections()}
    finally:
        workshop.close()
    return found


async def _together(workshop: Workshop, version) -> list[object]:
    await workshop.engine.prepare(version, 3)
    outcomes = await asyncio.gather(*(workshop.ask(version) for _ in range(3)))
    return [json.loads(outcome.payload) for outcome in outcomes]


if __name__ == "__main__":
    print(json.dumps(escape(Path(sys.argv[1]), Path(sys.argv[2]))))
