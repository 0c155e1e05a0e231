"""A function as it is deployed: what its instances need to know, and nothing of how it got there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Function:
    project: str
    region: str
    name: str  # "create_item".
    runtime: str  # "python311".
    entry_point: str
    code: Path  # The unpacked source: /workspace to the function.
    layers: tuple[Path, ...] = ()  # As `functions.builds.build` has made them.
    generation: int = 2
    revision: str = "1"  # K_REVISION: of the 2nd generation a revision's name, of the 1st the version's number.
    service: str = ""  # Of Cloud Run; usually named as the function, in lower case and with "-" for "_".
    signature: str = ""  # "http", "cloudevent", "event", "typed"; none: by the trigger. The code's own word wins.
    event_type: str = ""  # Of an event trigger.
    environment: dict[str, str] = field(default_factory=dict, repr=False)  # The user's, secrets among them.
    files: dict[str, bytes] = field(default_factory=dict, repr=False)  # Secrets that are mounted, by absolute path.
    timeout_s: float = 60
    memory_mb: int = 256
    concurrency: int = 1
    service_account: str = ""
