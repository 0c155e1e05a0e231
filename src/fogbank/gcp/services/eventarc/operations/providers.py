"""Providers: whose events there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.service import Code, RpcError, Service
from fogbank.gcp.services.eventarc import catalog, names
from fogbank.gcp.services.eventarc.state import EVENTARC

if TYPE_CHECKING:
    from fogbank.gcp.service import Call
    from fogbank.gcp.services.eventarc.catalog import EventType, Provider
    from fogbank.kernel.store import Tx


class Providers(Service):
    service = "google.cloud.eventarc.v1.Eventarc"

    def get_provider(self, tx: Tx, call: Call, request: Any) -> Any:
        parent, separator, provider_id = request.name.partition("/providers/")
        provider = catalog.PROVIDERS.get(provider_id)
        names.location(parent)
        if not separator or provider is None:
            raise RpcError(Code.NOT_FOUND, f"Resource '{request.name[:512]}' was not found")
        return _shown(parent, provider)

    def list_providers(self, tx: Tx, call: Call, request: Any) -> Any:
        """All on one page."""
        names.location(request.parent)
        if request.filter:
            raise RpcError(Code.UNIMPLEMENTED, "fogbank does not serve ListProvidersRequest.filter.")
        shown = [_shown(request.parent, provider) for provider in catalog.PROVIDERS.values()]
        return EVENTARC.ListProvidersResponse(providers=shown)


def _shown(parent: str, provider: Provider) -> Any:
    return EVENTARC.Provider(
        name=f"{parent}/providers/{provider.id}", display_name=provider.display_name,
        event_types=[_type(one) for one in provider.types],
    )  # fmt: skip


def _type(one: EventType) -> Any:
    attributes = [
        EVENTARC.FilteringAttribute(
            attribute=each.name, description=each.description, required=each.required,
            path_pattern_supported=each.patterns,
        )
        for each in one.attributes
    ]  # fmt: skip
    first = EVENTARC.FilteringAttribute(attribute="type", description="The type of the event.", required=True)
    return EVENTARC.EventType(
        type=one.type, description=one.description, filtering_attributes=[first, *attributes],
        event_schema_uri=one.schema,
    )  # fmt: skip
