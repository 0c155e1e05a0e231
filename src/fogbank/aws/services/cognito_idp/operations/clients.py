"""App clients: what may sign people in to a pool, by which flows, with tokens of which lifetime."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.cognito_idp import state

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PAGE_MAX = 60
_ID_LENGTH, _SECRET_LENGTH = 26, 52
_NOT_SETTINGS = {"UserPoolId", "ClientId", "ClientName", "GenerateSecret", "ClientSecret"}
# UserPoolClientType, ExplicitAuthFlows: "If you don't specify a value …, your user client supports
# ALLOW_REFRESH_TOKEN_AUTH, ALLOW_USER_SRP_AUTH, and ALLOW_CUSTOM_AUTH."
DEFAULT_FLOWS = ("ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH")
_OLD_FLOWS = {"ADMIN_NO_SRP_AUTH", "CUSTOM_AUTH_FLOW_ONLY", "USER_PASSWORD_AUTH"}


class Clients(Operations):
    service: ClassVar = "cognito-idp"

    def create_user_pool_client(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        secret = request.get("ClientSecret", "")
        if request.get("GenerateSecret") and not secret:
            secret = self.house.ids.token(_SECRET_LENGTH)
        client = state.Client(
            id=self.house.ids.token(_ID_LENGTH), pool_id=pool.id, name=request["ClientName"], secret=secret,
            settings=_settings(request), created_ms=call.now_ms, modified_ms=call.now_ms,
        )  # fmt: skip
        state.CLIENTS.put(tx, client.id, row=client)
        state.POOL_CLIENTS.put(tx, pool.id, client.id, row=client.id)
        return {"UserPoolClient": _described(client)}

    def describe_user_pool_client(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"UserPoolClient": _described(self._find(tx, call, request))}

    def update_user_pool_client(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client = self._find(tx, call, request)
        changed = replace(
            client, name=request.get("ClientName", client.name), settings=_settings(request), modified_ms=call.now_ms
        )
        state.CLIENTS.put(tx, client.id, row=changed)
        return {"UserPoolClient": _described(changed)}

    def delete_user_pool_client(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        client = self._find(tx, call, request)
        state.POOL_CLIENTS.delete(tx, client.pool_id, client.id)
        state.CLIENTS.delete(tx, client.id)

    def list_user_pool_clients(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        after, limit = request.get("NextToken", ""), request.get("MaxResults", _PAGE_MAX)
        ids = [client_id for client_id in state.POOL_CLIENTS.all(tx, pool.id) if client_id > after]
        rows = [
            {"ClientId": client_id, "UserPoolId": pool.id, "ClientName": state.client(tx, client_id).name}
            for client_id in ids[:limit]
        ]
        return {"UserPoolClients": rows, **({"NextToken": ids[limit - 1]} if len(ids) > limit else {})}

    def _find(self, tx: Tx, call: Call, request: dict[str, Any]) -> state.Client:
        pool = state.pool(tx, call, request["UserPoolId"])
        return state.client(tx, request["ClientId"], pool.id)


def allows(client: state.Client, flow: str) -> bool:
    """`flow` as InitiateAuth names it; clients may hold the old names or the new ones with ALLOW_."""
    held = client.settings["ExplicitAuthFlows"]
    if flow in ("REFRESH_TOKEN", "REFRESH_TOKEN_AUTH"):
        # The refresh flow cannot be denied by the old names: they say nothing of it.
        return "ALLOW_REFRESH_TOKEN_AUTH" in held or bool(_OLD_FLOWS & set(held))
    old = {"ADMIN_USER_PASSWORD_AUTH": "ADMIN_NO_SRP_AUTH", "USER_PASSWORD_AUTH": "USER_PASSWORD_AUTH"}
    srp_with_old = flow == "USER_SRP_AUTH" and bool(_OLD_FLOWS & set(held)) and "CUSTOM_AUTH_FLOW_ONLY" not in held
    return f"ALLOW_{flow}" in held or old.get(flow) in held or srp_with_old


def _settings(request: dict[str, Any]) -> dict[str, Any]:
    if request.get("RefreshTokenRotation", {}).get("Feature") == "ENABLED":
        raise ServiceError("InvalidParameterException", "Refresh token rotation is not served here.")
    settings = {name: value for name, value in request.items() if name not in _NOT_SETTINGS}
    flows = settings.setdefault("ExplicitAuthFlows", list(DEFAULT_FLOWS)) or list(DEFAULT_FLOWS)
    if _OLD_FLOWS & set(flows) and any(flow.startswith("ALLOW_") for flow in flows):
        raise ServiceError(
            "InvalidParameterException",
            "Cannot use both legacy and new values for ExplicitAuthFlows in the same request.",
        )
    settings["ExplicitAuthFlows"] = flows
    settings.setdefault("RefreshTokenValidity", 30)
    settings.setdefault("EnableTokenRevocation", True)
    settings.setdefault("PreventUserExistenceErrors", "LEGACY")  # The model's own word for the default.
    settings.setdefault("AllowedOAuthFlowsUserPoolClient", False)
    settings.setdefault("AuthSessionValidity", 3)
    return settings


def _described(client: state.Client) -> dict[str, Any]:
    return {
        **client.settings,
        "UserPoolId": client.pool_id,
        "ClientId": client.id,
        "ClientName": client.name,
        **({"ClientSecret": client.secret} if client.secret else {}),
        "CreationDate": client.created_ms / 1000,
        "LastModifiedDate": client.modified_ms / 1000,
    }
