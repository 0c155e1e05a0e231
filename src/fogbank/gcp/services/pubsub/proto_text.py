"""Protocol Buffer definitions as text ("Protocol Buffers Language Specification"), as far as schemas have them.

A schema is one message, with others and enums nested in it; it imports nothing. What is written becomes a descriptor;
whether it makes sense (names that resolve, numbers that are free) is judged by protobuf's own pool.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from google.protobuf import descriptor_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

_DEPTH_MAX: Final = 32
_TOKEN: Final = re.compile(
    r"""\s*(?://[^\n]*|/\*.*?\*/|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\.?[A-Za-z0-9_]+(?:[.][A-Za-z0-9_]+)*|[-+{}\[\]()<>=;,:/.]))""",
    re.DOTALL,
)
_BLANK: Final = re.compile(r"\s*\Z")
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*|_[A-Za-z0-9_]+")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}")
_TYPE_NAME: Final = re.compile(r"\.?[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_SCALARS: Final = (
    "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "bytes", "uint32",
    "sfixed32", "sfixed64", "sint32", "sint64",
)  # fmt: skip
_LABELS: Final = ("optional", "required", "repeated")
_KEYS: Final = tuple(name for name in _SCALARS if name not in ("double", "float", "bytes"))
_Field: Final = descriptor_pb2.FieldDescriptorProto


class NoDefinition(Exception):
    """The text is no definition; why."""


