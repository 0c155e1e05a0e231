"""Members of SNS' requests that are refused by name; operations that are not served answer for themselves.

There is nobody here to push to a phone or to send a text message.
"""

from __future__ import annotations

from typing import Any

REFUSED: dict[str, dict[str, tuple[Any, ...]]] = {
    "CreateTopic": {"DataProtectionPolicy": ("",)},
    "Publish": {"PhoneNumber": ()},
}
# Attributes of topics and subscriptions: archives of FIFO topics, and their replay.
ATTRIBUTES = ("ArchivePolicy", "ReplayPolicy")
# What Subscribe knows on AWS and cannot deliver to here.
PROTOCOLS = ("application", "firehose", "sms")
