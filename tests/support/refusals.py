"""What a client is told that is refused."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(call: Any, **request: Any) -> tuple[str, str]:
    """Code and message of the error that the call raises."""
    with pytest.raises(ClientError) as error:
        call(**request)
    found = error.value.response["Error"]
    return found["Code"], found["Message"]
