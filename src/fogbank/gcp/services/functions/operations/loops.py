"""What runs behind functions as long as the server does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.gcp.service import Service
from fogbank.gcp.services.functions.deploying import Deploying
from fogbank.gcp.services.functions.serving import Serving
from fogbank.gcp.services.functions.upkeep import Upkeep
from fogbank.gcp.services.functions.versions import Versions
from fogbank.kernel.tasks import Background

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.kernel.gateway.messages import Route


class Loops(Service):
    service = "google.cloud.functions.v2.FunctionService"

    def routes(self) -> Iterable[Route]:
        return Serving(self.house).routes()

    def backgrounds(self) -> Iterable[Background]:
        return (
            Background("google functions: deploy", Deploying(self.house).run),
            Background("google functions: versions", self.house.share(Versions).run),
            Background("google functions: forget uploads", Upkeep(self.house).run),
        )
