"""Numbers beyond int and float, and UUIDs.

Numbers that have an exact text are written as this text: a `Decimal` keeps its exponent (`1.0` is not `1.00`), its sign
and the digits of a NaN. A complex number is two floats.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import FLOAT, INT, STR, TupleType


def _to_fraction(text: str) -> Fraction:
    if "e" in text.lower():
        raise ValueError("write it without an exponent, which might fill the memory")
    return Fraction(text)


def _to_complex(pair: tuple[float, float]) -> complex:
    return complex(*pair)


declare(Family(Decimal, named("decimal.Decimal", STR), str, Decimal))
declare(Family(Fraction, named("fractions.Fraction", STR), str, _to_fraction))
declare(
    Family(complex, named("complex", TupleType((FLOAT, FLOAT))), lambda value: (value.real, value.imag), _to_complex)
)
declare(Family(UUID, named("uuid.UUID", STR), str, UUID))
declare(
    Family(
        range,
        named("range", TupleType((INT, INT, INT))),
        lambda value: (value.start, value.stop, value.step),
        lambda bounds: range(*bounds),
    )
)
