"""An object put and read over the skins of both clouds that have such: they share blobs, and should cost the same."""

from __future__ import annotations

import sys

import httpx

from bench import servers
from bench.measuring import in_turns, scratch, show, wrk

_CONNECTIONS, _SECONDS, _ROUNDS = 16, 3, 3
_SIZES = (1_000, 200_000)  # In the row, and in a file.
_SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
_NAMES = 100
# Over these names, so that rows are overwritten as in an app that has been there for a while.
_REQUEST = """
local body = string.rep("x", %d)
local headers = {%s}
function request() return wrk.format("%s", ("%s"):gsub("NAME", tostring(math.random(100))), headers, %s) end
"""
_S3 = f'["Authorization"] = "{_SIGNED}", ["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"'
_UPLOAD = "/upload/storage/v1/b/bench/o?uploadType=media&name=NAME&prettyPrint=false"
_DOWNLOAD = "/download/storage/v1/b/bench/o/NAME?alt=media"


def _prepare(http: httpx.Client) -> None:
    http.put("/bench", headers={"Authorization": _SIGNED}).raise_for_status()
    policy = {"softDeletePolicy": {"retentionDurationSeconds": "0"}}  # S3 keeps nothing that is overwritten, either.
    told = {"name": "bench", **policy}
    http.post("/storage/v1/b", params={"project": "p"}, json=told).raise_for_status()


def _fill(http: httpx.Client, content: bytes) -> None:
    for name in range(1, _NAMES + 1):
        http.put(f"/bench/{name}", content=content, headers={"Authorization": _SIGNED}).raise_for_status()
        asked = {"uploadType": "media", "name": str(name)}
        http.post("/upload/storage/v1/b/bench/o", params=asked, content=content).raise_for_status()


def main(seconds: int = _SECONDS, rounds: int = _ROUNDS) -> None:
    with servers.fogbank(scratch()) as one, httpx.Client(base_url=one.url, timeout=60) as http:
        _prepare(http)
        for size in _SIZES:
            _fill(http, b"x" * size)
            scripts = {
                "S3: put": _REQUEST % (size, _S3, "PUT", "/bench/NAME", "body"),
                "Cloud Storage: put": _REQUEST % (size, "", "POST", _UPLOAD, "body"),
                "S3: get": _REQUEST % (size, _S3, "GET", "/bench/NAME", "nil"),
                "Cloud Storage: get": _REQUEST % (size, "", "GET", _DOWNLOAD, "nil"),
            }
            targets = {
                name: (lambda script=script: wrk(one.url, script, connections=_CONNECTIONS, seconds=seconds))
                for name, script in scripts.items()
            }
            found = in_turns(targets, rounds)
            rows = [(name, f"{each.rate:,.0f}/s", f"p99 {each.p99_ms:.2f} ms") for name, each in found.items()]
            show(f"Objects of {size:,} bytes, {_CONNECTIONS} connections", rows)


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
