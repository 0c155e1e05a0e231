"""google.cloud.functions.v1.CloudFunctionsService: functions of the 1st generation; it knows of no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.gcp.protocol import policies
from fogbank.gcp.service import Call, Code, RpcError, Service
from fogbank.gcp.services.functions import beginning, calls, listing, names, settings_first, shapes, sources, state
from fogbank.gcp.services.functions.delivering import Undeliverable, deliver
from fogbank.gcp.services.functions.state import FIRST

if TYPE_CHECKING:
    from fogbank.gcp.services.functions.state import Function
    from fogbank.kernel.store import Tx

_PAGE_MAX = 1000
_SOURCES = ("source_upload_url", "source_archive_url", "source_repository")


class FirstFunctions(Service):
    service = "google.cloud.functions.v1.CloudFunctionsService"

    async def create_function(self, call: Call, request: Any) -> Any:
        project, location = names.read_parent(request.location)
        if not request.function.name.startswith(f"projects/{project}/locations/{location}/functions/"):
            raise RpcError(Code.INVALID_ARGUMENT, "The name of the function does not match the location.")
        at = names.read_new(request.function.name)
        return await beginning.create(self.house, call, settings_first.new(at, request.function), 1)

    async def update_function(self, call: Call, request: Any) -> Any:
        function = await self.house.store.transact(_find, request.function.name)
        beginning.refuse_busy(function)
        old, paths = function.first, list(request.update_mask.paths)
        wanted = settings_first.changed(old, function.at, request.function, paths)
        rebuilds = settings_first.rebuilds(old, wanted) or function.serving is None
        anew = any(getattr(wanted, field) != getattr(old, field) or field in paths for field in _SOURCES)
        return await beginning.update(self.house, call, function, wanted, rebuilds=rebuilds, from_source=anew)

    def delete_function(self, tx: Tx, call: Call, request: Any) -> Any:
        return beginning.delete(tx, call, _find(tx, request.name))

    def get_function(self, tx: Tx, call: Call, request: Any) -> Any:
        return shapes.first(_find(tx, request.name), self.house.endpoint())

    def list_functions(self, tx: Tx, call: Call, request: Any) -> Any:
        project, location = names.read_parent(request.parent)
        found, token = listing.page(
            tx, project, location, size=request.page_size, token=request.page_token, largest=_PAGE_MAX,
            accepts=lambda function: function.generation == 1,
        )  # fmt: skip
        shown = [shapes.first(function, self.house.endpoint()) for function in found]
        return FIRST.ListFunctionsResponse(functions=shown, next_page_token=token)

    async def call_function(self, call: Call, request: Any) -> Any:
        """ "Synchronously invokes a deployed Cloud Function. To be used for testing purposes." """
        function = await self.house.store.transact(_find, request.name)
        execution = calls.execution_id(call.new_id())
        asked = calls.request(function, request.data, execution, call.now_ms)
        try:
            answer = await deliver(self.house, function.name, asked)
        except Undeliverable as error:
            raise RpcError(Code.FAILED_PRECONDITION, str(error)) from error
        body = (await answer.whole()).decode(errors="replace")
        told = FIRST.CallFunctionResponse(execution_id=execution)
        if 200 <= answer.status < 400:
            told.result = body
        else:
            told.error = body or f"Error: function crashed. Details:\nHTTP status {answer.status}"
        return told

    def generate_upload_url(self, tx: Tx, call: Call, request: Any) -> Any:
        project, location = names.read_parent(request.parent)
        names.check_region(location)
        bucket, name = sources.upload_to(tx, call, project, location, 1)
        return FIRST.GenerateUploadUrlResponse(upload_url=f"{self.house.endpoint()}/{bucket}/{name}")

    def generate_download_url(self, tx: Tx, call: Call, request: Any) -> Any:
        path = sources.download_from(tx, call, _find(tx, request.name))
        return FIRST.GenerateDownloadUrlResponse(download_url=f"{self.house.endpoint()}{path}")

    get_iam_policy = policies.get_iam_policy
    set_iam_policy = policies.set_iam_policy
    test_iam_permissions = policies.test_iam_permissions


def _find(tx: Tx, name: str) -> Function:
    function = state.get(tx, name)
    if function is None or function.generation != 1:
        raise state.missing_first(name)
    return function
