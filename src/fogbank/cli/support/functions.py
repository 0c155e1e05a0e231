"""Finding a function by the name a person knows it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.cli.support.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.cli.support.client import Client


def find(client: Client, name: str, others: Iterable[str] = ()) -> str:
    """The real name of the function called `name`: by its own name, or by its logical id in a stack. `others` are those
    of another cloud, which it might have been."""
    names = every(client)
    if name in names:
        return name
    matches = [candidate for candidate in names if f"-{name}-" in candidate]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(matches or sorted([*names, *others])) or "none; deploy an app with `fogbank up`"
    raise Problem(f"{'several functions match' if matches else 'no function is called'} {name!r}; there are: {known}")


def every(client: Client) -> list[str]:
    names: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = client.ask("lambda", "ListFunctions", **marker)
        names += [function["FunctionName"] for function in page.get("Functions", [])]
        if not page.get("NextMarker"):
            return names
        marker = {"Marker": page["NextMarker"]}
