"""How much of anything a caller may ask of the gateway."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    header_bytes: int = 64 * 1024  # All header lines of a request, with the request line.
    header_count: int = 200
    body_bytes: int = 5 * 1024**3  # The largest that any service takes: an S3 object in one request.
    in_memory_bytes: int = 1024 * 1024  # A longer body waits in a file.
    connections: int = 10_000
    header_timeout_s: float = 20.0  # From the first byte of a request to its last header.
    body_timeout_s: float = 60.0  # Between two pieces of a body.
    idle_timeout_s: float = 120.0  # Between two requests.
    stop_timeout_s: float = 5.0  # For requests under way when the gateway closes.
