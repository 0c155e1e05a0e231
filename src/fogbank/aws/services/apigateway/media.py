"""Which bodies are binary: "Content type conversions in API Gateway" (API Gateway Developer Guide)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fogbank.aws.services.apigateway.state import Api


def is_binary(api: Api, headers: dict[str, str], name: str) -> bool:
    """By the header that tells: the Content-Type of a request, the first of Accept for its response."""
    if not api.binary_types:
        return False
    kind = (headers.get(name) or "application/json").partition(",")[0].partition(";")[0].strip().lower()
    return any(fnmatchcase(kind, pattern.replace("~1", "/").lower()) for pattern in api.binary_types)
