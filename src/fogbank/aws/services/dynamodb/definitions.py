"""What a table may look like: checks on keys, indexes, throughput and billing of CreateTable and UpdateTable."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fogbank.aws.services.dynamodb.values import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NAME_MIN, NAME_MAX = 3, 255  # "Quotas in Amazon DynamoDB", naming rules.
_is_name = re.compile(r"[a-zA-Z0-9_.-]+").fullmatch
_INVALID: Final = "One or more parameter values were invalid: "
LOCAL_INDEXES_MAX, GLOBAL_INDEXES_MAX = 5, 20  # "Quotas in Amazon DynamoDB", secondary indexes per table.
PROJECTED_MAX: Final = 100  # The same, projected secondary index attributes per table.
GLOBAL_KEY_ATTRIBUTES_MAX: Final = 4  # Of each kind, in the key of a global index.
UNITS_MAX: Final = 1_000_000_000_000


def check_key(elements: Sequence[Mapping[str, str]], defined: Sequence[str], *, several: bool = False) -> None:
    """`several`: the key of a global index, which may have up to four attributes of each kind."""
    names = [element["AttributeName"] for element in elements]
    if any(name not in defined for name in names):
        raise refuse(
            f"{_INVALID}Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(defined)}]"
        )
    if len(set(names)) != len(names):
        raise refuse("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    kinds = [element["KeyType"] for element in elements]
    if kinds[0] != "HASH":
        raise refuse("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    most = GLOBAL_KEY_ATTRIBUTES_MAX if several else 1
    if not several and kinds[1:] not in ([], ["RANGE"]):
        if len(kinds) > 2:  # One hash and one range key.
            raise refuse(
                f"1 validation error detected: Value '{_shown(elements)}' at 'keySchema' failed to satisfy constraint: "
                "Member must have length less than or equal to 2"
            )
        raise refuse("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
    if kinds != sorted(kinds) or kinds.count("HASH") > most or kinds.count("RANGE") > most:
        raise refuse(
            f"{_INVALID}Invalid KeySchema: up to {most} HASH key attributes, then up to {most} RANGE key attributes"
        )


def _check_table_key(key: Sequence[Mapping[str, str]], defined: Sequence[str]) -> None:
    names = [element["AttributeName"] for element in key]
    undefined = any(name not in defined for name in names)
    if len(names) == 2 and (undefined or (names[0] == names[1] and len(defined) == 1)):  # Hash, range.
        raise refuse("Invalid KeySchema: Some index key attribute have no definition")
    check_key(key, defined)


def check_name(name: str, where: str) -> None:
    """Of a table or an index."""
    fault = ""
    if not _is_name(name):
        fault = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    elif len(name) < NAME_MIN:
        fault = f"Member must have length greater than or equal to {NAME_MIN}"
    elif len(name) > NAME_MAX:
        fault = f"Member must have length less than or equal to {NAME_MAX}"
    if fault:
        raise refuse(f"1 validation error detected: Value '{name}' at '{where}' failed to satisfy constraint: {fault}")


def _shown(elements: Sequence[Mapping[str, str]]) -> str:
    shown = (f"KeySchemaElement(attributeName={each['AttributeName']}, keyType={each['KeyType']})" for each in elements)
    return f"[{', '.join(shown)}]"


def check_table(request: Mapping[str, Any]) -> None:
    """All that CreateTable asks of keys and indexes together."""
    attributes, key = request.get("AttributeDefinitions"), request.get("KeySchema")
    if attributes is None or key is None:
        raise refuse("Invalid table/index name or definition: AttributeDefinitions and KeySchema are required")
    defined = [each["AttributeName"] for each in attributes]
    if len(set(defined)) != len(defined):
        raise refuse(f"{_INVALID}Duplicate AttributeName in AttributeDefinitions")
    _check_table_key(key, defined)
    local, global_ = request.get("LocalSecondaryIndexes"), request.get("GlobalSecondaryIndexes")
    for title, indexes in (("LocalSecondaryIndexes", local), ("GlobalSecondaryIndexes", global_)):
        if indexes is not None and not indexes:
            raise refuse(f"{_INVALID}List of {title} is empty")
    names: set[str] = set()
    for index in local or ():
        _check_local(index, key, defined)
        _check_name_and_projection(index, names, "localSecondaryIndexes")
    for index in global_ or ():
        check_key(index["KeySchema"], defined, several=True)
        _check_name_and_projection(index, names, "globalSecondaryIndexes")
    check_counts(len(local or ()), len(global_ or ()))
    check_projected([*(local or ()), *(global_ or ())])
    check_all_used(key, [*(local or ()), *(global_ or ())], defined)


def _check_local(index: Mapping[str, Any], table_key: Sequence[Mapping[str, str]], defined: Sequence[str]) -> None:
    if len(table_key) != 2:  # A hash and a range key.
        raise refuse(
            f"{_INVALID}Table KeySchema does not have a range key, which is required when specifying a "
            "LocalSecondaryIndex"
        )
    check_key(index["KeySchema"], defined)
    name, key = index["IndexName"], index["KeySchema"]
    if len(key) != 2:  # A hash and a range key.
        raise refuse(f"{_INVALID}Index KeySchema does not have a range key for index: {name}")
    hash_name, table_hash = key[0]["AttributeName"], table_key[0]["AttributeName"]
    if hash_name != table_hash:
        raise refuse(
            f"{_INVALID}Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. "
            f"index hash key: {hash_name}, table hash key: {table_hash}"
        )


def _check_name_and_projection(index: Mapping[str, Any], names: set[str], where: str) -> None:
    check_name(index["IndexName"], f"{where}.{len(names) + 1}.member.indexName")
    check_projection(index["Projection"])
    if index["IndexName"] in names:
        raise refuse(f"{_INVALID}Duplicate index name: {index['IndexName']}")
    names.add(index["IndexName"])


def check_projection(projection: Mapping[str, Any]) -> None:
    kind = projection.get("ProjectionType")
    if kind is None:
        raise refuse(f"{_INVALID}Unknown ProjectionType: null")
    if "NonKeyAttributes" in projection and kind != "INCLUDE":
        raise refuse(f"{_INVALID}ProjectionType is {kind}, but NonKeyAttributes is specified")
    if "NonKeyAttributes" not in projection and kind == "INCLUDE":
        raise refuse(f"{_INVALID}ProjectionType is {kind}, but NonKeyAttributes is not specified")


def check_counts(local: int, global_: int) -> None:
    if local > LOCAL_INDEXES_MAX:
        raise refuse(f"{_INVALID}Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}")
    if global_ > GLOBAL_INDEXES_MAX:
        raise refuse(f"{_INVALID}GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}")


def check_projected(indexes: Iterable[Mapping[str, Any]]) -> None:
    """Counted per index, also where two indexes project the same attribute."""
    if sum(len(index["Projection"].get("NonKeyAttributes", ())) for index in indexes) > PROJECTED_MAX:
        raise refuse(
            f"{_INVALID}Number of NonKeyAttributes across all secondary indexes exceeds the limit of {PROJECTED_MAX}"
        )


def check_all_used(
    key: Sequence[Mapping[str, str]], indexes: Iterable[Mapping[str, Any]], defined: Sequence[str]
) -> None:
    used = {element["AttributeName"] for element in key}
    alone = True
    for index in indexes:
        alone = False
        used |= {element["AttributeName"] for element in index["KeySchema"]}
    if set(defined) == used:
        return
    if alone:
        raise refuse(
            f"{_INVALID}Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions"
        )
    raise refuse(
        f"{_INVALID}Some AttributeDefinitions are not used. AttributeDefinitions: [{', '.join(defined)}], "
        f"keys used: [{', '.join(sorted(used))}]"
    )


# Throughput ----------------------------------------------------------------------------------------------------------


def check_billing(request: Mapping[str, Any]) -> str:
    """The billing mode of a table to be made, with what must or must not be told beside it."""
    mode = request.get("BillingMode", "PROVISIONED")
    given = request.get("ProvisionedThroughput")
    if mode == "PAY_PER_REQUEST":
        if given is not None:
            raise refuse(
                f"{_INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                "PAY_PER_REQUEST"
            )
    elif given is None:
        raise refuse(
            f"{_INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    else:
        check_units(given)
    for index in request.get("GlobalSecondaryIndexes", ()):
        check_index_throughput(index, mode)
    return str(mode)


def check_units(given: Mapping[str, int], index: str = "") -> None:
    where = f" for index {index}" if index else ""
    for name in ("ReadCapacityUnits", "WriteCapacityUnits"):
        if given[name] > UNITS_MAX:
            raise refuse(f"Given value {given[name]} for {name} is out of bounds{where}")


def check_index_throughput(index: Mapping[str, Any], mode: str) -> None:
    given, name = index.get("ProvisionedThroughput"), index["IndexName"]
    if mode == "PAY_PER_REQUEST":
        if given is not None:
            raise refuse(
                f"{_INVALID}ProvisionedThroughput should not be specified for index: {name} when BillingMode is "
                "PAY_PER_REQUEST"
            )
    elif given is None:
        raise refuse(f"{_INVALID}ProvisionedThroughput must be specified for index: {name}")
    else:
        check_units(given, name)
