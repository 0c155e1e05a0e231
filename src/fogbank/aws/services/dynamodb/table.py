"""A table's record: all that DynamoDB remembers of it beside its items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Throughput:
    read_units: int = 0
    write_units: int = 0
    increased_ms: int = 0
    decreased_ms: int = 0
    decreases_today: int = 0


@dataclass(frozen=True, slots=True)
class IndexRecord:
    id: str  # A new one each time the name is used again, so an old index's entries stay gone.
    name: str
    key: list[dict[str, str]]
    projection: dict[str, Any]
    is_global: bool
    throughput: Throughput = Throughput()
    on_demand: dict[str, int] = field(default_factory=dict)
    warm: dict[str, int] = field(default_factory=dict)
    building: bool = False  # The items that were there are still being entered.


@dataclass(frozen=True, slots=True)
class Table:
    id: str  # "TableId": a new one each time the name is used again, so an old table's items stay gone.
    name: str
    arn: str
    created_ms: int
    attributes: list[dict[str, str]]
    key: list[dict[str, str]]
    indexes: list[IndexRecord]
    billing: str = "PROVISIONED"
    on_demand_since_ms: int = 0
    throughput: Throughput = Throughput()
    on_demand: dict[str, int] = field(default_factory=dict)
    warm: dict[str, int] = field(default_factory=dict)
    stream: str = ""  # The open stream's id.
    stream_label: str = ""  # Of the latest stream, which may be closed.
    view: str = ""
    ttl: str = ""
    ttl_changed_ms: int = 0
    sse: dict[str, Any] = field(default_factory=dict)
    table_class: str = ""
    table_class_ms: int = 0
    deletion_protected: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    recovery_days: int = 0  # Point-in-time recovery; 0: off.
    recovery_since_ms: int = 0
    policy: str = ""
    policy_revision: str = ""

    @property
    def stream_arn(self) -> str:
        return f"{self.arn}/stream/{self.stream_label}" if self.stream_label else ""
