"""Names of operations as Python's methods have them: CreateDBInstance → create_db_instance, as botocore does it."""

from __future__ import annotations

import re
from functools import cache

_PARTS = re.compile(r"[A-Z]+s(?=[A-Z]|$)(?<=[A-Z]{2}s)|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+[0-9]*|[0-9]+")


@cache
def method_name(operation: str) -> str:
    return "_".join(part.lower() for part in _PARTS.findall(operation))
