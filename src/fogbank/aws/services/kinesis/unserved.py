"""Members of Kinesis' requests that are refused by name, or change nothing."""

from __future__ import annotations

from typing import Any

REFUSED: dict[str, dict[str, tuple[Any, ...]]] = {
    "*": {"DryRun": (False,)},
    "CreateStream": {"WarmThroughputMiBps": (), "RecordDistributionStrategy": ("USER_PARTITION_KEY",)},
    "UpdateStreamMode": {"WarmThroughputMiBps": ()},
}
# "StreamId: Not Implemented. Reserved for future use."
WITHOUT_EFFECT = {"*": {"StreamId": "it is reserved"}}