def read(text: str) -> descriptor_pb2.FileDescriptorProto:
    """Raises `NoDefinition`."""
    return _Reader(text).file()


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = self._depth = 0
        self._proto3 = False

    # -- tokens -----------------------------------------------------------------------------------------------------

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        if not token:
            self._fail("it ends too early")
        self._at += 1
        return token

    def _skip(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._at += 1
        return True

    def _expect(self, *tokens: str) -> None:
        for token in tokens:
            if self._take() != token:
                self._fail(f"{token!r} is missing")

    def _identifier(self) -> str:
        token = self._take()
        if not _IDENTIFIER.fullmatch(token):
            self._fail(f"{token!r} is no name")
        return token

    def _number(self) -> int:
        sign = -1 if self._skip("-") else 1
        token = self._take()
        if not _NUMBER.fullmatch(token):
            self._fail(f"{token!r} is no number")
        base = 16 if token[:2] in ("0x", "0X") else 8 if token[0] == "0" and len(token) > 1 else 10
        try:
            return sign * int(token, base)
        except ValueError:
            self._fail(f"{token!r} is no number")

    def _fail(self, why: str) -> NoReturn:
        raise NoDefinition(why)

    # -- the file ---------------------------------------------------------------------------------------------------

    def file(self) -> descriptor_pb2.FileDescriptorProto:
        file = descriptor_pb2.FileDescriptorProto(name="schema.proto", syntax="proto2")
        if self._skip("syntax"):
            self._expect("=")
            file.syntax = self._text()
            self._expect(";")
        if file.syntax not in ("proto2", "proto3"):
            self._fail(f"the syntax {file.syntax!r} is not known")
        self._proto3 = file.syntax == "proto3"
        while word := self._next():
            self._at += 1
            if word == "package":
                file.package = self._type_name()
                self._expect(";")
            elif word == "option":
                self._option()
            elif word == "message":
                self._message(file.message_type.add())
            elif word != ";":
                self._fail(f"a schema has no {word!r} at its top")
        if len(file.message_type) != 1:
            self._fail("a schema has one message at its top")
        return file

    def _text(self) -> str:
        token = self._take()
        if token[0] not in "\"'":
            self._fail(f"{token!r} is no text")
        return token[1:-1]

    def _type_name(self) -> str:
        token = self._take()
        if not _TYPE_NAME.fullmatch(token):
            self._fail(f"{token!r} is no type")
        return token

    # -- messages ---------------------------------------------------------------------------------------------------

    def _message(self, message: Any) -> None:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self._fail("it is nested too deeply")
        message.name = self._identifier()
        self._expect("{")
        optional: list[Any] = []
        while not self._skip("}"):
            self._member(message, optional)
        for field in optional:  # "Synthetic oneofs" of proto3 stand behind all others.
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")
        for field in message.field:
            if field.name in message.reserved_name or _within(field.number, message.reserved_range):
                self._fail(f"the name or the number of {field.name} is reserved")
        self._depth -= 1

    def _member(self, message: Any, optional: list[Any]) -> None:
        word = self._take()
        nouns: dict[str, Callable[[], None]] = {
            "message": lambda: self._message(message.nested_type.add()),
            "enum": lambda: self._enum(message.enum_type.add()),
            "oneof": lambda: self._oneof(message),
            "reserved": lambda: self._reserved(message),
            "extensions": self._to_semicolon,
            "option": self._option,
        }
        following = self._next()
        if word == ";":
            return
        if word in nouns and not (following == "=" or (word != "option" and self._is_field(following))):
            nouns[word]()
        elif word == "map" and following == "<":
            self._map(message)
        else:
            self._field(message, word, optional)

    def _is_field(self, following: str) -> bool:
        """Whether a type is called as a noun is: "message name = 1;"."""
        behind = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ""
        return bool(_IDENTIFIER.fullmatch(following)) and behind == "="

    def _field(self, message: Any, word: str, optional: list[Any]) -> None:
        label = word if word in _LABELS else ""
        if label == "required" and self._proto3:
            self._fail("a proto3 message has no required fields")
        if not label and not self._proto3:
            self._fail("a field of a proto2 message has a label")
        if not label:
            self._at -= 1
        field = message.field.add(label=f"LABEL_{(label or 'optional').upper()}")
        self._typed(field)
        if label == "optional" and self._proto3:
            field.proto3_optional = True
            optional.append(field)

    def _typed(self, field: Any) -> None:
        name = self._type_name()
        if name in _SCALARS:
            field.type = _Field.Type.Value(f"TYPE_{name.upper()}")
        elif name == "group":
            self._fail("groups are not supported")
        else:
            field.type_name = name
        self._numbered(field)

    def _numbered(self, field: Any) -> None:
        field.name = self._identifier()
        self._expect("=")
        number = self._number()
        if not 0 < number < 1 << 29:
            self._fail(f"{number} is no number of a field")
        field.number = number
        self._options(field)
        self._expect(";")

    def _map(self, message: Any) -> None:
        self._expect("<")
        key = self._type_name()
        if key not in _KEYS:
            self._fail(f"{key} is no type of a key")
        self._expect(",")
        value = self._type_name()
        self._expect(">")
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
        message.oneof_decl.add(name=self._identifier())
        self._expect("{")
        while not self._skip("}"):
            if self._skip("option"):
                self._option()
            elif not self._skip(";"):
                self._typed(message.field.add(label="LABEL_OPTIONAL", oneof_index=index))

    def _reserved(self, message: Any) -> None:
        """Numbers, of which none may be given to a field; or names, as texts."""
        while True:
            if self._next()[:1] in "\"'":
                message.reserved_name.append(self._text())
            else:
                self._range(message.reserved_range.add(), 1 << 29, 1)
            if self._skip(";"):
                return
            self._expect(",")

    def _range(self, numbers: Any, most: int, behind: int) -> None:
        numbers.start = first = self._bounded()
        last = first
        if self._skip("to"):
            last = most - behind if self._skip("max") else self._bounded()
        numbers.end = last + behind

    def _bounded(self) -> int:
        number = self._number()
        if not -(1 << 31) <= number < (1 << 31) - 1:
            self._fail(f"{number} is too large")
        return number

    # -- enums ------------------------------------------------------------------------------------------------------

    def _enum(self, enum: Any) -> None:
        enum.name = self._identifier()
        self._expect("{")
        while not self._skip("}"):
            word = self._take()
            if word == "option" and self._next() != "=":
                self._option(enum)
            elif word == "reserved" and self._next() != "=":
                self._reserved_values(enum)
            elif word != ";":
                self._at -= 1
                value = enum.value.add(name=self._identifier())
                self._expect("=")
                value.number = self._bounded()
                self._options(None)
                self._expect(";")

    def _reserved_values(self, enum: Any) -> None:
        while True:
            if self._next()[:1] in "\"'":
                enum.reserved_name.append(self._text())
            else:
                self._range(enum.reserved_range.add(), (1 << 31) - 1, 0)
            if self._skip(";"):
                return
            self._expect(",")

    # -- options: those that change what a message is ---------------------------------------------------------------

    def _option(self, enum: Any = None) -> None:
        aliases = self._next() == "allow_alias"
        self._to("=")
        if enum is not None and aliases:
            enum.options.allow_alias = self._next() == "true"
        self._to_semicolon()

    def _options(self, field: Any) -> None:
        if not self._skip("["):
            return
        while True:
            name = self._next()
            self._to("=")
            value = self._constant()
            if field is not None:
                _apply(field, name, value)
            if self._skip("]"):
                return
            self._expect(",")

    def _constant(self) -> str:
        if self._next() == "{":
            self._block()
            return ""
        sign = "-" if self._skip("-") else ""
        return sign + self._take()

    def _block(self) -> None:
        depth = 0
        while True:
            depth += {"{": 1, "}": -1}.get(self._take(), 0)
            if not depth:
                return

    def _to(self, token: str) -> None:
        while self._take() != token:
            pass

    def _to_semicolon(self) -> None:
        while (token := self._next()) != ";":
            if token == "{":
                self._block()
            else:
                self._take()
        self._at += 1


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


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    while not _BLANK.match(text, at):
        token = _TOKEN.match(text, at)
        if token is None:
            raise NoDefinition(f"nothing can be made of {text[at : at + 20].strip()!r}")
        at = token.end()
        if token[1] is not None:
            found.append(token[1])
    return found
