"""Users: signing themselves up, or made and looked after by an administrator."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.cognito_idp import accounts, attributes, passwords, sessions, state
from fogbank.aws.services.cognito_idp.operations.groups import described_user

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PAGE_MAX = 60
_DAY_MS = 86_400_000
_FILTER = re.compile(r'\s*"?([\w:.\-]+)"?\s*(\^?=)\s*"((?:[^"\\]|\\.)*)"\s*')
_FILTERED = {"username", "email", "phone_number", "name", "given_name", "family_name", "preferred_username",
             "cognito:user_status", "status", "sub"}  # fmt: skip


class Users(Operations):
    service: ClassVar = "cognito-idp"

    # -- by themselves --

    def sign_up(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client, pool = state.client_and_pool(tx, request["ClientId"])
        accounts.check_secret_hash(client, request["Username"], request.get("SecretHash"))
        if pool.settings.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly"):
            raise ServiceError("NotAuthorizedException", "SignUp is not permitted for this user pool")
        given = attributes.pairs(request.get("UserAttributes", []))
        accounts.check_writable(client, given)
        user = accounts.new_user(
            tx, call, pool, request["Username"], given, "UNCONFIRMED", exists="User already exists"
        )
        user = accounts.with_password(pool, user, request.get("Password", ""))
        details = None
        if any(name in user.attributes for name in pool.settings.get("AutoVerifiedAttributes", [])):
            user, details = accounts.send_code(self.house, pool, user, "sign-up", call.now_ms)
        state.put_user(tx, pool, user)
        answer = {"UserConfirmed": False, "UserSub": user.sub}
        return answer | ({"CodeDeliveryDetails": details} if details else {})

    def confirm_sign_up(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client, pool = state.client_and_pool(tx, request["ClientId"])
        accounts.check_secret_hash(client, request["Username"], request.get("SecretHash"))
        user = self._named(tx, client, pool, request)
        if user is None:
            raise ServiceError("ExpiredCodeException", "Invalid code provided, please request a code again.")
        if user.status != "UNCONFIRMED":
            raise ServiceError("NotAuthorizedException", f"User cannot be confirmed. Current status is {user.status}")
        checked = accounts.check_code(user, "sign-up", request["ConfirmationCode"], call.now_ms)
        forced = bool(request.get("ForceAliasCreation"))
        accounts.keep(tx, pool, accounts.confirmed(pool, checked), user, force=forced)
        return {}

    def _named(self, tx: Tx, client: state.Client, pool: state.Pool, request: dict[str, Any]) -> state.User | None:
        """None for somebody unknown, where the client is set not to tell that."""
        user = state.find_user(tx, pool, request["Username"])
        if user is None and accounts.tells_existence(client):
            raise accounts.unknown()
        return user

    def resend_confirmation_code(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client, pool = state.client_and_pool(tx, request["ClientId"])
        accounts.check_secret_hash(client, request["Username"], request.get("SecretHash"))
        user = self._named(tx, client, pool, request)
        if user is None:
            return {"CodeDeliveryDetails": accounts.simulated_delivery(pool, request["Username"])}
        if user.status != "UNCONFIRMED":
            raise ServiceError("InvalidParameterException", "User is already confirmed.")
        changed, details = accounts.send_code(self.house, pool, user, "sign-up", call.now_ms)
        state.put_user(tx, pool, changed, user)
        return {"CodeDeliveryDetails": details} if details else {}

    def get_user(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        _, user = sessions.by_access_token(tx, call, request["AccessToken"])
        return {"Username": user.username, "UserAttributes": attributes.listed(user.attributes, user.sub)}

    def update_user_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool, user, client_id = sessions.by_whose_app(tx, call, request["AccessToken"])
        given = attributes.pairs(request["UserAttributes"])
        accounts.check_writable(state.client(tx, client_id), given)
        changed = self._change(tx, call, pool, user, given)
        sent = []
        for name in pool.settings.get("AutoVerifiedAttributes", []):
            if name in given and changed.attributes.get(f"{name}_verified") != "true":
                told, details = accounts.send_code(self.house, pool, changed, name, call.now_ms)
                state.put_user(tx, pool, told, changed)
                changed = told
                sent.append(details)
        return {"CodeDeliveryDetailsList": sent}

    def get_user_attribute_verification_code(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool, user = sessions.by_access_token(tx, call, request["AccessToken"])
        name = request["AttributeName"]
        if name not in ("email", "phone_number") or not user.attributes.get(name):
            raise ServiceError("InvalidParameterException", f"User does not have a {name} to verify.")
        told, details = accounts.send_code(self.house, pool, user, name, call.now_ms)
        state.put_user(tx, pool, told, user)
        return {"CodeDeliveryDetails": details}

    def verify_user_attribute(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool, user = sessions.by_access_token(tx, call, request["AccessToken"])
        name = request["AttributeName"]
        checked = accounts.check_code(user, name, request["Code"], call.now_ms)
        verified = checked.attributes | {f"{name}_verified": "true"}
        accounts.keep(tx, pool, replace(checked, attributes=verified), user)
        return {}

    def delete_user_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool, user = sessions.by_access_token(tx, call, request["AccessToken"])
        self._drop(tx, call, pool, user, request["UserAttributeNames"])
        return {}

    def delete_user(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        pool, user = sessions.by_access_token(tx, call, request["AccessToken"])
        state.forget_user(tx, pool, user)

    def change_password(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool, user = sessions.by_access_token(tx, call, request["AccessToken"])
        if not passwords.matches(pool, user, request.get("PreviousPassword", "")):
            raise ServiceError("NotAuthorizedException", "Incorrect username or password.")
        changed = accounts.with_password(pool, user, request["ProposedPassword"])
        state.put_user(tx, pool, replace(changed, modified_ms=call.now_ms), user)
        return {}

    def forgot_password(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client, pool = state.client_and_pool(tx, request["ClientId"])
        accounts.check_secret_hash(client, request["Username"], request.get("SecretHash"))
        user = self._named(tx, client, pool, request)
        if user is None:
            return {"CodeDeliveryDetails": accounts.simulated_delivery(pool, request["Username"])}
        if user.status == "FORCE_CHANGE_PASSWORD":
            raise ServiceError("NotAuthorizedException", "User password cannot be reset in the current state.")
        verified = any(user.attributes.get(f"{name}_verified") == "true" for name in ("email", "phone_number"))
        if not verified:
            told = "Cannot reset password for the user as there is no registered/verified email or phone_number"
            raise ServiceError("InvalidParameterException", told)
        changed, details = accounts.send_code(self.house, pool, user, "password", call.now_ms)
        state.put_user(tx, pool, changed, user)
        return {"CodeDeliveryDetails": details}

    def confirm_forgot_password(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        client, pool = state.client_and_pool(tx, request["ClientId"])
        accounts.check_secret_hash(client, request["Username"], request.get("SecretHash"))
        user = self._named(tx, client, pool, request)
        if user is None:
            raise ServiceError("ExpiredCodeException", "Invalid code provided, please request a code again.")
        checked = accounts.check_code(user, "password", request["ConfirmationCode"], call.now_ms)
        changed = accounts.with_password(pool, replace(checked, status="CONFIRMED"), request["Password"])
        state.put_user(tx, pool, changed, user)
        return {}

    # -- by an administrator --

    def admin_create_user(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        if request.get("MessageAction") == "RESEND":
            user = state.user(tx, pool, request["Username"])
            if user.status != "FORCE_CHANGE_PASSWORD":
                raise ServiceError(
                    "UnsupportedUserStateException", "User is not in the state to resend the invitation."
                )
            exists = user
        else:
            exists = None
            given = attributes.pairs(request.get("UserAttributes", []))
            user = accounts.new_user(
                tx,
                call,
                pool,
                request["Username"],
                given,
                "FORCE_CHANGE_PASSWORD",
                exists="User account already exists",
            )
        password = request.get("TemporaryPassword") or passwords.random_temporary()
        passwords.check(pool, password)
        days = passwords.policy(pool)["TemporaryPasswordValidityDays"]
        made = passwords.set_on(pool, user, password, temporary_until_ms=call.now_ms + days * _DAY_MS)
        if "TemporaryPassword" not in request and request.get("MessageAction") != "SUPPRESS":
            self.house.telemetry.info("cognito temporary password", user=made.username, password=password)
        accounts.keep(tx, pool, made, exists, force=bool(request.get("ForceAliasCreation")))
        return {"User": described_user(made)}

    def admin_get_user(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        shown = described_user(state.user(tx, state.pool(tx, call, request["UserPoolId"]), request["Username"]))
        shown["UserAttributes"] = shown.pop("Attributes")
        return shown

    def admin_delete_user(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        pool = state.pool(tx, call, request["UserPoolId"])
        state.forget_user(tx, pool, state.user(tx, pool, request["Username"]))

    def admin_confirm_sign_up(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        user = state.user(tx, pool, request["Username"])
        if user.status != "UNCONFIRMED":
            raise ServiceError("NotAuthorizedException", f"User cannot be confirmed. Current status is {user.status}")
        accounts.keep(tx, pool, replace(user, status="CONFIRMED", modified_ms=call.now_ms), user)
        return {}

    def admin_set_user_password(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        user = state.user(tx, pool, request["Username"])
        passwords.check(pool, request["Password"])
        permanent = bool(request.get("Permanent"))
        days = passwords.policy(pool)["TemporaryPasswordValidityDays"]
        until_ms = 0 if permanent else call.now_ms + days * _DAY_MS
        changed = passwords.set_on(pool, user, request["Password"], temporary_until_ms=until_ms)
        status = "CONFIRMED" if permanent else "FORCE_CHANGE_PASSWORD"
        state.put_user(tx, pool, replace(changed, status=status, modified_ms=call.now_ms), user)
        return {}

    def admin_reset_user_password(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        user = state.user(tx, pool, request["Username"])
        changed, _ = accounts.send_code(self.house, pool, user, "password", call.now_ms)
        state.put_user(tx, pool, replace(changed, status="RESET_REQUIRED", modified_ms=call.now_ms), user)
        return {}

    def admin_update_user_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        given = attributes.pairs(request["UserAttributes"])
        self._change(tx, call, pool, state.user(tx, pool, request["Username"]), given)
        return {}

    def admin_delete_user_attributes(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        self._drop(tx, call, pool, state.user(tx, pool, request["Username"]), request["UserAttributeNames"])
        return {}

    def admin_enable_user(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._enable(tx, call, request, enabled=True)

    def admin_disable_user(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._enable(tx, call, request, enabled=False)

    def list_users(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        limit, after = request.get("Limit", _PAGE_MAX), request.get("PaginationToken", "")
        wanted = _filter(request.get("Filter", ""))
        matching = [user for user in state.USERS.all(tx, pool.id) if user.username > after and wanted(user)]
        page = matching[:limit]
        more = {"PaginationToken": page[-1].username} if len(matching) > limit else {}
        return {"Users": [described_user(user) for user in page], **more}

    def _change(self, tx: Tx, call: Call, pool: state.Pool, user: state.User, given: dict[str, str]) -> state.User:
        attributes.check(pool, given, user.attributes)
        merged = user.attributes | given
        for name in ("email", "phone_number"):  # A new address is not verified, unless it is said to be.
            if name in given and given[name] != user.attributes.get(name) and f"{name}_verified" not in given:
                merged.pop(f"{name}_verified", None)
        changed = replace(user, attributes=merged, modified_ms=call.now_ms)
        accounts.keep(tx, pool, changed, user)
        return changed

    def _drop(self, tx: Tx, call: Call, pool: state.Pool, user: state.User, names: list[str]) -> None:
        left = {name: value for name, value in user.attributes.items() if name not in names}
        state.put_user(tx, pool, replace(user, attributes=left, modified_ms=call.now_ms), user)

    def _enable(self, tx: Tx, call: Call, request: dict[str, Any], *, enabled: bool) -> dict[str, Any]:
        pool = state.pool(tx, call, request["UserPoolId"])
        user = state.user(tx, pool, request["Username"])
        state.put_user(tx, pool, replace(user, enabled=enabled, modified_ms=call.now_ms), user)
        return {}


def _filter(text: str) -> Any:
    """ListUsers, Filter: one attribute, `=` or `^=` (begins with), one value."""
    if not text.strip():
        return lambda _: True
    found = _FILTER.fullmatch(text)
    if found is None or found[1] not in _FILTERED:
        raise ServiceError("InvalidParameterException", "Error while parsing filter")
    name, operator, value = found[1], found[2], found[3].replace('\\"', '"')

    def matches(user: state.User) -> bool:
        special = {"username": user.username, "sub": user.sub, "cognito:user_status": user.status,
                   "status": "Enabled" if user.enabled else "Disabled"}  # fmt: skip
        held = special.get(name, user.attributes.get(name, ""))
        return held.startswith(value) if operator == "^=" else held == value

    return matches
