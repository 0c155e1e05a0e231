"""What user pools remember: pools with their keys, clients, users, groups, refresh tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fogbank.aws.service import Call, ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx


@dataclass(frozen=True, slots=True)
class Pool:
    id: str  # "us-east-1_Ab3dEf9hI"
    account: str
    region: str
    name: str
    settings: dict[str, Any]  # As CreateUserPool and UpdateUserPool gave them, defaults filled in.
    key_id: str
    private_key: bytes  # RSA, PKCS #8 DER: signs tokens.
    public_key: bytes  # SubjectPublicKeyInfo DER.
    seal_key: bytes  # 32 bytes: seals what a client carries between two steps of a sign-in.
    created_ms: int
    modified_ms: int

    @property
    def arn(self) -> str:
        return f"arn:aws:cognito-idp:{self.region}:{self.account}:userpool/{self.id}"

    @property
    def issuer(self) -> str:
        return f"https://cognito-idp.{self.region}.amazonaws.com/{self.id}"

    @property
    def short_id(self) -> str:
        """The part that SRP hashes with the user's name."""
        return self.id.partition("_")[2]

    @property
    def case_sensitive(self) -> bool:
        return bool(self.settings.get("UsernameConfiguration", {}).get("CaseSensitive", True))


@dataclass(frozen=True, slots=True)
class Client:
    id: str
    pool_id: str
    name: str
    secret: str
    settings: dict[str, Any]
    created_ms: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was "sent" to somebody; `purpose` is what it may be used for ("sign-up", "password", "email")."""

    purpose: str
    code: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class User:
    username: str
    sub: str
    attributes: dict[str, str]
    status: str  # UNCONFIRMED, CONFIRMED, FORCE_CHANGE_PASSWORD, RESET_REQUIRED
    created_ms: int
    modified_ms: int
    enabled: bool = True
    salt: bytes = b""
    verifier: bytes = b""  # SRP's; the password itself is never kept.
    temporary_until_ms: int = 0  # Of a temporary password; 0: it is not one.
    codes: list[Code] = field(default_factory=list)
    signed_out_ms: int = 0  # Of rows that were written before `signed_out` was.
    signed_out: str = ""  # Sign-ins whose origin is older are over: origins sort as they were made.

    def with_code(self, code: Code) -> list[Code]:
        return [*(kept for kept in self.codes if kept.purpose != code.purpose), code]


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    description: str
    role_arn: str
    precedence: int | None
    created_ms: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token, kept by its hash."""

    pool_id: str
    client_id: str
    username: str
    origin: str  # The `origin_jti` of all tokens that come of this sign-in.
    auth_time_s: int
    expires_ms: int


POOLS = Records(Pool, "cognito-idp", "pool")
CLIENTS = Records(Client, "cognito-idp", "client")
POOL_CLIENTS = Records(str, "cognito-idp", "pool-client")  # (pool, client id) → client id
USERS = Records(User, "cognito-idp", "user")  # (pool, username as it is compared)
ALIASES = Records(str, "cognito-idp", "alias")  # (pool, attribute, value) → username
GROUPS = Records(Group, "cognito-idp", "group")
MEMBERS = Records(str, "cognito-idp", "member")  # (pool, group, username) → username
MEMBERSHIPS = Records(str, "cognito-idp", "membership")  # (pool, username, group) → group
REFRESHES = Records(Refresh, "cognito-idp", "refresh")  # (hash,)
REVOKED = Records(int, "cognito-idp", "revoked")  # (origin,) → when


def pool(tx: Tx, call: Call, pool_id: str) -> Pool:
    found = POOLS.get(tx, pool_id)
    if found is None or (found.account, found.region) != (call.account, call.region):
        raise ServiceError("ResourceNotFoundException", f"User pool {pool_id} does not exist.")
    return found


def pool_anywhere(tx: Tx, pool_id: str) -> Pool | None:
    """For what is public of a pool: its keys."""
    return POOLS.get(tx, pool_id)


