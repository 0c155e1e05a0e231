"""What Lambda remembers: functions, published versions, aliases, policies, concurrency. Functions of a transaction."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from fogbank.aws.service import Call, ServiceError
from fogbank.kernel.store.records import Records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.kernel.store import Tx

LATEST = "$LATEST"
NOT_READY = "ResourceConflictException"
# FunctionName: name, partial ARN (123456789012:function:name) or ARN, each with or without a qualifier.
_NAME = re.compile(
    r"(?:(?:arn:aws:lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9-_]{1,140})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?"
)


@dataclass(frozen=True, slots=True)
class Code:
    digest: str  # SHA-256 of the zip in hex: names the blob and the unpacked folder.
    sha256: str  # The same in base64: CodeSha256.
    size: int  # Of the zip.


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether it can be invoked: State, StateReasonCode and StateReason."""

    state: str
    code: str = ""
    reason: str = ""


PENDING, FAILED = "Pending", "Failed"
ACTIVE = Condition("Active")
CREATING = Condition(PENDING, "Creating", "The function is being created.")
INIT_FAILED = Condition(FAILED, "FunctionError", "An error occurred during function initialization.")


@dataclass(frozen=True, slots=True)
class Published:
    """$LATEST or a version: settings and code together, as an instance needs them."""

    version: str
    settings: dict[str, Any]  # Members of FunctionConfiguration that the caller chose.
    code: Code
    revision: str  # New with every change.
    modified_ms: int
    description: str = ""
    condition: Condition = ACTIVE


@dataclass(frozen=True, slots=True)
class Function:
    id: str  # A new one each time the name is used again.
    account: str
    region: str
    name: str
    latest: Published
    last_version: int = 0
    reserved: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    may_loop: bool = False  # PutFunctionRecursionConfig: "Allow".

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"


@dataclass(frozen=True, slots=True)
class Alias:
    name: str
    version: str
    description: str
    revision: str
    weights: dict[str, float] = field(default_factory=dict)  # Of other versions; the rest goes to `version`.


@dataclass(frozen=True, slots=True)
class Url:
    id: str
    account: str
    region: str
    function: str  # Name of the function.
    qualifier: str
    auth: str
    created_ms: int
    modified_ms: int
    cors: dict[str, Any] = field(default_factory=dict)
    mode: str = "BUFFERED"  # Or RESPONSE_STREAM.


@dataclass(frozen=True, slots=True)
class Provisioned:
    """How many instances are to be initialised for a version or an alias."""

    count: int
    status: str  # "IN_PROGRESS", "READY" or "FAILED".
    modified_ms: int
    reason: str = ""
    turn: int = 0  # Grows with each change of what is to be there.


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may call a function (or one version or alias of it)."""

    revision: str
    statements: list[dict[str, Any]] = field(default_factory=list)


CHANGED = "lambda.functions"  # One was made, or is not what it was.
FUNCTIONS = Records(Function, "lambda", "function")  # (account, region, name)
VERSIONS = Records(Published, "lambda", "version")  # (function id, number)
ALIASES = Records(Alias, "lambda", "alias")  # (function id, name)
URLS = Records(Url, "lambda", "url")  # (id,)
URL_IDS = Records(str, "lambda", "url-of")  # (function id, qualifier or ""): the function's URL there
PROVISIONED = Records(Provisioned, "lambda", "provisioned")  # (function id, qualifier)
RESERVED = Records(int, "lambda", "reserved")  # (account, region): the sum for all functions there
POLICIES = Records(Policy, "lambda", "policy")  # (function id, qualifier or "")


class Named(msgspec.Struct, frozen=True, gc=False):
    """A function as a request names it."""

    account: str
    region: str
    name: str
    qualifier: str = ""

    @property
    def arn(self) -> str:
        end = f":{self.qualifier}" if self.qualifier else ""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}{end}"

    def at(self, qualifier: str) -> Named:
        """Another version or alias of the same function."""
        return Named(self.account, self.region, self.name, qualifier)


def named(call: Call, text: str, qualifier: str | None = None) -> Named:
    """From FunctionName and Qualifier; the two must not contradict each other."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise ServiceError(
            "ValidationException",
            f"1 validation error detected: Value '{text}' at 'functionName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?"
            "(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
        )
    inside = found["qualifier"] or ""
    if qualifier and inside and qualifier != inside:
        raise ServiceError(
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
    account, region = found["account"] or call.account, found["region"] or call.region
    return Named(account, region, found["name"], qualifier or inside)


@lru_cache(1024)
def by_arn(function_arn: str) -> Named:
    """From a whole ARN, with a qualifier or without."""
    _, _, _, region, account, _, name, *qualifier = function_arn.split(":")
    return Named(account, region, name, *qualifier)


def find(tx: Tx, who: Named) -> Function:
    """For whoever changes it, or only reads."""
    found = FUNCTIONS.get_shared(tx, who.account, who.region, who.name)
    if found is None:
        raise missing(who)
    return found


def missing(who: Named) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"Function not found: {who.arn}", fields={"Type": "User"})


