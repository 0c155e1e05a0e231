"""Secrets that are mounted as files lie in a folder of the server's own, and not for longer than it runs."""

from __future__ import annotations

import asyncio

from fogbank.functions.model import Version
from fogbank.functions.sandbox.sandbox import Sandbox
from fogbank.gcp.instances import Function


def test_what_a_killed_server_has_left_is_gone_and_nobody_else_looks_in(tmp_path):
    left = tmp_path / "run/files/gcp-1/secrets/key"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"secret")
    asyncio.run(Sandbox(tmp_path / "run", "off").given())
    assert list((tmp_path / "run/files").iterdir()) == []
    assert (tmp_path / "run/files").stat().st_mode & 0o077 == 0


def test_a_version_does_not_tell_its_secrets_where_it_is_printed(tmp_path):
    told = {"environment": {"KEY": "hush"}, "files": {"/secrets/key": b"hush"}}
    function = Function("p", "r", "greet", "python311", "greet", tmp_path, **told)
    version = Version(
        "v", "greet:1", "python311", "greet", tmp_path, environment={"KEY": "hush"}, files=(("/secrets/key", b"hush"),)
    )
    assert "hush" not in f"{function!r} {version!r}"
