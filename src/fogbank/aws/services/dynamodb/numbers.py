"""DynamoDB's numbers: decimal text of up to 38 significant digits, its one normal form, its order and its size.

"Supported data types and naming rules in Amazon DynamoDB", Number: positive range 1E-130 to 9.9999999999999999999999999999999999999E+125.
"""  # noqa: E501  # A number is quoted whole.

from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import Final

DIGITS_MAX: Final = 38
EXPONENT_MIN, EXPONENT_MAX = -130, 125
_NOT_A_NUMBER = "The parameter cannot be converted to a numeric value"
_OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
_UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
_TOO_LONG = "Attempting to store more than 38 significant digits in a Number"
_is_plain = re.compile(r"0|-?[1-9][0-9]{0,37}").fullmatch  # Already in normal form: nearly every number there is.
_is_number = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_exact = Context(prec=600, Emax=999_999, Emin=-999_999)  # No sum of two valid numbers needs more digits.


class NotANumber(ValueError):
    """Text that DynamoDB does not take as a number; the message is DynamoDB's."""


def normalize(text: str) -> str:
    """The form in which DynamoDB gives a number back: no exponent, no leading or trailing zeros."""
    if _is_plain(text):
        return text
    if not _is_number(text):
        raise NotANumber(f"{_NOT_A_NUMBER}: {text}" if text else _NOT_A_NUMBER)
    number = Decimal(text)
    if not number:
        return "0"
    if number.adjusted() > EXPONENT_MAX:
        raise NotANumber(_OVERFLOW)
    if number.adjusted() < EXPONENT_MIN:
        raise NotANumber(_UNDERFLOW)
    if len("".join(map(str, number.as_tuple().digits)).strip("0")) > DIGITS_MAX:
        raise NotANumber(_TOO_LONG)
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def add(augend: str, addend: str) -> str:
    return normalize(str(_exact.add(Decimal(augend), Decimal(addend))))


def subtract(minuend: str, subtrahend: str) -> str:
    return normalize(str(_exact.subtract(Decimal(minuend), Decimal(subtrahend))))


def _scientific(text: str) -> tuple[bool, int, str]:
    """(negative, exponent, significant digits) of a number in normal form that is not zero."""
    negative = text[0] == "-"
    whole, _, fraction = (text[1:] if negative else text).partition(".")
    if whole != "0":
        return negative, len(whole) - 1, (whole + fraction).rstrip("0")
    digits = fraction.lstrip("0")
    return negative, len(digits) - len(fraction) - 1, digits


_NINES_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def sortable(text: str) -> bytes:
    """Bytes that sort as the numbers do; `text` is in normal form."""
    if text == "0":
        return b"\x02"
    negative, exponent, digits = _scientific(text)
    if negative:  # The larger the magnitude, the earlier; the end mark puts -1 behind -1.2.
        return bytes((1, EXPONENT_MAX - exponent)) + digits.translate(_NINES_COMPLEMENT).encode() + b"\xff"
    return bytes((3, exponent - EXPONENT_MIN)) + digits.encode()


def size_bytes(text: str) -> int:
    """ "DynamoDB item sizes and formats": one byte per two significant digits, plus one. The digits are paired from the
    decimal point on both sides, each side rounded up, and a minus sign costs one more."""
    if text == "0":
        return 1
    whole, _, fraction = text.lstrip("-").partition(".")
    if not fraction:
        whole = whole.rstrip("0")
    elif whole == "0":
        whole, fraction = "", fraction.lstrip("0")
    return 1 + (len(whole) + 1) // 2 + (len(fraction) + 1) // 2 + (text[0] == "-")