def put(tx: Tx, function: Function) -> None:
    FUNCTIONS.put(tx, function.account, function.region, function.name, row=function)
    tx.emit(CHANGED)


def published(tx: Tx, function: Function, who: Named) -> Published:
    """The version that a qualifier means: an alias' main version is taken, its weights are `pick`'s affair."""
    qualifier = who.qualifier
    if qualifier in ("", LATEST):
        return function.latest
    if qualifier.isdigit():
        found = VERSIONS.get_shared(tx, function.id, int(qualifier))
    else:
        alias = ALIASES.get_shared(tx, function.id, qualifier)
        if alias is None:
            raise missing(who)
        found = function.latest if alias.version == LATEST else VERSIONS.get_shared(tx, function.id, int(alias.version))
    if found is None:
        raise missing(who)
    return found


def alias(tx: Tx, function: Function, name: str) -> Alias:
    found = ALIASES.get(tx, function.id, name)
    if found is None:
        raise ServiceError(
            "ResourceNotFoundException", f"Cannot find alias arn: {function.arn}:{name}", fields={"Type": "User"}
        )
    return found


def weights(tx: Tx, function: Function, who: Named) -> dict[str, float]:
    """Of an alias: the other versions that it means, each in that part of the cases."""
    if who.qualifier in ("", LATEST) or who.qualifier.isdigit():
        return {}
    found = ALIASES.get_shared(tx, function.id, who.qualifier)
    return found.weights if found else {}


def forget(tx: Tx, function: Function) -> list[str]:
    """Drop the function with all of it; the answer is the ids of the versions that instances may run."""
    ids = [version_id(function, function.latest)]
    ids += [version_id(function, one) for one in VERSIONS.all(tx, function.id)]
    for records in (VERSIONS, ALIASES, POLICIES):
        records.clear(tx, function.id)
    FUNCTIONS.delete(tx, function.account, function.region, function.name)
    for url_id in URL_IDS.all(tx, function.id):
        URLS.delete(tx, url_id)
    URL_IDS.clear(tx, function.id)
    return ids


def snap_starts(one: Published) -> bool:
    """Whether its instances are to be restored from a snapshot ("Improving startup performance with SnapStart")."""
    return one.version != LATEST and asks_for_snapshot(one.settings)


def asks_for_snapshot(settings: Mapping[str, Any]) -> bool:
    """Whether versions that are published of it do."""
    return bool(settings["SnapStart"].get("ApplyOn") == "PublishedVersions")


def check_ready(one: Published) -> None:
    """ "Lambda function states": "Functions can only be successfully invoked while active"."""
    if one.condition is not ACTIVE and one.condition != ACTIVE:
        told = f"The operation cannot be performed at this time. The function is currently in the following state: {one.condition.state}"  # noqa: E501
        raise ServiceError(NOT_READY, told, status=409, fields={"Type": "User"})


def version_id(function: Function, one: Published) -> str:
    """What the engine knows a version by: changes with its code and its settings."""
    return f"{function.id}:{one.version}:{one.revision}"


def check_revision(given: str | None, current: str) -> None:
    if given is not None and given != current:
        raise ServiceError(
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to "
            "retrieve the latest RevisionId for your resource.",
            status=412,
        )
