"""SQS for clients that were built before it spoke JSON: the query protocol's names, which today's model has lost.

SQS API Reference, "Making Query API requests": lists and maps are flattened under names of their own, and the queue may
be named by the path that a request is sent to.
"""

from __future__ import annotations

from typing import Any

NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"
# Items of lists; where the items are structures, the name is theirs.
_ITEMS = {
    "AWSAccountIdList": "AWSAccountId", "ActionNameList": "ActionName", "AttributeNameList": "AttributeName",
    "MessageAttributeNameList": "MessageAttributeName", "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl", "TagKeyList": "TagKey", "StringList": "StringListValue",
    "BinaryList": "BinaryListValue",
}  # fmt: skip
# Codes that the service still tells in x-amzn-query-error, so that clients of that time know their errors again.
_PREFIX = "AWS.SimpleQueueService."
_PREFIXED = (
    "BatchEntryIdsNotDistinct", "BatchRequestTooLong", "EmptyBatchRequest", "InvalidBatchEntryId",
    "MessageNotInflight", "PurgeQueueInProgress", "QueueDeletedRecently", "TooManyEntriesInBatchRequest",
    "UnsupportedOperation",
)  # fmt: skip
CODES = {
    **{name: _PREFIX + name for name in _PREFIXED},
    "QueueDoesNotExist": _PREFIX + "NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
}
_MAPS = {
    "MessageBodyAttributeMap": ("MessageAttribute", "Name", "Value"),
    "MessageBodySystemAttributeMap": ("MessageSystemAttribute", "Name", "Value"),
    "MessageSystemAttributeMap": ("Attribute", "Name", "Value"),
    "QueueAttributeMap": ("Attribute", "Name", "Value"),
    "TagMap": ("Tag", "Key", "Value"),
}


def document(model: dict[str, Any]) -> dict[str, Any]:
    """The model with those names in it."""
    shapes = {name: _named(name, shape) for name, shape in model["shapes"].items()}
    return {**model, "metadata": {**model["metadata"], "xmlNamespace": NAMESPACE}, "shapes": shapes}


def _named(name: str, shape: dict[str, Any]) -> dict[str, Any]:
    if shape["type"] == "list":
        member = shape["member"]
        return {**shape, "member": {**member, "locationName": _ITEMS.get(name, member["shape"])}}
    if name in _MAPS:
        own, key, value = _MAPS[name]
        named = {"key": {**shape["key"], "locationName": key}, "value": {**shape["value"], "locationName": value}}
        return {**shape, **named, "locationName": own}
    return shape


def queue_url(host: str, path: str) -> str | None:
    """Of a request that was sent to a queue's own address: "/000000000000/orders"."""
    account, slash, name = path.strip("/").partition("/")
    return f"http://{host}/{account}/{name}" if slash and account.isdigit() and "/" not in name else None
