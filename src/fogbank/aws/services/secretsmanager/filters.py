"""Which secrets a filter means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fogbank.aws.services.secretsmanager.state import Secret

_ANY_CASE = ("description", "all")


def matches(secret: Secret, chosen: dict[str, Any]) -> bool:
    """ListSecrets, "Filters": each value is a beginning ("!" turns it round); one of them must hold.

    Nothing is replicated or owned by another service here, so filters by those find nothing.
    """
    of_tags = {"tag-key": list(secret.tags), "tag-value": list(secret.tags.values())}
    fields = {"name": [secret.name], "description": secret.description.split(), **of_tags}
    every = [part for known in fields.values() for part in known]
    words = {**fields, "all": every, "primary-region": [], "owning-service": []}[chosen["Key"]]
    any_case = chosen["Key"] in _ANY_CASE
    for value in chosen.get("Values", []):
        turned, beginning = value.startswith("!"), value.removeprefix("!")
        if any_case:
            found = any(word.lower().startswith(beginning.lower()) for word in words)
        else:
            found = any(word.startswith(beginning) for word in words)
        if found != turned:
            return True
    return False
