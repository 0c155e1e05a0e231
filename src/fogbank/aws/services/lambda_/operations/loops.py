"""Whether a function may go round in a loop with itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations
from fogbank.aws.services.lambda_ import state

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx


class Loops(Operations):
    service: ClassVar = "lambda"

    def put_function_recursion_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        function = state.find(tx, state.named(call, request["FunctionName"]))
        function = replace(function, may_loop=request["RecursiveLoop"] == "Allow")
        state.put(tx, function)
        return _shown(function)

    def get_function_recursion_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _shown(state.find(tx, state.named(call, request["FunctionName"])))


def _shown(function: state.Function) -> dict[str, Any]:
    return {"RecursiveLoop": "Allow" if function.may_loop else "Terminate"}
