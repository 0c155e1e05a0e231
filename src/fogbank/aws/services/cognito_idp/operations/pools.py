"""User pools themselves: made, described, changed, listed; and where each publishes its keys."""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.cognito_idp import attributes, passwords, state, tokens
from fogbank.kernel.gateway.messages import Request, Response, Route
from fogbank.kernel.store import within
from fogbank.primitives import web_tokens

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PAGE_MAX = 60
_DOCUMENT = re.compile(r"/([\w-]+_[0-9a-zA-Z]+)/\.well-known/(jwks\.json|openid-configuration)")
# Members of the request that are not settings of the pool.
_NOT_SETTINGS = {"UserPoolId", "PoolName", "Schema"}


class Pools(Operations):
    service: ClassVar = "cognito-idp"

    def routes(self) -> list[Route]:
        return [Route(self._document, path=_DOCUMENT)]

    async def create_user_pool(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        _refuse_what_is_not_served(request)
        private, public = await asyncio.to_thread(web_tokens.new_key_pair)
        return await self.house.store.transact(self._create, call, request, private, public)

    def _create(self, tx: Tx, call: Call, request: dict[str, Any], private: bytes, public: bytes) -> dict[str, Any]:
        settings = {name: value for name, value in request.items() if name not in _NOT_SETTINGS}
        settings["SchemaAttributes"] = attributes.schema(request.get("Schema", []))
        settings["Policies"] = _policies(request.get("Policies", {}))
        settings.setdefault("MfaConfiguration", "OFF")
        settings.setdefault("DeletionProtection", "INACTIVE")
        settings.setdefault("UserPoolTier", "ESSENTIALS")
        settings.setdefault("AdminCreateUserConfig", {"AllowAdminCreateUserOnly": False})
        settings.setdefault("EmailConfiguration", {"EmailSendingAccount": "COGNITO_DEFAULT"})
        settings.setdefault("VerificationMessageTemplate", {"DefaultEmailOption": "CONFIRM_WITH_CODE"})
        pool = state.Pool(
            id=f"{call.region}_{self.house.ids.token(9, _ID_LETTERS)}", account=call.account, region=call.region,
            name=request["PoolName"], settings=settings, key_id=f"{self.house.ids.token(43, _ID_LETTERS)}=",
            private_key=private, public_key=public, seal_key=secrets.token_bytes(32),
            created_ms=call.now_ms, modified_ms=call.now_ms,
        )  # fmt: skip
        state.POOLS.put(tx, pool.id, row=pool)
        return {"UserPool": _described(tx, pool)}

    def describe_user_pool(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"UserPool": _described(tx, state.pool(tx, call, request["UserPoolId"]))}

    def update_user_pool(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        """UpdateUserPool: what the request leaves out goes back to its default; what is fixed at creation stays."""
        _refuse_what_is_not_served(request)
        pool = state.pool(tx, call, request["UserPoolId"])
        fixed = ("SchemaAttributes", "UsernameAttributes", "AliasAttributes", "UsernameConfiguration")
        kept = {name: pool.settings[name] for name in fixed if name in pool.settings}
        given = {name: value for name, value in request.items() if name not in _NOT_SETTINGS}
        defaults = {"MfaConfiguration": "OFF", "DeletionProtection": pool.settings["DeletionProtection"]}
        settings = {**defaults, **given, **kept, "Policies": _policies(request.get("Policies", {}))}
        settings.setdefault("AdminCreateUserConfig", {"AllowAdminCreateUserOnly": False})
        state.POOLS.put(tx, pool.id, row=replace(pool, settings=settings, modified_ms=call.now_ms,
                                                 name=request.get("PoolName", pool.name)))  # fmt: skip

    def delete_user_pool(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        pool = state.pool(tx, call, request["UserPoolId"])
        if pool.settings.get("DeletionProtection") == "ACTIVE":
            raise ServiceError(
                "InvalidParameterException",
                "The user pool cannot be deleted because deletion protection is activated. "
                "Deletion protection must be inactivated first.",
            )
        for client_id in state.POOL_CLIENTS.all(tx, pool.id):
            state.CLIENTS.delete(tx, client_id)
        for records in (state.POOL_CLIENTS, state.USERS, state.ALIASES, state.GROUPS, state.MEMBERS, state.MEMBERSHIPS):
            records.clear(tx, pool.id)
        state.POOLS.delete(tx, pool.id)

    def list_user_pools(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        after, limit = request.get("NextToken", ""), min(request["MaxResults"], _PAGE_MAX)
        own = [p for p in state.POOLS.all(tx) if (p.account, p.region) == (call.account, call.region) and p.id > after]
        page = own[:limit]
        rows = [
            {
                "Id": pool.id,
                "Name": pool.name,
                "LambdaConfig": {},
                "LastModifiedDate": pool.modified_ms / 1000,
                "CreationDate": pool.created_ms / 1000,
            }
            for pool in page
        ]
        return {"UserPools": rows, **({"NextToken": page[-1].id} if len(own) > limit else {})}

    def add_custom_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        added = attributes.schema(request["CustomAttributes"])[len(attributes.STANDARD) :]
        known = {attribute["Name"] for attribute in pool.settings["SchemaAttributes"]}
        for attribute in added:
            if attribute["Name"] in known:
                told = f"{attribute['Name']}: Existing attribute already has name."
                raise ServiceError("InvalidParameterException", told)
        settings = pool.settings | {"SchemaAttributes": [*pool.settings["SchemaAttributes"], *added]}
        state.POOLS.put(tx, pool.id, row=replace(pool, settings=settings, modified_ms=call.now_ms))
        return {}

    def get_user_pool_mfa_config(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"MfaConfiguration": state.pool(tx, call, request["UserPoolId"]).settings["MfaConfiguration"]}

    def list_tags_for_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": self._by_arn(tx, call, request).settings.get("UserPoolTags", {})}

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self._put_tags(tx, call, request, lambda tags: tags | request["Tags"])
        return {}

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["TagKeys"])
        self._put_tags(tx, call, request, lambda tags: {k: v for k, v in tags.items() if k not in gone})
        return {}

    def _put_tags(self, tx: Tx, call: Call, request: dict[str, Any], change: Any) -> None:
        pool = self._by_arn(tx, call, request)
        settings = pool.settings | {"UserPoolTags": change(pool.settings.get("UserPoolTags", {}))}
        state.POOLS.put(tx, pool.id, row=replace(pool, settings=settings))

    def _by_arn(self, tx: Tx, call: Call, request: dict[str, Any]) -> state.Pool:
        return state.pool(tx, call, request["ResourceArn"].rpartition("/")[2])

    async def _document(self, request: Request) -> Response:
        """Public: the pool's keys, and where to find them (OpenID Connect Discovery)."""
        found = _DOCUMENT.match(request.path)
        assert found is not None
        pool = await self.house.store.transact(state.pool_anywhere, found[1])
        if pool is None:
            body = orjson.dumps({"message": f"User pool {found[1]} does not exist."})
            return Response(404, [("content-type", "application/json")], body)
        document = tokens.key_set(pool) if found[2] == "jwks.json" else _discovery(pool)
        headers = [("content-type", "application/json"), ("cache-control", "public, max-age=86400")]
        return Response(200, headers, orjson.dumps(document))


def _discovery(pool: state.Pool) -> dict[str, Any]:
    return {
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": pool.issuer,
        "jwks_uri": f"{pool.issuer}/.well-known/jwks.json",
        "response_types_supported": ["code", "token"],
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
    }


def _policies(given: dict[str, Any]) -> dict[str, Any]:
    policy = given.get("PasswordPolicy", {})
    length = policy.get("MinimumLength", passwords.DEFAULT_POLICY["MinimumLength"])
    if not 6 <= length <= 99:  # CreateUserPool, PasswordPolicyType: MinimumLength, valid range.
        raise ServiceError("InvalidParameterException", "Password minimum length must be between 6 and 99")
    # A policy that is given at all asks only for what it names; without one, all of the default's rules hold.
    unnamed = {name: False for name in passwords.DEFAULT_POLICY if name.startswith("Require")} if policy else {}
    merged = passwords.DEFAULT_POLICY | unnamed | policy
    return {**given, "PasswordPolicy": merged}


def _refuse_what_is_not_served(request: dict[str, Any]) -> None:
    """Rather an error now than a pool that silently does less than it was asked to."""
    if any(request.get("LambdaConfig", {}).values()):
        triggers = ", ".join(sorted(request["LambdaConfig"]))
        raise ServiceError("InvalidParameterException", f"Lambda triggers are not served here: {triggers}")
    if request.get("MfaConfiguration", "OFF") == "ON":
        raise ServiceError("InvalidParameterException", "Required multi-factor authentication is not served here.")


def _described(tx: Tx, pool: state.Pool) -> dict[str, Any]:
    return {
        **pool.settings,
        "Id": pool.id,
        "Name": pool.name,
        "Arn": pool.arn,
        "LambdaConfig": {},
        "CreationDate": pool.created_ms / 1000,
        "LastModifiedDate": pool.modified_ms / 1000,
        "EstimatedNumberOfUsers": tx.count(*within(*state.USERS.prefix, pool.id)),
    }
