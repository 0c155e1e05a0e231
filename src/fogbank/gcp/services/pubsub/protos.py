"""Protocol Buffer schemas: whether a definition is one, and whether a message is of it, in JSON or binary encoding."""

from __future__ import annotations

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from fogbank.gcp.services.pubsub import proto_text
from fogbank.gcp.services.pubsub.proto_words import NoDefinition


class NoSchema(Exception):
    """The definition is not one; the text says why."""


class Schema:
    def __init__(self, definition: str) -> None:
        """Raises `NoSchema`."""
        try:
            file = proto_text.read(definition)
            self._pool = descriptor_pool.DescriptorPool()
            self._pool.AddSerializedFile(file.SerializeToString())
            prefix = f"{file.package}." if file.package else ""
            found = self._pool.FindMessageTypeByName(prefix + file.message_type[0].name)
        except (NoDefinition, TypeError, KeyError, ValueError) as error:
            raise NoSchema(f"Could not parse schema. ({error})") from error
        self._message = message_factory.GetMessageClass(found)

    def fits_json(self, data: bytes) -> bool:
        """ "ProtoJSON Format"."""
        try:
            return bool(json_format.Parse(data, self._message()).IsInitialized())
        except (json_format.ParseError, ValueError, RecursionError):
            return False

    def fits_binary(self, data: bytes) -> bool:
        try:
            return bool(self._message.FromString(data).IsInitialized())
        except (DecodeError, ValueError):
            return False
