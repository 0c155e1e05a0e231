"""google.cloud.functions.v2.FunctionService: it makes functions of the 2nd generation, and shows those of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.functions import beginning, listing, names, runtimes, settings, shapes, sources, state
from fogbank.gcp.services.functions.state import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fogbank.gcp.services.functions.state import Function
    from fogbank.kernel.gateway.messages import Route
    from fogbank.kernel.store import Tx

_PAGE_MAX = 1000
_SOURCE = "build_config.source"


class Functions(Service):
    service = "google.cloud.functions.v2.FunctionService"

    def routes(self) -> Iterable[Route]:
        return sources.Addresses(self.house).routes()

    async def create_function(self, call: Call, request: Any) -> Any:
        names.read_parent(request.parent)
        if not request.function_id:
            raise RpcError(Code.INVALID_ARGUMENT, "The function_id must be specified.")
        at = names.read_new(f"{request.parent}/functions/{request.function_id}")
        return await beginning.create(self.house, call, settings.new(at, request.function), 2)

    async def update_function(self, call: Call, request: Any) -> Any:
        function = await self.house.store.transact(_changeable, request.function.name)
        beginning.refuse_busy(function)
        old = function.second
        wanted = settings.changed(old, function.at, request.function, request.update_mask.paths)
        rebuilds = settings.rebuilds(old, wanted) or function.serving is None
        anew = wanted.build_config.source != old.build_config.source or _named(request.update_mask.paths)
        return await beginning.update(self.house, call, function, wanted, rebuilds=rebuilds, from_source=anew)

    def delete_function(self, tx: Tx, call: Call, request: Any) -> Any:
        return beginning.delete(tx, call, state.find(tx, request.name))

    def get_function(self, tx: Tx, call: Call, request: Any) -> Any:
        function = state.find(tx, request.name)
        if request.revision and (function.serving is None or request.revision != function.serving.revision):
            raise RpcError(Code.NOT_FOUND, f"Revision {request.revision[:128]} of {function.name} was not found")
        return shapes.second(function, self.house.endpoint())

    def list_functions(self, tx: Tx, call: Call, request: Any) -> Any:
        project, location = names.read_parent(request.parent)
        if request.order_by not in ("", "name", "name asc"):
            raise RpcError(Code.UNIMPLEMENTED, "fogbank lists functions in the order of their names.")
        accepts = listing.accepting(request.filter)
        found, token = listing.page(
            tx, project, location, size=request.page_size, token=request.page_token, largest=_PAGE_MAX, accepts=accepts
        )
        shown = [shapes.second(function, self.house.endpoint()) for function in found]
        return SECOND.ListFunctionsResponse(functions=shown, next_page_token=token)

    def generate_upload_url(self, tx: Tx, call: Call, request: Any) -> Any:
        project, location = names.read_parent(request.parent)
        names.check_region(location)
        bucket, name = sources.upload_to(tx, call, project, location, 2)
        answer = SECOND.GenerateUploadUrlResponse(upload_url=f"{self.house.endpoint()}/{bucket}/{name}")
        answer.storage_source.bucket, answer.storage_source.object = bucket, name
        return answer

    def generate_download_url(self, tx: Tx, call: Call, request: Any) -> Any:
        path = sources.download_from(tx, call, state.find(tx, request.name))
        return SECOND.GenerateDownloadUrlResponse(download_url=f"{self.house.endpoint()}{path}")

    def list_runtimes(self, tx: Tx, call: Call, request: Any) -> Any:
        names.read_parent(request.parent)
        accepts = listing.accepting(request.filter)
        return SECOND.ListRuntimesResponse(runtimes=[one for one in runtimes.known(call.now_ms) if accepts(one)])


def _named(paths: Iterable[str]) -> bool:
    return any(path.replace("buildConfig", "build_config").startswith(_SOURCE) for path in paths)


def _changeable(tx: Tx, name: str) -> Function:
    function = state.find(tx, name)
    if function.generation == 1:
        told = f"Function {function.at.id} is a 1st gen function: it can be updated by the v1 API only."
        raise RpcError(Code.FAILED_PRECONDITION, told)
    return function
