"""Attributes of users: the standard ones of OpenID Connect, a pool's own, and who may write what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.aws.service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fogbank.aws.services.cognito_idp.state import Pool

# Cognito Developer Guide, "Working with user attributes", "Standard attributes".
STANDARD = (
    "sub", "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
    "website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
    "phone_number_verified", "address", "updated_at",
)  # fmt: skip
_BOOLEAN = ("email_verified", "phone_number_verified")


def schema(given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A pool's whole schema as DescribeUserPool shows it: the standard attributes, changed and added to by its own."""
    own = {str(attribute["Name"]): dict(attribute) for attribute in given}
    whole = [_standard(name) | own.pop(name, {}) for name in STANDARD]
    return whole + [_custom(name, attribute) for name, attribute in own.items()]


def _standard(name: str) -> dict[str, Any]:
    kind = "Boolean" if name in _BOOLEAN else "Number" if name == "updated_at" else "String"
    attribute: dict[str, Any] = {
        "Name": name,
        "AttributeDataType": kind,
        "DeveloperOnlyAttribute": False,
        "Mutable": name != "sub",
        "Required": name == "sub",
    }
    if kind == "String":
        attribute["StringAttributeConstraints"] = {"MinLength": "1" if name == "sub" else "0", "MaxLength": "2048"}
    if kind == "Number":
        attribute["NumberAttributeConstraints"] = {"MinValue": "0"}
    return attribute


def _custom(name: str, given: dict[str, Any]) -> dict[str, Any]:
    prefix = "dev:custom:" if given.get("DeveloperOnlyAttribute") else "custom:"
    base = {"AttributeDataType": "String", "DeveloperOnlyAttribute": False, "Mutable": True, "Required": False}
    return base | given | {"Name": name if name.startswith(prefix) else prefix + name}


def pairs(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {pair["Name"]: pair.get("Value", "") for pair in given}


def listed(attributes: Mapping[str, str], sub: str) -> list[dict[str, str]]:
    """As the wire has them, `sub` among them."""
    return [{"Name": name, "Value": value} for name, value in ({**attributes, "sub": sub}).items()]


def check(pool: Pool, given: Mapping[str, str], before: Mapping[str, str] | None = None) -> None:
    """Every name must be in the pool's schema, every value of its type and size; what a user has `before` may change
    where the schema says so."""
    known = {attribute["Name"]: attribute for attribute in pool.settings["SchemaAttributes"]}
    for name, value in given.items():
        if name not in known or name == "sub":
            raise _bad(f"{name}: Attribute does not exist in the schema.")
        if before is not None and not known[name].get("Mutable", True) and before.get(name) != value:
            raise ServiceError("InvalidParameterException", f"user.{name}: Attribute cannot be updated.")
        limits = known[name].get("StringAttributeConstraints") or {}
        if known[name]["AttributeDataType"] == "Number" and not value.lstrip("-").isdigit():
            raise _bad(f"{name}: Attribute value is not a number.")
        if len(value) > int(limits.get("MaxLength", 2048)):
            raise _bad(f"{name}: String must be no longer than {limits.get('MaxLength', 2048)} characters")
        if value and len(value) < int(limits.get("MinLength", 0)):
            raise _bad(f"{name}: String must be no shorter than {limits['MinLength']} characters")
    if "@" not in given.get("email", "@") or given.get("email") == "@":
        raise ServiceError("InvalidParameterException", "Invalid email address format.")
    phone = given.get("phone_number", "+0")
    if not (phone.startswith("+") and phone[1:].isdigit()):
        raise ServiceError("InvalidParameterException", "Invalid phone number format.")


def missing(pool: Pool, given: Mapping[str, str]) -> list[str]:
    """Required, and not there."""
    required = [a["Name"] for a in pool.settings["SchemaAttributes"] if a.get("Required") and a["Name"] != "sub"]
    return [name for name in required if not given.get(name)]


def check_required(pool: Pool, given: Mapping[str, str]) -> None:
    for name in missing(pool, given):
        raise _bad(f"{name}: The attribute {name} is required")


def _bad(reason: str) -> ServiceError:
    return ServiceError("InvalidParameterException", f"Attributes did not conform to the schema: {reason}")
