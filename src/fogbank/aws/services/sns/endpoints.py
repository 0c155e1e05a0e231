"""How SNS reaches the HTTP/S endpoints that people subscribe."""

from __future__ import annotations

import re

from fogbank.kernel.posting import Sender

_TIMEOUT_S = (
    15.0  # "The connection will time out in 15 seconds" ("Prepare your endpoint to process Amazon SNS messages").
)
_OURS = re.compile(r"[a-z0-9]+\.(execute-api\.[a-z0-9-]+\.amazonaws\.com|lambda-url\.[a-z0-9-]+\.on\.aws)")

SENDER = Sender("Amazon Simple Notification Service Agent", _TIMEOUT_S, _OURS)
