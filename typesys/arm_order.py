"""Which arm of a union a text is for: the one that says most about it.

A text that an arm lists (a literal, a member's name) is that arm's, then come `null`, numbers, what has a form of its
own (dates, UUIDs, JSON), then `str`, and last what takes any text (`bytes`, paths). Beside `str`, a text is a number or
a bool only if it is written as JSON writes them, so that `007` and `yes` stay what was typed.
"""

from __future__ import annotations

import re
from typing import Final

from promissory.typesys.families import registry
from promissory.typesys.types import (
    BoolType,
    BytesType,
    EnumType,
    FlagType,
    FloatType,
    IntType,
    LiteralType,
    NamedType,
    NoneType,
    OpaqueType,
    StrType,
    Type,
    UnionType,
)

NULLS: Final = ("null", "none", "None")
_NUMBER: Final = re.compile(r"[+-]?(0|[1-9]\d*|(?=\.\d))(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE: Final = ("nan", "NaN", "inf", "+inf", "-inf", "Infinity", "-Infinity")
_FRACTION: Final = re.compile(r"[+-]?[1-9]\d*/[1-9]\d*", re.ASCII)
_NUMERIC: Final = ("decimal.Decimal", "fractions.Fraction")
_CALENDAR: Final = ("datetime.date", "datetime.datetime", "datetime.time")


def arm_order(text: str, union: UnionType) -> list[int]:
    """Give the arms that a text may be for, the likeliest first.

    >>> from promissory import type_of
    >>> wanted = type_of(int | str | None)
    >>> [str(wanted.arms[arm]) for arm in arm_order("12", wanted)]
    ['int', 'str', 'None']
    """
    beside_text = any(isinstance(arm, StrType) for arm in union.arms)
    beside_numbers = beside_text or any(isinstance(arm, IntType | FloatType) for arm in union.arms)
    ranked = [(_rank(text, arm, beside_text, beside_numbers), index) for index, arm in enumerate(union.arms)]
    return [index for rank, index in sorted((rank, index) for rank, index in ranked if rank is not None)]


def _rank(text: str, arm: Type, beside_text: bool, beside_numbers: bool) -> int | None:
    match arm:
        case LiteralType():
            return 0
        case NoneType():
            return 1 if text in NULLS else 10
        case EnumType(members=members) | FlagType(members=members):
            return 2 if text in [name for name, _ in members] else 5
        case IntType() | FloatType():
            return 3 if not beside_text or _is_number(text) else None
        case BoolType():
            return 4 if not beside_text or text.lower() in ("true", "false") else None
        case StrType():
            return 8
        case BytesType():
            return 9
        case NamedType(name) if _takes_any_text(arm):
            return 11
        case NamedType(name) if name in _NUMERIC and beside_text:
            return 6 if _is_number(text) or _FRACTION.fullmatch(text) else None
        case NamedType(name) if name in _CALENDAR and beside_numbers:
            return 6 if not text.isdecimal() else None
        case NamedType(wire=StrType()):
            return 6
        case OpaqueType():
            return 12
    return 7


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None or text in _NOT_FINITE


def _takes_any_text(arm: NamedType) -> bool:
    """Tell whether no text is wrong for a type: nothing can be told from one then. Of a family that this process does
    not know, only the wire type is known."""
    family = registry.known(arm.name)
    return isinstance(arm.wire, StrType) and (family is None or family.any_text)
