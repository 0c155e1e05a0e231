"""What a noun of the JSON API is: a class whose methods are named as the API's ("getIamPolicy" is `get_iam_policy`).

A plain method is one transaction, given the `Tx` and what was asked; an `async def` one waits, and opens its own. They
return the resource, a whole `Response`, or nothing, which is 204.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from fogbank.gcp.service import House
    from fogbank.gcp.services.storage.objects import Objects


class Noun:
    noun: ClassVar[str]  # "projects.hmacKeys"

    def __init__(self, house: House, objects: Objects) -> None:
        self.house, self.objects = house, objects
