"""Requests and answers of REST as proto3 JSON: what path, query and body tell, made into one message.

The texts of errors are those that Google's front end gives.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from fogbank.gcp.protocol.descriptors import pool
from fogbank.gcp.service import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.message import Message

    from fogbank.gcp.protocol.descriptors import Binding

# "System Parameters" of Google's APIs: of the call, not of the request.
_OF_THE_CALL = re.compile(
    r"\$?(alt|fields|key|callback|prettyPrint|quotaUser|userIp|\.xgafv)|access_token|oauth_token|uploadType|upload_protocol|\$apiVersion"
)
_NO_FIELD = re.compile(r'"([^"]+)" has no field named "([^"]+)"')


def request(
    kind: type[Message], binding: Binding, variables: Mapping[str, str], query: Iterable[tuple[str, str]], body: bytes
) -> Message:
    """Raises `RpcError`."""
    told: dict[str, Any] = {}
    if binding.body:
        content = _parsed(body)
        if binding.body == "*":
            told = content
        else:
            told[binding.body] = content
    for name, text in query:
        if not _OF_THE_CALL.fullmatch(name):
            _place(told, kind.DESCRIPTOR, name, text)
    for name, text in variables.items():
        _put(told, name.split("."), text)
    for field in kind.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask":
            _plain_mask(told, field)
    try:
        return json_format.ParseDict(told, kind(), descriptor_pool=pool())
    except json_format.ParseError as error:
        raise _invalid(str(error)) from error


def _plain_mask(told: dict[str, Any], field: Any) -> None:
    """A mask's paths may be written in either way, "updateTime" or "update_time"; the library takes the first only."""
    for name in (field.name, field.json_name):
        if isinstance(told.get(name), str):
            told[name] = re.sub(r"_([a-z])", lambda found: found[1].upper(), told[name])


def answer(message: Message, *, numbers: bool = False) -> Any:
    """As JSON has it; `numbers`: enums by those."""
    return json_format.MessageToDict(message, use_integers_for_enums=numbers, descriptor_pool=pool())


def _parsed(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RpcError(Code.INVALID_ARGUMENT, f"Invalid JSON payload received. {error}") from error
    if not isinstance(content, dict):
        raise RpcError(
            Code.INVALID_ARGUMENT, 'Invalid JSON payload received. Unknown name "": Root element must be a message.'
        )
    return content


def _place(told: dict[str, Any], descriptor: Any, name: str, text: str) -> None:
    """A query parameter: "updateMask", "pageSize", "policy.version"; one that comes again adds to a list."""
    path: list[str] = []
    field, level = None, descriptor
    for part in name.split("."):
        if level is not None:
            field = level.fields_by_name.get(part) or level.fields_by_camelcase_name.get(part)
        if level is None or field is None:
            raise RpcError(
                Code.INVALID_ARGUMENT,
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
                f"Field '{name}' could not be found in request message.",
            )
        path.append(field.name)
        level = field.message_type
    assert field is not None
    _put(told, path, _typed(field, text), adds=field.is_repeated)


def _put(told: dict[str, Any], path: list[str], value: Any, *, adds: bool = False) -> None:
    for part in path[:-1]:
        told = told.setdefault(part, {})
        if not isinstance(told, dict):
            raise RpcError(Code.INVALID_ARGUMENT, f'Invalid value at "{".".join(path)}"')
    camel = re.sub(r"_([a-z])", lambda found: found[1].upper(), path[-1])
    if camel != path[-1]:
        told.pop(camel, None)  # What the path tells wins over the body.
    if adds:
        told.setdefault(path[-1], []).append(value)
    else:
        told[path[-1]] = value


def _typed(field: FieldDescriptor, text: str) -> Any:
    """JSON parsing takes numbers as text; not so these."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"true": True, "false": False}.get(text.lower(), text)
    if field.type == FieldDescriptor.TYPE_ENUM and text.lstrip("-").isdigit():
        return int(text)
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.BoolValue":
        return {"true": True, "false": False}.get(text.lower(), text)
    return text


def _invalid(text: str) -> RpcError:
    unknown = _NO_FIELD.search(text)
    if unknown:
        told = f'Invalid JSON payload received. Unknown name "{unknown[2]}": Cannot find field.'
        return RpcError(Code.INVALID_ARGUMENT, told)
    return RpcError(Code.INVALID_ARGUMENT, f"Invalid JSON payload received. {text}")
