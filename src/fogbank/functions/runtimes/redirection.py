"""Pointing Node programs at fogbank: SDKs that read no endpoint from the environment are told by a preloaded file."""

from __future__ import annotations

from pathlib import Path

_HOOK = Path(__file__).parent / "node" / "inside" / "redirect_hosts.js"


def node_options(current: str) -> str:
    """NODE_OPTIONS with the hook, beside what is there already."""
    wanted = f'--require "{_HOOK}"' if " " in str(_HOOK) else f"--require {_HOOK}"
    return current if str(_HOOK) in current else f"{current} {wanted}".strip()
