"""Protocol Buffer definitions as text ("Protocol Buffers Language Specification"), as far as schemas have them.

A schema is one message, with others and enums nested in it; it imports nothing. What is written becomes a descriptor;
whether it makes sense (names that resolve, numbers that are free) is judged by protobuf's own pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pb2

from fogbank.gcp.services.pubsub.proto_words import Words

if TYPE_CHECKING:
    from collections.abc import Callable

_DEPTH_MAX: Final = 32
_SCALARS: Final = (
    "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "bytes", "uint32",
    "sfixed32", "sfixed64", "sint32", "sint64",
)  # fmt: skip
_LABELS: Final = ("optional", "required", "repeated")
_KEYS: Final = tuple(name for name in _SCALARS if name not in ("double", "float", "bytes"))
_Field: Final = descriptor_pb2.FieldDescriptorProto


def read(text: str) -> descriptor_pb2.FileDescriptorProto:
    """Raises `NoDefinition`."""
    return _Reader(text).file()


class _Reader(Words):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth, self._proto3 = 0, False

    # -- the file ---------------------------------------------------------------------------------------------------

    def file(self) -> descriptor_pb2.FileDescriptorProto:
        file = descriptor_pb2.FileDescriptorProto(name="schema.proto", syntax="proto2")
        if self.skip("syntax"):
            self.expect("=")
            file.syntax = self.text()
            self.expect(";")
        if file.syntax not in ("proto2", "proto3"):
            self.fail(f"the syntax {file.syntax!r} is not known")
        self._proto3 = file.syntax == "proto3"
        while word := self.next():
            self.skip(word)
            if word == "package":
                file.package = self.type_name()
                self.expect(";")
            elif word == "option":
                self._option()
            elif word == "message":
                self._message(file.message_type.add())
            elif word != ";":
                self.fail(f"a schema has no {word!r} at its top")
        if len(file.message_type) != 1:
            self.fail("a schema has one message at its top")
        return file

    # -- messages ---------------------------------------------------------------------------------------------------

    def _message(self, message: Any) -> None:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self.fail("it is nested too deeply")
        message.name = self.identifier()
        self.expect("{")
        optional: list[Any] = []
        while not self.skip("}"):
            self._member(message, optional)
        for field in optional:  # "Synthetic oneofs" of proto3 stand behind all others.
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")
        for field in message.field:
            if field.name in message.reserved_name or _within(field.number, message.reserved_range):
                self.fail(f"the name or the number of {field.name} is reserved")
        self._depth -= 1

    def _member(self, message: Any, optional: list[Any]) -> None:
        word = self.take()
        nouns: dict[str, Callable[[], None]] = {
            "message": lambda: self._message(message.nested_type.add()),
            "enum": lambda: self._enum(message.enum_type.add()),
            "oneof": lambda: self._oneof(message),
            "reserved": lambda: self._reserved(message),
            "extensions": self.to_semicolon,
            "option": self._option,
        }
        following = self.next()
        if word == ";":
            return
        if word in nouns and not (following == "=" or (word != "option" and self.is_name_before_equals())):
            nouns[word]()
        elif word == "map" and following == "<":
            self._map(message)
        else:
            self._field(message, word, optional)

    def _field(self, message: Any, word: str, optional: list[Any]) -> None:
        label = word if word in _LABELS else ""
        if label == "required" and self._proto3:
            self.fail("a proto3 message has no required fields")
        if not label and not self._proto3:
            self.fail("a field of a proto2 message has a label")
        if not label:
            self.back()
        field = message.field.add(label=f"LABEL_{(label or 'optional').upper()}")
        self._typed(field)
        if label == "optional" and self._proto3:
            field.proto3_optional = True
            optional.append(field)

    def _typed(self, field: Any) -> None:
        name = self.type_name()
        if name in _SCALARS:
            field.type = _Field.Type.Value(f"TYPE_{name.upper()}")
        elif name == "group":
            self.fail("groups are not supported")
        else:
            field.type_name = name
        self._numbered(field)

    def _numbered(self, field: Any) -> None:
        field.name = self.identifier()
        self.expect("=")
        number = self.number()
        if not 0 < number < 1 << 29:
            self.fail(f"{number} is no number of a field")
        field.number = number
        self._options(field)
        self.expect(";")

    def _map(self, message: Any) -> None:
        self.expect("<")
        key = self.type_name()
        if key not in _KEYS:
            self.fail(f"{key} is no type of a key")
        self.expect(",")
        value = self.type_name()
        self.expect(">")
        field = message.field.add(label="LABEL_REPEATED")
        self._numbered(field)
        entry = message.nested_type.add(name=_camel(field.name) + "Entry")
        entry.options.map_entry = True
        field.type_name = entry.name
        for number, (name, kind) in enumerate((("key", key), ("value", value)), 1):
            part = entry.field.add(name=name, number=number, label="LABEL_OPTIONAL")
            if kind in _SCALARS:
                part.type = _Field.Type.Value(f"TYPE_{kind.upper()}")
            else:
                part.type_name = kind

    def _oneof(self, message: Any) -> None:
        index = len(message.oneof_decl)
        message.oneof_decl.add(name=self.identifier())
        self.expect("{")
        while not self.skip("}"):
            if self.skip("option"):
                self._option()
            elif not self.skip(";"):
                self._typed(message.field.add(label="LABEL_OPTIONAL", oneof_index=index))

    def _reserved(self, message: Any) -> None:
        """Numbers, of which none may be given to a field; or names, as texts."""
        while True:
            if self.next()[:1] in "\"'":
                message.reserved_name.append(self.text())
            else:
                self._range(message.reserved_range.add(), 1 << 29, 1)
            if self.skip(";"):
                return
            self.expect(",")

    def _range(self, numbers: Any, most: int, behind: int) -> None:
        numbers.start = first = self.bounded()
        last = first
        if self.skip("to"):
            last = most - behind if self.skip("max") else self.bounded()
        numbers.end = last + behind

    # -- enums ------------------------------------------------------------------------------------------------------

    def _enum(self, enum: Any) -> None:
        enum.name = self.identifier()
        self.expect("{")
        while not self.skip("}"):
            word = self.take()
            if word == "option" and self.next() != "=":
                self._option(enum)
            elif word == "reserved" and self.next() != "=":
                self._reserved_values(enum)
            elif word != ";":
                self.back()
                value = enum.value.add(name=self.identifier())
                self.expect("=")
                value.number = self.bounded()
                self._options(None)
                self.expect(";")

    def _reserved_values(self, enum: Any) -> None:
        while True:
            if self.next()[:1] in "\"'":
                enum.reserved_name.append(self.text())
            else:
                self._range(enum.reserved_range.add(), (1 << 31) - 1, 0)
            if self.skip(";"):
                return
            self.expect(",")

    # -- options: those that change what a message is ---------------------------------------------------------------

    def _option(self, enum: Any = None) -> None:
        aliases = self.next() == "allow_alias"
        self.to("=")
        if enum is not None and aliases:
            enum.options.allow_alias = self.next() == "true"
        self.to_semicolon()

    def _options(self, field: Any) -> None:
        if not self.skip("["):
            return
        while True:
            name = self.next()
            self.to("=")
            value = self._constant()
            if field is not None:
                _apply(field, name, value)
            if self.skip("]"):
                return
            self.expect(",")

    def _constant(self) -> str:
        if self.next() == "{":
            self.block()
            return ""
        sign = "-" if self.skip("-") else ""
        return sign + self.take()


def _apply(field: Any, name: str, value: str) -> None:
    if name == "packed":
        field.options.packed = value == "true"
    elif name == "json_name":
        field.json_name = value[1:-1]
    elif name == "default":
        field.default_value = value[1:-1] if value[:1] in "\"'" else value


def _within(number: int, ranges: Any) -> bool:
    return any(each.start <= number < each.end for each in ranges)


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
