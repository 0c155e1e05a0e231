"""Tags and resource policies, of streams and of their consumers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson

from fogbank.aws.service import Call, Operations, ServiceError
from fogbank.aws.services.kinesis import state, unserved

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_TAGS_MAX: Final = 50
_PAGE: Final = 50
_CHARACTERS = re.compile(r"[\w\s./=+\-@:]*")


class Tags(Operations):
    service: ClassVar = "kinesis"
    refused: ClassVar = unserved.REFUSED
    without_effect: ClassVar = unserved.WITHOUT_EFFECT

    def add_tags_to_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream = state.find(tx, call, request)
        known = state.facts(stream)
        tags = _checked(known.tags | request["Tags"], state.name_of(stream), call.account)
        state.put(tx, stream, replace(known, tags=tags))

    def remove_tags_from_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream = state.find(tx, call, request)
        known = state.facts(stream)
        left = {key: value for key, value in known.tags.items() if key not in request["TagKeys"]}
        state.put(tx, stream, replace(known, tags=left))

    def list_tags_for_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        tags = state.facts(state.find(tx, call, request)).tags
        after, limit = request.get("ExclusiveStartTagKey", ""), request.get("Limit", _PAGE)
        behind = sorted(key for key in tags if key > after)
        return {
            "Tags": [{"Key": key, "Value": tags[key]} for key in behind[:limit]],
            "HasMoreTags": len(behind) > limit,
        }

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        arn = request["ResourceARN"]
        _change(tx, call, arn, tags=_checked(_tags(tx, call, arn) | request["Tags"], arn, call.account))

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        arn = request["ResourceARN"]
        left = {key: value for key, value in _tags(tx, call, arn).items() if key not in request["TagKeys"]}
        _change(tx, call, arn, tags=left)

    def list_tags_for_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        tags = _tags(tx, call, request["ResourceARN"])
        return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}

    # -- policies: kept, as those of queues are --

    def put_resource_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        try:
            document = orjson.loads(request["Policy"])
        except orjson.JSONDecodeError as error:
            raise ServiceError("InvalidArgumentException", "The resource policy is no valid JSON.") from error
        if not isinstance(document, dict) or "Statement" not in document:
            raise ServiceError("InvalidArgumentException", "The resource policy has no statement.")
        _change(tx, call, request["ResourceARN"], policy=request["Policy"])

    def get_resource_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Policy": _of(tx, call, request["ResourceARN"]).policy or "{}"}

    def delete_resource_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        arn = request["ResourceARN"]
        if not _of(tx, call, arn).policy:
            told = f"No resource policy found for resource ARN {arn}"
            raise ServiceError("ResourceNotFoundException", told)
        _change(tx, call, arn, policy="")


def _of(tx: Tx, call: Call, arn: str) -> state.Facts | state.Consumer:
    """What has tags and a policy under that ARN."""
    if "/consumer/" in arn:
        return state.consumer_by_arn(tx, arn)[1]
    return state.facts(state.find(tx, call, {"StreamARN": arn}))


def _tags(tx: Tx, call: Call, arn: str) -> dict[str, str]:
    return _of(tx, call, arn).tags


def _change(tx: Tx, call: Call, arn: str, **changed: Any) -> None:
    if "/consumer/" in arn:
        stream, consumer = state.consumer_by_arn(tx, arn)
        state.CONSUMERS.put(tx, stream.id, consumer.name, row=replace(consumer, **changed))
    else:
        stream = state.find(tx, call, {"StreamARN": arn})
        state.put(tx, stream, replace(state.facts(stream), **changed))


def _checked(tags: dict[str, str], of: str, account: str) -> dict[str, str]:
    if not all(_CHARACTERS.fullmatch(text) for tag in tags.items() for text in tag):
        told = "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @ :."  # noqa: E501
        raise ServiceError("InvalidArgumentException", told)
    if len(tags) > _TAGS_MAX:
        told = f"Failed to add tags to stream {of} under account {account} because a given stream cannot have more than {_TAGS_MAX} tags associated with it."  # noqa: E501
        raise ServiceError("InvalidArgumentException", told)
    return tags