def client(tx: Tx, client_id: str, pool_id: str = "") -> Client:
    found = CLIENTS.get(tx, client_id)
    if found is None or (pool_id and found.pool_id != pool_id):
        raise ServiceError("ResourceNotFoundException", f"User pool client {client_id} does not exist.")
    return found


def client_and_pool(tx: Tx, client_id: str) -> tuple[Client, Pool]:
    """A client's own id tells its pool: SignUp and InitiateAuth are called without credentials."""
    found = client(tx, client_id)
    home = POOLS.get(tx, found.pool_id)
    if home is None:
        raise ServiceError("ResourceNotFoundException", f"User pool client {client_id} does not exist.")
    return found, home


def compared(home: Pool, name: str) -> str:
    return name if home.case_sensitive else name.lower()


def find_user(tx: Tx, home: Pool, name: str) -> User | None:
    """By user name, by `sub`, or by an alias that the pool allows."""
    found = USERS.get(tx, home.id, compared(home, name))
    if found is not None:
        return found
    for attribute in ("sub", *sign_in_attributes(home)):
        username = ALIASES.get(tx, home.id, attribute, compared(home, name))
        if username is not None:
            return USERS.get(tx, home.id, compared(home, username))
    return None


def user(tx: Tx, home: Pool, name: str) -> User:
    found = find_user(tx, home, name)
    if found is None:
        raise ServiceError("UserNotFoundException", "User does not exist.")
    return found


def put_user(tx: Tx, home: Pool, new: User, old: User | None = None) -> None:
    """Keep a user and the aliases that lead to it."""
    if old is not None:
        for attribute, value in _aliases(home, old):
            ALIASES.delete(tx, home.id, attribute, value)
    for attribute, value in _aliases(home, new):
        ALIASES.put(tx, home.id, attribute, value, row=new.username)
    USERS.put(tx, home.id, compared(home, new.username), row=new)


def forget_user(tx: Tx, home: Pool, old: User) -> None:
    for attribute, value in _aliases(home, old):
        ALIASES.delete(tx, home.id, attribute, value)
    for name in MEMBERSHIPS.all(tx, home.id, old.username):
        MEMBERS.delete(tx, home.id, name, old.username)
    MEMBERSHIPS.clear(tx, home.id, old.username)
    USERS.delete(tx, home.id, compared(home, old.username))


def sign_in_attributes(home: Pool) -> list[str]:
    return [*home.settings.get("UsernameAttributes", []), *home.settings.get("AliasAttributes", [])]


def alias_owner(tx: Tx, home: Pool, attribute: str, value: str) -> str | None:
    return ALIASES.get(tx, home.id, attribute, compared(home, value))


def taken_alias(tx: Tx, home: Pool, of: User) -> tuple[str, str] | None:
    """(attribute, whose it is) of an alias that the user would have and somebody else has."""
    for attribute, value in _aliases(home, of):
        owner = ALIASES.get(tx, home.id, attribute, value)
        if owner is not None and owner != of.username and attribute != "sub":
            return attribute, owner
    return None


def _aliases(home: Pool, of: User) -> list[tuple[str, str]]:
    """An alias of AliasAttributes counts once it is verified; one that is the user's name counts from the start."""
    aliases = [("sub", of.sub)]
    names = home.settings.get("UsernameAttributes", [])
    for attribute in sign_in_attributes(home):
        value = of.attributes.get(attribute)
        verified = of.attributes.get(f"{attribute}_verified", "false") == "true"
        if value and (attribute in names or verified or attribute == "preferred_username"):
            aliases.append((attribute, compared(home, value)))
    return aliases


def groups(tx: Tx, pool_id: str, username: str) -> list[Group]:
    """In the order of precedence, as the token names them: the lowest number first, those without one last."""
    found = [group for name in MEMBERSHIPS.all(tx, pool_id, username) if (group := GROUPS.get(tx, pool_id, name))]
    return sorted(found, key=lambda group: (group.precedence is None, group.precedence or 0, group.name))
