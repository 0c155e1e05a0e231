"""google.cloud.location.Locations, which every API with regions has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import regions
from fogbank.gcp.protocol.descriptors import Package
from fogbank.gcp.service import Call, Code, RpcError, Service

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_LOCATION = Package("google.cloud.location")


class Locations(Service):
    service = "google.cloud.location.Locations"

    def list_locations(self, tx: Tx, call: Call, request: Any) -> Any:
        project = request.name.removesuffix("/locations")
        return _LOCATION.ListLocationsResponse(locations=[_location(project, region) for region in regions.ALL])

    def get_location(self, tx: Tx, call: Call, request: Any) -> Any:
        project, _, region = request.name.rpartition("/locations/")
        if region not in regions.ALL:
            raise RpcError(Code.NOT_FOUND, f"Location {request.name[:256]} was not found.")
        return _location(project, region)


def _location(project: str, region: str) -> Any:
    labels = {"cloud.googleapis.com/region": region}
    return _LOCATION.Location(
        name=f"{project}/locations/{region}", location_id=region, labels=labels, display_name=region
    )
